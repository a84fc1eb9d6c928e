#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a newcomer meets: in a fresh root of each distribution that a mirror of this
# machine has, with gcc, make, git and sudo, packages are installed, make run does what
# it promises, and the kernel's files compile for this machine: as root, through sudo
# and as somebody who may not use it.  The roots are in build/newcomer.

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

part=newcomer
mkdir -p "$logs" "$build/newcomer"
root=$build/newcomer/root
trap '$as_root rm -rf "$root"' EXIT

# sources SUITE: of this machine's apt, or its Debian mirror with another suite
sources() {
	if [ "$1" = "$codename" ]; then
		machine_sources '[^ ]*'
	else
		(own_apt "$build/newcomer/apt" "$(dpkg --print-architecture)" "$1" &&
		apt-get -q update --error-on=any -o Acquire::Retries=0 >&2 && sed 's/ \[[^]]*\]//' "$apt/sources.list")
	fi
}
# fetch SUITE: fails where no mirror has it
fetch() {
	$as_root rm -rf "$root"
	apt-config dump | grep -E '^Acquire::(https?::|Retries)' >"$build/newcomer/apt.conf" || :
	list=$(sources "$1") && [ -n "$list" ] || return
	echo "$list" | $as_root mmdebstrap --variant=apt --include=gcc,libc6-dev,make,git,sudo,passwd \
		--aptopt="$build/newcomer/apt.conf" "$1" "$root" -
}
# prepare SUITE: Ubuntu has no source of this kernel
prepare() {
	ksrc=
	[ "$1" != noble ] || ksrc=/srv/linux.tar.xz
	[ -z "$ksrc" ] || $as_root cp "${KSRC:-/usr/src/linux-source-6.12.tar.xz}" "$root$ksrc" || return
	$as_root cp /etc/resolv.conf "$root/etc" &&
	$as_root git -c safe.directory='*' clone -q "$top" "$root/srv/it" &&
	$as_root chroot "$root" sh -c 'useradd -m newcomer && chown -R newcomer /srv/it &&
		echo "newcomer ALL=NOPASSWD: ALL" >/etc/sudoers.d/newcomer'
}
# inside COMMANDS: as root in the checkout; owner: as one who may use sudo; user: may not
# shellcheck disable=SC2016 # that shell's own
chrooted() {
	$as_root unshare -m sh -c 'mount -t proc proc "$0/proc" && exec chroot "$@"' "$root" "$@"
}
inside() { chrooted "$root" env -i KSRC="$ksrc" HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -c "cd /srv/it && $1"; }
owner() { inside "setpriv --reuid newcomer --regid newcomer --clear-groups env HOME=/home/newcomer $1"; }
user() { chrooted --userspec=65534:65534 "$root" env -i KSRC="$ksrc" HOME=/nowhere PATH=/usr/bin:/bin sh -c "cd /srv/it && $1"; }
told() { user "SPAPR_TCE_BUILD=/tmp/b make -s run" 2>&1 | grep 'as root, please: apt-get install --no-install-recommends .*qemu'; }
quiet() { "$@" >"$logs/newcomer" 2>&1 || { tail -n 20 "$logs/newcomer"; return 1; }; }

"$here/setup.sh" clients
while read -r suite name; do
	case ,${SUITES:-$suite}, in *",$suite,"*) ;; *) continue ;; esac
	log=$logs/newcomer-$suite.log
	if ! progress "$name" "$log" fetch "$suite"; then
		echo "skip    newcomer: $name (network: no mirror here has all of it)"
		continue
	fi
	if ! prepare "$suite" >>"$log" 2>&1; then
		echo "not ok  newcomer: $name: somebody can work there (build/log/newcomer-$suite.log)"
		continue
	fi
	verdict "$suite-told"	"$name: an ordinary user is told what to install"	quiet told
	verdict "$suite-setup"	"$name: packages are installed through sudo"	quiet owner 'make setup'
	verdict "$suite-run"	"$name: make run"	quiet owner 'make run'
	verdict "$suite-root"	"$name: make run as root"	quiet inside 'make run'
	verdict "$suite-host"	"$name: the kernel's files compile for this machine"	quiet inside \
		'scripts/spapr_tce/host.sh asan-16 && build/host/asan-16/tce_tree_kunit'
done <<'END'
bookworm Debian 12
trixie Debian 13
noble Ubuntu 24.04
END
