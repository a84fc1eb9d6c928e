#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# check-config.sh CONFIG FILE: print how FILE, the .config of CONFIG, differs
# from Debian's kernel of the same page size in ways that configs/distribution
# does not explain. Ends with 4 where there is no package for this base, or it
# cannot be had.
#
#   SUITES	where the package is looked for

. "$(dirname "$0")/lib.sh"

config=$1 ours=$2
flavour=powerpc64le-64k
package=linux-config-$(base_name)
file=$cache/$package/config.ppc64el_none_$flavour.xz
SUITES=${SUITES:-bookworm-backports trixie}

fetch() {
	keys=/usr/share/keyrings/debian-archive-keyring.gpg
	mirror=$(apt-get --print-uris update 2>/dev/null |
		sed -n "s|^'\(.*\)/dists/.*|\1|p" | grep -v security | head -n 1)
	[ -f "$keys" ] && [ -n "$mirror" ] || return
	lock config
	apt=$cache/apt-ppc64el
	mkdir -p "$apt/lists/partial" "$apt/archives/partial"
	: >"$apt/status"
	for s in $SUITES; do
		echo "deb [signed-by=$keys] $mirror $s main"
	done >"$apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		APT::Architecture "ppc64el";
		APT::Architectures { "ppc64el"; };
		Dir::State "$apt";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		APT::Sandbox::User "root";
	END
	export APT_CONFIG="$apt/apt.conf"
	# A mirror may have lists that are newer than its packages.
	apt-get -q update || :
	cd "$apt" || return
	for s in $SUITES; do
		rm -f ./*.deb
		apt-get -q -t "$s" download "$package" || continue
		mkdir -p "$cache/$package"
		dpkg-deb --fsys-tarfile ./*.deb |
			tar -xf - -C "$cache/$package" --strip-components=4 \
			"./usr/src/$package"
		rm -f ./*.deb
		return
	done
	return 1
}

[ -f "$file" ] || fetch >"$logs/config-fetch.log" 2>&1 </dev/null || :
if [ ! -f "$file" ]; then
	say "there is no $package to compare with (build/log/config-fetch.log)"
	exit 4
fi

theirs=$(mktemp)
trap 'rm -f "$theirs"' EXIT
xz -dc "$file" >"$theirs"
awk -v what="$config" '
function parse(line)
{
	val = "n"
	if (line ~ /^# CONFIG_[A-Z0-9_]+ is not set/) {
		split(line, w, " ")
		key = substr(w[2], 8)
	} else if (line ~ /^CONFIG_/) {
		key = substr(line, 8, index(line, "=") - 8)
		val = substr(line, index(line, "=") + 1)
	} else {
		return 0
	}
	return 1
}
function known(key,    p)
{
	for (p in why)
		if (key ~ p)
			return 1
	return 0
}
FNR == 1	{ nr++; on = 0 }
nr == 1 {
	if (/\t/)
		why["^(" substr($0, 1, index($0, "\t") - 1) ")$"]
	next
}
/^# (General setup|Kernel options|Memory Management options|Security options|General architecture-dependent options)$/	{ on = 1 }
/^# end of (General setup|Kernel options|Memory Management options|Security options)$/	{ on = 0 }
# Modules have no heading.
/^CONFIG_BLOCK=/	{ on = 0 }
!parse($0)	{ next }
nr == 2 {
	if (on)
		want[key] = val
	next
}
{ got[key] = val }
END {
	for (k in want) {
		have = k in got ? got[k] : "n"
		if (have != want[k] && !known(k))
			print what ": " k " is " have ", " want[k] " in Debian"
	}
}' "$top/configs/distribution" "$theirs" "$ours" | sort
