# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of several tiers share.

paths      where the things are that were built
tap        results in the Test Anything Protocol
process    a command with a time limit, and what it printed
model      the control socket of the model of a host (tests/vfio-model)
images     Debian kernels, initramfs images, disks
powerhost  a Linux VFIO and KVM host on an emulated POWER machine
guest_program
           a guest that is nothing but the program of tests/bench/guest

What only one tier needs lies beside its programs.  scripts/run-python runs
a program with this package on its path.
"""
