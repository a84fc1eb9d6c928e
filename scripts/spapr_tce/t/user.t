#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2034,SC2154,SC2317 # what t is given is evaluated there
#
# What stands in a user's way, the total of a check, and an order that a hook keeps

. "$(dirname "$0")/lib.sh"
top=${here%/scripts/spapr_tce}

t "user: KSRC= of a failed make source" '
	fails "KSRC is empty" make -C "$top" check KSRC= && ! grep == $w/out'
t "user: a machine that there is not" 'fails_shortly MACHINE=nonsense env MACHINE=nonsense "$here/run.sh"'
t "user: a path with a space" '
	mkdir "$w/a b" && fails_shortly "white space" env SPAPR_TCE_BUILD="$w/a b" "$here/tree.sh"'
t "user: a path that make cannot do with" '
	for c in : % "\$"; do
		fails_shortly "white space" env SPAPR_TCE_BUILD="$w/a${c}b" "$here/tree.sh" || exit 1
	done'
t "user: a build that cannot be written to" '
	fails_shortly "SPAPR_TCE_BUILD=DIR" env SPAPR_TCE_BUILD=/proc/none/b "$here/tree.sh"'
t "user: a build named from where one is" '
	[ "$(cd $w && SPAPR_TCE_BUILD=b sh -c ". \"\$0\" && echo \$logs" "$here/lib.sh")" = $w/b/log ]'
t "user: a number of jobs that is none" '
	for n in abc 0 -1; do fails_shortly "JOBS=$n: not" env JOBS=$n "$here/tree.sh" || exit 1; done'
t "user: tests that there are not are not built for" '
	TESTS=nonsense SPAPR_TCE_BUILD=$w/b "$here/check-qemu.sh" && [ ! -e $w/b/tree ]'
t "user: what a mirror may not have comes before what takes minutes" '
	mkdir -p $w/parts && cp "$here/check-clients.sh" "$here/lib.sh" $w/parts &&
	printf "#!/bin/sh\necho no mirror >&2\nexit 1\n" >$w/parts/clients-root.sh &&
	printf "#!/bin/sh\ntouch $w/built\n" >$w/parts/kernel.sh && chmod +x $w/parts/*.sh &&
	fails "no mirror" env SPAPR_TCE_TOP=$w SPAPR_TCE_BUILD=$w/b $w/parts/check-clients.sh --shell && [ ! -e $w/built ]'
t "user: without a mirror of Debian the clients are skipped, and nothing is built" '
	printf "#!/bin/sh\nexit 77\n" >$w/parts/clients-root.sh &&
	SPAPR_TCE_TOP=$w SPAPR_TCE_BUILD=$w/b $w/parts/check-clients.sh >$w/out &&
	[ "$(grep -c "^skip    clients powernv[89].* (this is no Debian" $w/out)" = 2 ] && [ ! -e $w/built ]'
t "user: BASE=0 is no BASE" '[ -z "$(BASE=0 SPAPR_TCE_BUILD=$w/b sh -c ". \"\$0\" && echo \$BASE" "$here/lib.sh")" ]'
t "user: no home" 'HOME=/proc/none XDG_CACHE_HOME= SPAPR_TCE_BUILD=$w/nohome \
	sh -c ". \"\$0\" && mkdir -p \$CCACHE_DIR" "$here/lib.sh" && [ -d $w/nohome/cache/ccache ]'

# setup_with APT [SUDO [CACHE]]: packages are missing, apt-get does what APT says, and
# apt-cache what CACHE does; as nobody, for whom sudo does SUDO
fake=$w/fake
setup_with() {
	rm -rf "$fake" && mkdir -p "$fake" && for p in awk cat date dirname env grep head mkdir nproc sed sh sleep; do
		ln -sf "$(command -v "$p")" "$fake"
	done
	for p in "apt-get [ \$1 != indextargets ] || { echo ${lists-some}; exit; }; $1" "id echo 1000" "dpkg-query :" "true :" "apt-cache ${3:-:}" ${2:+"sudo $2"}; do
		printf '#!/bin/sh\n%s\n' "${p#* }" >"$fake/${p%% *}" && chmod +x "$fake/${p%% *}"
	done
	PATH=$fake SPAPR_TCE_BUILD=$w/b "$here/setup.sh"
}
t "user: without root or sudo, one line to copy" '
	fails_shortly "as root, please: apt-get install --no-install-recommends gcc " setup_with "exit 1" &&
	fails_shortly "as root, please" setup_with "exit 1" "exit 1"'
t "user: where apt has no source, KSRC= is asked for" '
	KSRC= fails_shortly "say KSRC=PATH" setup_with "exit 1" "" "exit 100" &&
	KSRC=$w/k fails_shortly "as root, please" setup_with "exit 1" "" "exit 100" &&
	KSRC= fails "say KSRC=PATH" setup_with "[ \$5 = update ]" "exec \"\$@\"" "exit 100"'
t "user: ... but not where apt has no lists" '
	lists="" fails_shortly "as root, please" setup_with "exit 1" "" "exit 100"'
t "user: lists that did not all come are told" '
	fails "not all lists came: E: no 1" setup_with "case \$* in *update*--error-on=any) echo E: no 1; exit 1 ;;
		*update*) exit 0 ;; esac; exit 1" "exec \"\$@\"" && ! grep "update: done" $w/out'
t "user: no network is not 90 lines" '
	fails "failed; all of it is in" setup_with "for i in 1 2 3; do echo E: no \$i; done; exit 100" "exec \"\$@\"" &&
	[ "$(grep -vc ^+ $w/out)" -lt 12 ]'
t "user: make series without a name in git" '
	fails_shortly "set git.s user.name" env HOME=$w/none GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null \
		SPAPR_TCE_TOP=$w SPAPR_TCE_BUILD=$w/b "$here/series.sh"'
t "user: the plugin is one for QEMU before 9 and after" '
	for v in 1 4; do
		gcc -Wall -Werror -Werror=implicit-function-declaration -fPIC -shared -O2 \
			-DPLUGIN_VERSION=$v -o $w/count.so "$here/count.c" || exit 1
	done'

# All but trace events, tests, and the checks of a debug kernel
t "user: KCSAN looks at all of our files" '
	(cd "$top" && ls arch/powerpc/kernel/*.c arch/powerpc/kvm/*.c arch/powerpc/mm/book3s64/*.c \
		arch/powerpc/platforms/*/*.c drivers/vfio/*.c) |
		sed "s|.*/||; s|\.c$||; /trace$/d; /_kunit$/d; /_check$/d" | sort >$w/ours &&
	sed -n "s/^#make KCSAN_SANITIZE_\(.*\)\.o=y/\1/p" "$top/configs/kcsan.config" |
		sort | diff - $w/ours'

