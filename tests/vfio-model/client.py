# SPDX-License-Identifier: GPL-2.0-or-later
"""A small VFIO client, and what a test of the model needs around it.

A test is a script with functions case_*, each given a topology and options
of vfio-model by the decorator @case.  Started plainly, the script starts
itself again under the model for each case; there, the function runs.
"""

import ctypes
import fcntl
import os
import re
import struct
import subprocess
import sys
import tempfile

from spapr_dma import model
from spapr_dma.tap import Tap

GIB = 1 << 30
MIB = 1 << 20
START64 = 1 << 59
SPAPR_V1, SPAPR_V2, TYPE1_V1, TYPE1 = 2, 7, 1, 3
READ, WRITE = 1, 2
START, STOP, GET_BITMAP = 1, 2, 4       # of dirty_pages

# Numbers of ioctls: VFIO_TYPE ';', VFIO_BASE 100
NUMBERS = {
    'check_extension': 1, 'set_iommu': 2, 'group_status': 3,
    'set_container': 4, 'unset_container': 5, 'get_device': 6,
    'get_irq_info': 9, 'set_irqs': 10, 'get_info': 12, 'map': 13,
    'unmap': 14, 'enable': 15, 'register': 17, 'unregister': 18,
    'create': 19, 'remove': 20, 'eeh': 21, 'dirty_pages': 17,
}

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                      ctypes.c_int, ctypes.c_int, ctypes.c_long]


def call(fd, name, argument=0):
    """The result, or minus the errno; a bytearray argument is updated."""
    if isinstance(argument, bytes):
        argument = bytearray(argument)
    try:
        return fcntl.ioctl(fd, ord(';') << 8 | 100 + NUMBERS[name], argument)
    except OSError as problem:
        return -problem.errno


def call_at(fd, name, address):
    """The result of a call with an argument that lies there."""
    ctypes.set_errno(0)
    result = libc.ioctl(fd, ctypes.c_ulong(ord(';') << 8 |
                                           100 + NUMBERS[name]),
                        ctypes.c_void_p(address))
    return -ctypes.get_errno() if result < 0 else result


class Memory:
    """Anonymous memory, aligned to 2 MiB."""

    def __init__(self, size):
        raw = libc.mmap(None, size + 2 * MIB, 3, 0x4022, -1, 0)
        self.address = raw + (-raw) % (2 * MIB)
        self.size = size

    def write(self, offset, data):
        ctypes.memmove(self.address + offset, data, len(data))

    def hide(self, offset, size):
        """No access any more, not the model's either."""
        libc.mprotect(ctypes.c_void_p(self.address + offset),
                      ctypes.c_size_t(size), 0)

    def read(self, offset, size):
        return ctypes.string_at(self.address + offset, size)


class Container:
    """A container with its groups and driver."""

    def __init__(self, driver, *groups):
        self.fd = os.open('/dev/vfio/vfio', os.O_RDWR)
        self.groups = [os.open(f'/dev/vfio/{group}', os.O_RDWR)
                       for group in groups]
        for group in self.groups:
            self.attach(group)
        self.set_iommu = call(self.fd, 'set_iommu', driver)

    def attach(self, group):
        return call(group, 'set_container', struct.pack('i', self.fd))

    def register(self, address, size):
        return call(self.fd, 'register', struct.pack('IIQQ', 24, 0, address,
                                                     size))

    def unregister(self, address, size):
        return call(self.fd, 'unregister', struct.pack('IIQQ', 24, 0,
                                                       address, size))

    def create(self, page_shift, size, levels=1):
        """The start of the new window, or minus the errno."""
        request = bytearray(struct.pack('IIIIQIIQ', 40, 0, page_shift, 0,
                                        size, levels, 0, 0))
        result = call(self.fd, 'create', request)
        return result or struct.unpack_from('Q', request, 32)[0]

    def remove(self, start):
        return call(self.fd, 'remove', struct.pack('IIQ', 16, 0, start))

    def map(self, iova, address, size, flags=READ | WRITE):
        return call(self.fd, 'map', struct.pack('IIQQQ', 32, flags, address,
                                                iova, size))

    def unmap(self, iova, size, flags=0):
        """The result, and the size that came back."""
        request = bytearray(struct.pack('IIQQ', 24, flags, iova, size))
        result = call(self.fd, 'unmap', request)
        return result, struct.unpack_from('Q', request, 16)[0]

    def dirty_pages(self, flags, more=b'', argsz=None):
        """More follows the flags; all of it, unless argsz says less."""
        argsz = 8 + len(more) if argsz is None else argsz
        return call(self.fd, 'dirty_pages',
                    struct.pack('II', argsz, flags) + more)

    def get_bitmap(self, iova, size, bitmap):
        """bitmap: page size, bytes, address."""
        return self.dirty_pages(GET_BITMAP,
                                struct.pack('QQQQQ', iova, size, *bitmap))

    def unmap_bitmap(self, iova, size, bitmap, flags=0, argsz=48):
        """As unmap(), with GET_DIRTY_BITMAP."""
        request = bytearray(struct.pack('IIQQQQQ', argsz, 1 | flags, iova,
                                        size, *bitmap))
        result = call(self.fd, 'unmap', request)
        return result, struct.unpack_from('Q', request, 16)[0]

    def close(self):
        for fd in self.groups + [self.fd]:
            os.close(fd)


