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
modules=$build/modules$(kernel_name "$CONFIG").cpio
obj=$src/obj-$CONFIG

# With the variables that a configuration needs from the command line of make
kmake() {
	# shellcheck disable=SC2046 # a list of words
	make -C "$src" O="$obj" CC="ccache ${CROSS_COMPILE}gcc" -j "$JOBS" \
		$(sed -n 's/^#make //p' "$obj/fragment") "$@"
}

# A module after those whose symbols it uses
in_order() {
	while read -r ko; do
		m=$(basename "$ko" .ko)
		echo "$m $m"
		tr '\0' '\n' <"$ko" | sed -n 's/^depends=//p' | tr , '\n' |
			sed "/./!d; s/\$/ $m/"
	done <"$obj/modules.files" | tsort
}

lock "$name"
mkdir -p "$obj" "$CCACHE_DIR"
fragments "$CONFIG" >"$obj/fragment"
kmake -s KCONFIG_ALLCONFIG="$obj/fragment" allnoconfig \
	>"$obj/config.log" 2>&1 </dev/null ||
	{ cat "$obj/config.log" >&2; die "kernel configuration failed"; }
# Kconfig drops without a word what its dependencies do not allow.
wanted "$obj/fragment" "$obj/.config" >"$obj/refused"
[ ! -s "$obj/refused" ] || {
	cat "$obj/refused" >&2
	die "configs/$CONFIG.config asks for what this kernel does not give"
}
[ -f "$obj/vmlinux" ] || say "building $name: some minutes the first time"
if ! grep -q '^CONFIG_[A-Z0-9_]*=m$' "$obj/.config"; then
	long "$name" "$logs/$name.log" kmake V="${V:-0}" vmlinux
	rm -f "$modules"
else
	long "$name" "$logs/$name.log" kmake V="${V:-0}" vmlinux modules
	sed "s|^|$obj/|; s|\.o\$|.ko|" "$obj/modules.order" >"$obj/modules.files"
	in_order >"$obj/modules.list"
	{
		echo "dir /modules 0755 0 0"
		echo "file /modules/list $obj/modules.list 0644 0 0"
		sed 's|.*/\(.*\)|file /modules/\1 & 0644 0 0|' "$obj/modules.files"
	} >"$obj/modules.spec"
	"$obj/usr/gen_init_cpio" "$obj/modules.spec" >"$obj/modules.cpio"
	put "$obj/modules.cpio" "$modules"
fi
put "$obj/vmlinux" "$build/$name"