# killed SIGNAL READY COMMAND...: in a group of its own, when READY is true
killed() {
	signal=$1 ready=$2
	shift 2
	perl -e 'setpgrp; $SIG{INT} = "DEFAULT"; exec @ARGV' "$@" & group=$!
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		eval "$ready" && break
		sleep 0.5
	done
	kill "-$signal" "-$group" || return
	wait "$group"
	sleep 1
}
# An emulator that takes its time
t "user: Ctrl-C ends the emulator" '
	mkdir $w/bin && printf "#!/bin/sh\necho \$\$ >$w/pid\nexec sleep 60\n" >$w/bin/qemu-system-ppc64 &&
	chmod +x $w/bin/qemu-system-ppc64 && TIMEOUT=60 PATH=$w/bin:$PATH killed INT "[ -s $w/pid ]" \
		sh -c "\"\$0\" k i; exit" "$here/boot.sh"
	[ -s $w/pid ] && ! kill $(cat $w/pid)'
boot_that_fails() {
	rc=1
	echo "$1" >>"$w/boots"
	echo "MCE: CPU1: machine check (Severe)  Unknown  [Not recovered]" >"$w/b/log/x.log"
}
t "user: an emulator that loses a register is tried with one thread" '
	mkdir -p $w/b/log && logs=$w/b/log && say() { :; } && qemu_version() { echo 10; } &&
	eval "$(sed -n "/^emulated() {/,/^}/p" "$here/lib.sh")" && emulated x boot_that_fails &&
	[ "$(paste -sd " " $w/boots)" = "tcg tcg,thread=single" ] && [ -f $logs/x.log.crashed ] &&
	qemu_version() { echo 7; } && rm $w/boots && emulated x boot_that_fails && [ "$(cat $w/boots)" = tcg ]'
t "user: nothing is left in /tmp by who is killed" '
	mkdir $w/tmp && TMPDIR=$w/tmp killed TERM "[ -n \"\$(ls -A $w/tmp)\" ]" sh -c \
		". \"\$0\" && tmp=\$(mktemp -d) && trap \"rm -rf \$tmp\" EXIT && sleep 9" "$here/lib.sh"
	[ -z "$(ls -A $w/tmp)" ]'