class Device:
    """A device with a DMA engine; its registers are words, as in engine.h."""

    BAR0, BAR2, CONFIG = 0, 2 << 40, 7 << 40
    (ID, SOURCE, _, DESTINATION, _, LENGTH, DIRECTION, DOORBELL, RESULT,
     DONE, INTERRUPT, FAULT) = range(12)
    RESULTS = ['idle', 'ok', 'read fault', 'write fault', 'bad request',
               'no master', 'memory', 'frozen']
    COPY, IN, OUT = 0, 1, 2

    def __init__(self, group, name):
        self.fd = call(group, 'get_device', name.encode() + b'\0')

    def master(self, on=True):
        os.pwrite(self.fd, struct.pack('<H', 6 if on else 2),
                  self.CONFIG + 4)

    def set(self, register, *words):
        os.pwrite(self.fd, struct.pack(f'<{len(words)}I', *words),
                  self.BAR0 + 4 * register)

    def get(self, register):
        data = os.pread(self.fd, 4, self.BAR0 + 4 * register)
        return struct.unpack('<I', data)[0]

    def transfer(self, source, destination, length, direction=COPY):
        """What came of it, and the bytes that were moved."""
        low = 0xffffffff
        self.set(self.SOURCE, source & low, source >> 32, destination & low,
                 destination >> 32, length, direction)
        self.set(self.DOORBELL, 1)
        return self.RESULTS[self.get(self.RESULT)], self.get(self.DONE)

    def fault_address(self):
        return self.get(self.FAULT) | self.get(self.FAULT + 1) << 32

    def set_eventfd(self, index, vector, fd):
        return call(self.fd, 'set_irqs',
                    struct.pack('IIIIIi', 24, 4 | 32, index, vector, 1, fd))


def control(command):
    """Talk to the model that this process runs under."""
    return model.control(os.environ['VFIO_MODEL_CONTROL'], command)


def ledger():
    return model.ledger(os.environ['VFIO_MODEL_CONTROL'])


# ---- test lines ----

CASES = []


def case(topology, *options):
    """Run the function under the model of @topology with @options."""
    def add(function):
        CASES.append((function, topology, options))
        return function
    return add


def check(what, got, want):
    """One check of the running case."""
    if got == want:
        print(f'ok - {what}: {got!r}')
    else:
        print(f'not ok - {what}: {got!r}, expected {want!r}')


def _start(command, script, function, topology, options, folder):
    path = os.path.join(folder, 'topology')
    with open(path, 'w', encoding='utf-8') as file:
        file.write(topology)
    command = [command, 'run', '--topology', path, '--control',
               os.path.join(folder, 'control'), '--ledger',
               os.path.join(folder, 'ledger'), *options, '--',
               sys.executable, script, '--case', function.__name__]
    return subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


def _run_all(command, script):
    t = Tap()
    for function, topology, options in CASES:
        name = function.__name__.removeprefix('case_')
        with tempfile.TemporaryDirectory(prefix='vfio-model.') as folder:
            done = _start(os.path.abspath(command), script, function,
                          topology, options, folder)
        for line in done.stdout.splitlines():
            if found := re.match('(not )?ok - (.*)', line):
                t.check(not found[1], f'{name}: {found[2]}')
            else:
                t.note(line.removeprefix('# '))
        if done.returncode:     # whatever the checks said
            t.check(False, f'{name}: ended with {done.returncode}')
        for line in done.stderr.splitlines():
            t.note(line)
    return t.end()


def main():
    """SCRIPT MODEL, or what it becomes under the model."""
    if sys.argv[1] == '--case':
        case_function, = (function for function, _, _ in CASES
                          if function.__name__ == sys.argv[2])
        case_function()
    else:
        sys.exit(_run_all(sys.argv[1], os.path.abspath(sys.argv[0])))
