# SPDX-License-Identifier: GPL-2.0
#
# The front door.  Every target is a script of scripts/spapr_tce/, which
# brings about whatever it needs first; variables given here reach it through
# the environment.

S := scripts/spapr_tce

# What $(make -s source) gives when that fails would be taken for no KSRC at all.
ifeq ($(origin KSRC)/$(KSRC),command line/)
$(error KSRC is empty: has `make source` failed?)
endif

export RFC ONLY STEPS KSRC SUITE SMALL FLAVOUR MACHINE CONFIG BASE TESTS CHECKS TIME LONG V JOBS MITIGATIONS

help:   ## this text
	@echo 'make TARGET [VARIABLE=value]...'
	@echo
	@sed -n 's/^\([a-z][a-z-]*\):.*## */  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo
	@sed -n 's/^#V  */  /p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

setup:  ## install the Debian packages that are missing
	@$S/setup.sh static host bench clients docs
source: ## fetch the newest kernel source of SUITE, and say where it is, for KSRC=
	@$S/source.sh
tree:   ## assemble the kernel tree in build/tree: base, our files, our hooks
	@$S/tree.sh
kernel: ## build build/vmlinux (build/vmlinux-CONFIG, build/vmlinux-base)
	@$S/kernel.sh
tests:  ## build/selftests/: the kselftests, static, to be copied to a POWER host
	@$S/initrd.sh
run:    ## boot an emulated POWER9 and show device DMA through on-demand tables
	@$S/run.sh
shell:  ## a shell on an emulated host with QEMU, perf, trace-cmd and a disk to pass through
	@$S/check-clients.sh --shell
check:  ## check-static, -docs, -host, -mutants, -qemu, -clients; the total last
	@$S/check.sh static docs host mutants qemu clients
check-static: ## checkpatch, sparse, W=1, shellcheck and house rules
	@$S/check.sh static
check-docs: ## build our documents; spelling, and figures as they were printed
	@$S/check.sh docs
check-host: ## the scripts, and the kernel's files compiled for this machine
	@$S/check.sh host
check-kunit: ## the KUnit tests alone, by kunit.py on an emulated LPAR
	@$S/check.sh kunit
check-mutants: ## break the kernel's files one by one: a test must notice
	@$S/check.sh mutants
mutants: ## the same with all mutants that are made, which takes hours
	@SAMPLE=all $S/check.sh mutants
check-qemu: ## kselftests on emulated powernv8, 9, 10 and pseries
	@$S/check.sh qemu
check-stress: ## everything at once on several devices, for TIME seconds and test
	@TESTS=stress $S/check.sh qemu
check-compat: ## answers that differ from the base kernel's, against the list of them
	@$S/check.sh compat
check-clients: ## Debian's QEMU on emulated powernv8 and 9: guests with a disk passed through
	@$S/check.sh clients
check-iommufd: ## the vfio selftests of 7.x, on emulated powernv8 and 9
	@$S/check.sh iommufd
check-debug: ## check-qemu and check-clients on kernels with KASAN, lockdep, KCSAN
	@$S/check.sh debug:qemu kcsan:qemu kcsan8:qemu debug:clients
fuzz:   ## fuzz the container driver on this machine for TIME seconds
	@$S/fuzz.sh
bench:  ## instructions per TCE, base kernel beside ours
	@$S/bench.sh
bench-hcalls: ## instructions per hypercall of a guest, base beside ours
	@$S/count.sh hcalls
profile: ## which functions the instructions of a one-page request are in
	@$S/count.sh profile
bench-host: ## ns per TCE on this processor, the base's files beside ours
	@$S/bench-host.sh
	@$S/bench-host.sh domain
bench-domain: ## ns per page of a paging domain, generic_pt of x86 beside ours
	@$S/bench-host.sh domain
series: ## export build/series/*.patch for git am or git send-email, signed off by git's user
	@$S/series.sh
deb:    ## build/deb/linux-image-*.deb for POWER hosts, configured as Debian's own
	@$S/deb.sh
check-deb: ## install it in an emulated host's Debian, boot that, use it, go back
	@SMALL=1 $S/check.sh deb
check-newcomer: ## make run, and compile for this machine, in fresh roots of Debian and Ubuntu
	@$S/check.sh newcomer
check-series: ## apply, build and boot the series patch by patch
	@$S/check.sh series
fixes:  ## export build/fixes/*.patch: fixes of the base for git am, without the rest
	@$S/series.sh --fixes
check-fixes: ## apply, build and boot the fixes one by one: red before, green after
	@$S/check.sh fixes
clean:  ## remove build/ (the compiler cache stays)
	rm -rf build

#V KSRC=PATH	another 6.12 or 7.x source: a directory or a tarball
#V SUITE=NAME	source: of which Debian suite (default trixie-backports)
#V MACHINE=NAME	powernv8, powernv9 (default), powernv10 or pseries
#V CONFIG=NAME	default (64K pages), 4k, debian, debug, kcsan, kcsan8 or run (smaller)
#V TESTS=a,b	check-qemu, check-clients: only these test programs
#V CHECKS=a,b	check-static, check-docs: only these
#V BASE=1	kernel, run: the base kernel, without a file of ours
#V TIME=SECONDS	fuzz: how long (default 600); check-stress: each test (default 8)
#V SMALL=1	deb: only the modules that a host with VFIO and KVM needs
#V FLAVOUR=NAME	deb: powerpc64le (default) or powerpc64le-64k, as Debian has them
#V LONG=1	check-clients: on an LPAR, too, where it takes ten minutes, and clients of /dev/iommu;
#V		check-qemu: a device is handed round 200 times (domain)
#V RFC=NAME	series: domain (the paging domain alone), fixes, or all but the fixes (default)
#V ONLY=objects	check-series: compile what the patches touch, and boot nothing
#V STEPS="N..."	check-series: only these patches, on top of those before
#V MITIGATIONS=off	profile: boot with mitigations=off
#V APART=N	profile: map each page N TCEs behind the one before (512: each makes a leaf)
#V JOBS=N	parallel jobs (default: as many as processors)
#V V=1	show every command of long steps

.PHONY: $(shell sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))
