# SPDX-License-Identifier: GPL-2.0-or-later
#
# Thin verbs; `make help` lists them.  What is tested is in meson.build, what
# is needed is in configure, which every verb runs: it does only what is left
# to do, and installs missing packages if it may.

TIERS = unit qtest vfio-model guest power-host upstream fuzz bench
MAY_INSTALL := $(shell test `id -u` = 0 || sudo -n true 2>/dev/null && \
                       echo --install-deps)

all: setup
	@scripts/build-target build/native.stamp native

help:
	@echo 'make              build QEMU with our DMA windows: build/qemu'
	@echo 'make demo         guest in host in emulated POWER9, step by step'
	@echo 'make check        all tests; ends with a line of counts'
	@echo 'make check-TIER   one tier: $(TIERS)'
	@echo 'make check-abi    the model of a VFIO host against six real kernels'
	@echo 'make check-ci     all tests, and 12 of the mutants'
	@echo 'make check-libvirt  what the manual says to type, with libvirt'
	@echo 'make check-model  a VFIO host that fails, call by call; base and ours'
	@echo 'make check-mutants  do the tests notice wrong changes? hours'
	@echo 'make check-races  guests of KVM at random, for $$SECONDS_TO_RUN (600)'
	@echo 'make check-stock  what the unmodified base gets wrong, and its own tests'
	@echo 'make bench        compare speed and scale with the unmodified base'
	@echo 'make bench-quick  the same in short, as a test'
	@echo 'make soak         let the fuzzer run for $$SECONDS_TO_RUN (3600)'
	@echo 'make clean        remove what was built, keep downloads'
	@echo 'make distclean    remove build/ altogether'

setup:
	@./configure $(MAY_INSTALL)

demo: setup
	@scripts/build-target build/native.stamp native
	@scripts/build-target build/ppc64le.stamp ppc64le
	@scripts/run-python tests/power-host/demo

check: setup
	@scripts/check

$(TIERS:%=check-%): check-%: setup
	@scripts/check $*

check-abi: setup
	@scripts/build-target build/native.stamp native
	@scripts/ninja build/project tests/vfio-model/vfio-model \
		tests/vfio-model/libvfio-model.so \
		tests/abi/abi-test tests/abi/abi-test.ppc64le
	@scripts/run-python tests/abi/compare-all \
		build/project/tests/vfio-model/vfio-model \
		build/project/tests/abi/abi-test \
		build/project/tests/abi/abi-test.ppc64le

check-mutants: setup
	@scripts/run-python tests/mutants/run

check-libvirt: setup
	@scripts/check libvirt

check-ci: setup
	@scripts/check --ci

check-model: setup
	@scripts/build-target build/asan.stamp asan
	@scripts/build-target build/stock.stamp stock
	@scripts/ninja build/project tests/vfio-model/vfio-model \
		tests/vfio-model/libvfio-model.so
	@scripts/run-python tests/vfio-model/sweep \
		build/project/tests/vfio-model/vfio-model \
		build/asan/qemu-system-ppc64
	@scripts/run-python tests/vfio-model/weaknesses \
		build/project/tests/vfio-model/vfio-model \
		build/asan/qemu-system-ppc64 build/stock/qemu-system-ppc64

check-races: setup
	@scripts/build-target build/native.stamp native
	@scripts/build-target build/ppc64le.stamp ppc64le
	@scripts/ninja build/project tests/power-host/odd-host.so
	@scripts/run-python tests/power-host/race-soak \
		--seconds $${SECONDS_TO_RUN:-600} \
		build/project/tests/power-host/odd-host.so

check-stock: setup
	@scripts/build-target build/native.stamp native
	@scripts/build-qemu stock
	@scripts/build-target build/ppc64le.stamp ppc64le
	@scripts/build-target build/stock-ppc64le.stamp stock-ppc64le
	@scripts/ninja build/project tests/vfio-model/vfio-model \
		tests/vfio-model/libvfio-model.so \
		tests/vfio-model/libhost-pages.so \
		tests/power-host/odd-host.so
	@scripts/stock-table
	@scripts/check --stock upstream

bench: setup
	@scripts/build-target build/native.stamp native
	@scripts/build-target build/stock.stamp stock
	@scripts/build-target build/ppc64le.stamp ppc64le
	@scripts/build-target build/stock-ppc64le.stamp stock-ppc64le
	@scripts/ninja build/project tests/vfio-model/vfio-model \
		tests/vfio-model/libvfio-model.so \
		tests/vfio-model/libhost-pages.so
	@scripts/run-python tests/bench/run

bench-quick: setup
	@scripts/check bench

soak: setup
	@scripts/build-target build/asan.stamp asan
	@scripts/run-python tests/fuzz/run-fuzz soak

clean:
	rm -rf build/project build/qemu build/qemu-ppc64le build/stock
	rm -rf build/asan build/fuzz build/stock-ppc64le
	rm -f build/*.stamp build/*.log

distclean:
	rm -rf build

.NOTPARALLEL:
.PHONY: all help setup demo check $(TIERS:%=check-%) check-abi \
        check-ci check-libvirt check-model check-mutants check-races \
        check-stock bench bench-quick soak clean distclean
