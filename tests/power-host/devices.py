# SPDX-License-Identifier: GPL-2.0-or-later
"""Drivers for devices of the guest program, as little as a test needs.

The guest program makes a hypercall or an RTAS call for each access, so they
run here.  A bus address is the one of a window, RAM is at a physical address;
who uses a driver has mapped one to the other.
"""

import time

from spapr_dma.guest_program import BUID, Trouble

READ_CONFIG, WRITE_CONFIG = 0x2016, 0x2017
# The cacheable kind goes to QEMU whatever is at the address
H_LOAD, H_STORE = 0x44, 0x48
MMIO, MMIO_BUS = 0x200080000000, 0x80000000     # of the first PHB
PHB_BYTES = 0x80000000                          # of MMIO for each
BAR_BYTES = 1 << 20                             # of bus for each device

COMMAND, STATUS, BAR0, CAPABILITIES = 4, 6, 0x10, 0x34
MEMORY_AND_MASTER, NO_INTX = 6, 1 << 10


class Ram:
    """Little-endian access to physical addresses."""

    def __init__(self, guest):
        self.guest = guest

    def load(self, size, address):
        result = self.guest.loop(1, H_LOAD, size, address)
        return int.from_bytes(result.values[0].to_bytes(8, 'big')[8 - size:],
                              'little')

    def store(self, size, address, value):
        value = int.from_bytes(value.to_bytes(size, 'little'), 'big')
        self.guest.loop(1, H_STORE, size, address, value)

    def bytes(self, address, count):
        return b''.join(self.load(8, address + at).to_bytes(8, 'little')
                        for at in range(0, count, 8))

    def clear(self, address, count):
        """All at once, by the steps of one loop"""
        self.guest.loop(count // 8, H_STORE, 8, address, 0, 0, 8)


class Device:
    """A PCI function on a bus of a PHB, its BARs put where slot says."""

    def __init__(self, guest, slot, bar, phb=0):
        self.guest, self.ram = guest, Ram(guest)
        self.buid = BUID[0], BUID[1] + phb
        self.place = slot << 11
        bus = MMIO_BUS + slot * BAR_BYTES
        self.registers = MMIO + phb * PHB_BYTES + slot * BAR_BYTES
        self.write_config(4, BAR0 + 4 * bar, bus)
        self.write_config(4, BAR0 + 4 * bar + 4, 0)
        self.write_config(2, COMMAND, MEMORY_AND_MASTER | NO_INTX)

    def read_config(self, size, register):
        result = self.guest.guest('rtas', READ_CONFIG, 2,
                                  self.place | register, *self.buid, size)
        return result.checked().values[0]

    def write_config(self, size, register, value):
        self.guest.guest('rtas', WRITE_CONFIG, 1, self.place | register,
                         *self.buid, size, value).checked()

    def get(self, size, register):
        return self.ram.load(size, self.registers + register)

    def put(self, size, register, value):
        self.ram.store(size, self.registers + register, value)


def _wait(what, done):
    for _ in range(600):
        if done():
            return
        time.sleep(0.1)
    raise Trouble(f'{what} does not answer')


class Nvme(Device):
    """The admin queue of an NVMe controller, in 8 KiB at ram and bus."""

    AQA, ASQ, ACQ, CC, CSTS = 0x24, 0x28, 0x30, 0x14, 0x1c
    ENTRIES, IDENTIFY = 8, 6

    def __init__(self, guest, slot, ram, bus, phb=0):
        super().__init__(guest, slot, 0, phb)
        self.queue, self.answers, self.sent = ram, ram + 4096, 0
        self.ram.clear(ram, 8192)
        self.put(4, self.CC, 0)
        _wait('NVMe', lambda: not self.get(4, self.CSTS) & 1)
        self.put(4, self.AQA, (self.ENTRIES - 1) << 16 | (self.ENTRIES - 1))
        for register, address in (self.ASQ, bus), (self.ACQ, bus + 4096):
            self.put(4, register, address & 0xffffffff)
            self.put(4, register + 4, address >> 32)
        self.put(4, self.CC, 4 << 20 | 6 << 16 | 1)
        _wait('NVMe', lambda: self.get(4, self.CSTS) & 1)

    def identify(self, bus):
        """Have the controller write 4 KiB about itself; returns its status."""
        entry = self.queue + self.sent % self.ENTRIES * 64
        answer = self.answers + self.sent % self.ENTRIES * 16
        phase = 1 - self.sent // self.ENTRIES % 2
        self.sent += 1
        for word, value in {0: self.IDENTIFY | self.sent << 16,
                            6: bus & 0xffffffff, 7: bus >> 32,
                            10: 1}.items():
            self.ram.store(4, entry + word * 4, value)
        self.put(4, 0x1000, self.sent % self.ENTRIES)
        _wait('NVMe', lambda: self.ram.load(2, answer + 14) & 1 == phase)
        self.put(4, 0x1004, self.sent % self.ENTRIES)
        return self.ram.load(2, answer + 14) >> 1


class VirtioBlock(Device):
    """One queue of a virtio disk, in 8 KiB at ram.

    4 KiB of that, with the rings, are at bus, the rest is at data_bus.
    """

    COMMON, NOTIFY = 1, 2           # kinds of capabilities
    ENTRIES = 8
    USED = 0x100                                # after the other ring
    HEADER, DONE, DATA = 0x100, 0x180, 0x200    # after the descriptors
    VERSION_1, ACCESS_PLATFORM = 1 << 32, 1 << 33
    DRIVER, FEATURES_OK, DRIVER_OK, NEEDS_RESET = 3, 8, 4, 0x40

    def __init__(self, guest, slot, ram, bus, data_bus):
        super().__init__(guest, slot, 4)
        self.rings, self.data, self.sent = ram, ram + 4096, 0
        self.data_bus = data_bus
        self.find()
        self.ram.clear(ram, 8192)
        self.common(1, 0x14, 0)
        self.common(1, 0x14, self.DRIVER)
        wanted = self.VERSION_1 | self.ACCESS_PLATFORM
        for half in 0, 1:
            self.common(4, 8, half)
            self.common(4, 12, wanted >> 32 * half & 0xffffffff)
        self.common(1, 0x14, self.DRIVER | self.FEATURES_OK)
        self.common(2, 0x16, 0)
        self.common(2, 0x18, self.ENTRIES)
        for register, address in (0x20, data_bus), (0x28, bus), \
                (0x30, bus + self.USED):
            self.common(4, register, address)
            self.common(4, register + 4, 0)
        self.common(2, 0x1c, 1)
        self.common(1, 0x14, self.DRIVER | self.FEATURES_OK | self.DRIVER_OK)

    def find(self):
        self.offsets = {}
        at = self.read_config(1, CAPABILITIES)
        while at:
            if self.read_config(1, at) == 9:
                self.offsets.setdefault(self.read_config(1, at + 3),
                                        self.read_config(4, at + 8))
            at = self.read_config(1, at + 1)

    def common(self, size, register, value):
        self.put(size, self.offsets[self.COMMON] + register, value)

    @property
    def broken(self):
        return bool(self.get(1, self.offsets[self.COMMON] + 0x14) &
                    self.NEEDS_RESET)

    def start(self, sector):
        """Have 512 bytes of the disk read."""
        self.ram.store(8, self.data + self.HEADER, 0)
        self.ram.store(8, self.data + self.HEADER + 8, sector)
        self.ram.store(1, self.data + self.DONE, 0xff)
        for n, (at, size, flags) in enumerate((
                (self.HEADER, 16, 1), (self.DATA, 512, 3),
                (self.DONE, 1, 2))):
            entry = self.data + 16 * n
            self.ram.store(8, entry, self.data_bus + at)
            self.ram.store(4, entry + 8, size)
            self.ram.store(2, entry + 12, flags)
            self.ram.store(2, entry + 14, n + 1)
        self.ram.store(2, self.rings + 4 + 2 * (self.sent % self.ENTRIES), 0)
        self.sent += 1
        self.ram.store(2, self.rings + 2, self.sent)
        self.put(2, self.offsets[self.NOTIFY], 0)

    def finish(self):
        """What has been read, or None if the disk has failed."""
        _wait('virtio', lambda: self.broken or
              self.ram.load(2, self.rings + self.USED + 2) == self.sent)
        if self.broken or self.ram.load(1, self.data + self.DONE):
            return None
        return self.ram.bytes(self.data + self.DATA, 512)

    def read(self, sector):
        self.start(sector)
        return self.finish()