t "user: ... nor by a test of these" '
	mkdir -p $w/tests && TMPDIR=$w/tests killed TERM "[ -n \"\$(ls -A $w/tests)\" ]" "$here/t/tree.t" >$w/log.t
	[ -z "$(ls -A $w/tests)" ]'
t "user: what is done at once is not waited for" '
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		SPAPR_TCE_BUILD=$w/b timeout 10 sh -c ". \"\$0\" && progress x \$logs/x true" "$here/lib.sh" || exit 1
	done'
t "user: make help has every target" '
	make -s -C "$top" help >$w/out && sed -n "s/^\([a-z][a-z-]*\):.*/\1/p" "$top/Makefile" |
	while read -r target; do
		grep "^  $target " $w/out || { echo "no $target"; exit 1; }
	done'

# total COMMANDS LAST STATUS: a check of one part ends with this line
total() {
	mkdir -p "$w/parts" && cp "$here/check.sh" "$here/lib.sh" "$here"/skips* "$w/parts" &&
	printf '#!/bin/sh\n%s\n' "$1" >"$w/parts/check-x.sh" && chmod +x "$w/parts/check-x.sh" || return
	rc=0
	SPAPR_TCE_TOP=$w SPAPR_TCE_BUILD=$w/b "$w/parts/check.sh" x >"$w/out" 2>"$w/said" || rc=$?
	cat "$w/out" "$w/said"
	[ "$(tail -n 1 "$w/out")" = "$2" ] && [ "$rc" = "$3" ]
}
t "total: passed" 'total "echo ok  a; echo ok  b" "2 passed, 0 failed" 0'
t "total: skipped ones are told apart" 'total "echo ok  a; echo skip  b" "1 passed, 0 failed, 1 skipped" 0'
t "total: skipped ones are counted by class and reason" '
	total "echo \"ok  a\"; for x in b c; do echo \"skip  m: \$x (no edu device)\"; done; echo \"skip  m: d (else)\"" \
		"1 passed, 0 failed, 3 skipped" 0 && ! grep ^skip $w/out && grep -xE " +2  devices" $w/said &&
	grep -xE " +2  no edu device" $w/said && grep -xE " +1  other" $w/said && [ "$(wc -l <$w/b/log/skipped)" = 3 ]'
t "total: one failure fails it" 'total "echo ok  a; echo not ok  b" "1 passed, 1 failed" 1'
t "total: a part that breaks off fails it" 'total "echo ok  a; exit 3" "1 passed, 1 failed" 1'
t "total: a part with a configuration" '
	mkdir -p $w/parts $w/b && total : "0 passed, 0 failed" 1 &&
	printf "#!/bin/sh\necho \"ok  \$CONFIG\"\n" >$w/parts/check-x.sh &&
	SPAPR_TCE_TOP=$w SPAPR_TCE_BUILD=$w/b $w/parts/check.sh debug:x >$w/out && grep -x "ok  debug" $w/out'
t "total: nothing run is no success" 'total : "0 passed, 0 failed" 1 && grep "nothing was run" $w/said'
t "total: nothing but skipped ones is no success either" '
	total "echo skip  b" "0 passed, 0 failed, 1 skipped" 1 && ! grep "nothing was run" $w/said'
t "total: a command of one check fails it by what it says" '
	SPAPR_TCE_BUILD=$w/v sh -c ". \"\$0\"; mkdir -p \$logs; part=x; verdict a A true; verdict b B false
		verdict c C echo no" "$here/lib.sh" >$w/out
	[ "$(cut -c 1-12 $w/out | paste -sd ,)" = "ok      x: A,not ok  x: B,not ok  x: C" ]'

# SRCU of each guest of a core before its first thread starts, and until the last is
# out, which no test of this machine can run: tools/testing/spapr_tce/spin/core.pml.
order() {
	sed -n '/^static noinline void kvmppc_run_core(/,/^}/{
		s/.*pvc->srcu_idx = srcu_read_lock(&pvc->kvm->srcu).*/lock/p
		s/^\t*kvmppc_start_thread(.*/start/p; s/^\tkvmppc_wait_for_nap(.*/out/p
		s/.*srcu_read_unlock(&pvc->kvm->srcu, pvc->srcu_idx).*/unlock/p; }' \
		"$1/arch/powerpc/kvm/book3s_hv.c" | uniq | paste -sd ' '
}
build=${SPAPR_TCE_BUILD:-$top/build}
t "hooks: SRCU is held for all threads of a core" '
	"$here/tree.sh" && order "$build/tree" && [ "$(order "$build/tree")" = "lock start out unlock" ]'
t "hooks: ... which the base does not do" '[ "$(order "$build/base")" = "start out" ]'
end
