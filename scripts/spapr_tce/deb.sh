#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Build build/deb/linux-image-*.deb for POWER hosts: build/tree as Debian configures
# its own kernel for them.
#
#   SMALL=1	only the modules of configs/small.modules, and what they need
#   FLAVOUR	of Debian's kernel: powerpc64le (default, 4K pages) or powerpc64le-64k

. "$(dirname "$0")/lib.sh"
. "$here/apt.sh"

: "${SMALL:=}" "${FLAVOUR:=powerpc64le}"
obj=$tree/obj-deb${SMALL:+-small}-$FLAVOUR
log=$logs/deb.log

# '+t' sorts above the '+deb' that Debian's releases have, and so does the revision,
# which is the time of the last commit.
kmake() {
	make -C "$tree" O="$obj" CC="ccache ${CROSS_COMPILE}gcc" -j "$JOBS" \
		LOCALVERSION="+tce-$FLAVOUR${SMALL:+-small}" \
		KDEB_PKGVERSION="$(version_of "$tree")-1+tce$revision" "$@"
}
# Kconfig asks nothing here that has no default.
configure() {
	xz -dc "$file" | cat - "$top/configs/deb.config" >"$obj/.config" &&
	kmake olddefconfig || return
	[ -n "$SMALL" ] || return 0
	sed '/^#/d' "$top/configs/small.modules" | tr -s ' ' '\n' >"$obj/lsmod"
	yes '' | kmake LSMOD="$obj/lsmod" localmodconfig
}
# A name that nothing is built for would be missed on a machine first.
all_named() {
	cat "$obj/modules.order" "$obj/modules.builtin" | sed 's|.*/||; s|\..*||; y|-|_|' |
		sort -u >"$obj/built"
	! sort -u "$obj/lsmod" | grep -vxF -f "$obj/built"
}
# Headers and the C library's would be packages, too, which are Debian's affair.
package() {
	DEB_BUILD_PROFILES="pkg.linux-upstream.nokernelheaders" kmake bindeb-pkg
}

"$here/setup.sh" deb
"$here/tree.sh"
lock deb
mkdir -p "$obj" "$logs" "$CCACHE_DIR" "$build/deb"
revision=$(git -C "$top" -c safe.directory='*' log -1 --date=format:%Y%m%d%H%M --format=%cd)
debian_config "$FLAVOUR" ||
	die "there is no $package to be had, which has Debian's configuration (build/log/config-fetch.log)"
configure >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "kernel configuration failed; see $log"; }
kmake -s prepare >>"$log" 2>&1 || die "the kernel cannot be prepared; see $log"
steps=$(kmake -n vmlinux modules 2>/dev/null | grep -c "echo '  [A-Z]")
say "about $steps steps, $((steps / JOBS / 60)) minutes at one a second on each of $JOBS processors"
long "deb${SMALL:+-small}" "$log" package
[ -z "$SMALL" ] || all_named || die "configs/small.modules names what Debian's kernel does not have"
rm -f "$tree"/linux-libc-dev_*.deb "$tree"/linux-upstream_*
mv -f "$tree"/linux-image-*.deb "$build/deb"
ls "$build"/deb/*.deb
