#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What a Debian on an emulated POWER host does with a package of a kernel, as the
# kernel's command line says (spapr_tce.step=): KTAP by /dev/kmsg, as our /init.
#
#   setup	as its first process: configure packages that are only unpacked
#   install	on the distribution's kernel: install the new one
#   use		on the new one: modules, DMA, QEMU as an ordinary user
#   back	on the distribution's kernel again: remove the new one
#
# The scripts are in /clients, and so is new.deb.

# Functions are called by name.
# shellcheck disable=SC2317

export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive HOME=/root LC_ALL=C.UTF-8
new=/clients/new.deb
log=/run/spapr_tce.log
n=0

say() { echo "tce: $*" >/dev/kmsg; }
# is NAME COMMAND...: a test, which passes if COMMAND succeeds; else what it said last
is() {
	name=$1
	shift
	n=$((n + 1))
	if "$@" >$log 2>&1; then
		say "  ok $n $name"
	else
		say "  # why: $(tail -n 1 $log)"
		say "  not ok $n $name"
		end='not ok'
	fi
}
runs() { uname -r && [ "$(uname -r)" = "$1" ]; }
newest() { linux-version list | linux-version sort | tail -n 1 | tee $log.newest && [ "$(cat $log.newest)" = "$1" ]; }
release() { dpkg-deb -f $new Package | sed 's/linux-image-//'; }
theirs() { linux-version list | grep -v tce; }
complete() { [ -s "/boot/vmlinux-$1" ] && [ -s "/boot/initrd.img-$1" ] && [ -s "/lib/modules/$1/modules.dep" ]; }
gone() { ! find /boot /lib/modules | grep -F "$1"; }
nothing() { "$@" && [ ! -s $log ]; }

test_setup() {
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t tmpfs tmpfs /run
	# All that Debian's kernel may need takes an emulated processor 20 minutes; the
	# new one's comes as on any machine.
	printf '%s\n' virtio_pci virtio_blk ext4 >/usr/share/initramfs-tools/modules.d/spapr_tce
	echo MODULES=list >/etc/initramfs-tools/conf.d/spapr_tce
	is "packages are configured" dpkg --force-unsafe-io --configure -a
	rm /etc/initramfs-tools/conf.d/spapr_tce
	echo "/dev/vda / ext4 defaults 0 1" >/etc/fstab
	echo host >/etc/hostname
	cat >/etc/systemd/system/spapr_tce.service <<-END
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		TimeoutStartSec=infinity
		ExecStart=/bin/sh /clients/deb.sh
	END
}

test_install() {
	is "the distribution's kernel runs" runs "$(theirs)"
	is "apt installs the package" apt-get -y install $new
	is "it sorts as the newest" newest "$(release)"
	is "so it does among Debian's own of this version" \
		dpkg --compare-versions "$(release)" gt "$(release | sed 's/+.*//')+deb99-powerpc64le"
	is "it has an initramfs and its modules" complete "$(release)"
	is "the distribution's kernel stays" complete "$(theirs)"
}

in_use() {
	/clients/demo & pid=$!
	until cat /sys/kernel/debug/spapr_tce/table-*/map >$log.map 2>/dev/null && [ -s $log.map ]; do
		kill -0 $pid || return
	done
	python3 /clients/tce-map --ascii $log.map >$log.drawn
	python3 /clients/tce-map --report >$log.report
	wait $pid
}
test_use() {
	is "the new kernel runs" runs "$(release)"
	is "the initramfs has found the root" grep '^/dev/vda / ext4' /proc/mounts
	is "no unit has failed" nothing systemctl --failed --no-legend --plain
	for m in vfio-pci vfio_iommu_spapr_tce kvm-hv; do
		is "modprobe $m" modprobe $m
	done
	is "a program does DMA through its own tables" in_use
	is "tce-map draws them" grep 'TCEs of' $log.drawn
	is "tce-map reports them" grep -x 'kernel: .*tce.*' $log.report
	# As the user of the guest, who is in the group that udev gives /dev/kvm to
	gid=$(getent group kvm | cut -d : -f 3) sh /clients/host.sh user >$log.qemu
	sed -n 's/^\(# .*\)/\1/p' $log.qemu | while read -r line; do say "  $line"; done
	while read -r line; do
		case $line in
		ok*)	is "QEMU: ${line#ok * }" true ;;
		not*)	is "QEMU: ${line#not ok * }" false ;;
		esac
	done <$log.qemu
}

test_back() {
	is "the distribution's kernel runs" runs "$(theirs)"
	is "apt removes the package" apt-get -y remove "linux-image-$(release)"
	is "nothing of it is left" gone "$(release)"
	is "the distribution's is the newest again" newest "$(theirs)"
	is "it is complete" complete "$(theirs)"
}

[ $$ != 1 ] || mount -t proc proc /proc
step=$(sed -n 's/.*spapr_tce.step=\([a-z]*\).*/\1/p' /proc/cmdline)
end=ok
say "KTAP version 1"
say "1..1"
say "# Subtest: $step"
"test_$step"
say "  1..$n"
say "$end 1 $step # exit 1"
say "=== end of tests ==="
sync
if [ $$ != 1 ]; then
	systemctl --no-block poweroff
	exit
fi
mount -o remount,ro /
echo o >/proc/sysrq-trigger
# The disk may go before the power does.
while :; do :; done
