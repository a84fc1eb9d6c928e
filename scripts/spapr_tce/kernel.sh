#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Build the kernel of CONFIG from build/tree, or with BASE=1 the base kernel
# from build/base.
#
#   CONFIG=default   build/vmlinux
#   CONFIG=x         build/vmlinux-x
#   BASE=1           build/vmlinux-base, build/vmlinux-base-x
#
# If the configuration has modules, they are in build/modules-x.cpio, which
# boot.sh appends to the initramfs: /modules/NAME.ko, and in /modules/list the
# names in an order in which they can be loaded.

. "$(dirname "$0")/lib.sh"

CONFIG=${CONFIG:-default}
[ -f "$top/configs/$CONFIG.config" ] ||
	die "CONFIG=$CONFIG: there is no configs/$CONFIG.config"
"$here/setup.sh"
"$here/tree.sh"

src=$tree
[ -z "$BASE" ] || src=$base
name=vmlinux$(kernel_name "$CONFIG")
obj=$src/obj-$CONFIG

# Variables that a configuration needs from the command line of make
vars=$(fragments "$CONFIG" | sed -n 's/^#make //p')

# shellcheck disable=SC2086 # a list of words
kmake() {
	make -C "$src" O="$obj" CC="ccache ${CROSS_COMPILE}gcc" -j "$JOBS" $vars "$@"
}

# Kconfig drops without a word what its dependencies do not allow.
check_config() {
	awk '
	function parse(line) {
		val = "n"
		if (line ~ /^# CONFIG_[A-Z0-9_]+ is not set/) {
			split(line, w, " ")
			key = w[2]
		} else if (line ~ /^CONFIG_/) {
			key = substr(line, 1, index(line, "=") - 1)
			val = substr(line, index(line, "=") + 1)
		} else {
			return 0
		}
		return 1
	}
	!parse($0)	{ next }
	NR == FNR	{ want[key] = val; next }
	{ got[key] = val }
	END {
		for (k in want) {
			have = k in got ? got[k] : "n"
			if (have != want[k]) {
				print k " is " have ", not " want[k]
				bad = 1
			}
		}
		exit bad
	}' "$obj/fragment" "$obj/.config" >&2 ||
		die "configs/$CONFIG.config asks for what this kernel does not give"
}

lock "$name"
mkdir -p "$obj" "$CCACHE_DIR"
fragments "$CONFIG" >"$obj/fragment"
kmake -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig \
	>"$obj/config.log" 2>&1 </dev/null ||
	{ cat "$obj/config.log" >&2; die "kernel configuration failed"; }
check_config
[ -f "$obj/vmlinux" ] ||
	say "building $name: some minutes the first time"
modules=$build/modules$(kernel_name "$CONFIG").cpio
if ! grep -q '^CONFIG_[A-Z0-9_]*=m$' "$obj/.config"; then
	long "$name" "$logs/$name.log" kmake V="${V:-0}" vmlinux
	rm -f "$modules"
	put "$obj/vmlinux" "$build/$name"
	exit
fi
long "$name" "$logs/$name.log" kmake V="${V:-0}" vmlinux modules

module_files() {
	sed "s|^|$obj/|; s|\.o\$|.ko|" "$obj/modules.order"
}
# A module after those whose symbols it uses
in_order() {
	module_files | while read -r ko; do
		m=$(basename "$ko" .ko)
		echo "$m $m"
		tr '\0' '\n' <"$ko" | sed -n 's/^depends=//p' | tr , '\n' |
			sed "/./!d; s/\$/ $m/"
	done | tsort
}
spec() {
	echo "dir /modules 0755 0 0"
	echo "file /modules/list $obj/modules.list 0644 0 0"
	module_files | while read -r ko; do
		echo "file /modules/${ko##*/} $ko 0644 0 0"
	done
}
in_order >"$obj/modules.list"
spec >"$obj/modules.spec"
"$obj/usr/gen_init_cpio" "$obj/modules.spec" >"$obj/modules.cpio"
put "$obj/modules.cpio" "$modules"
put "$obj/vmlinux" "$build/$name"
