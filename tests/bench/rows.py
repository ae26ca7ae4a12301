# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured, and how.

A Figure is one number that both binaries have; a measurement is a function
that takes a Side (one of the two binaries) and a Scale, and returns a
dictionary of figure keys and numbers.  Figures that come from one run of a
machine share a measurement.  A number is None if that side cannot do it.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time

from qemu.machine import QEMUQtestProtocol

from bare_guest import Machine
from spapr_dma import images, paths, powerhost, process
from spapr_dma.guest_program import (BIG_LIOBN, BIG_START, DEFAULT_LIOBN,
                                     H_GET_TCE, H_PUT_TCE, H_STUFF_TCE,
                                     READ_WRITE, Trouble)

HERE = paths.TOP / 'tests/bench'
DEVICE = 'vfio-pci,host=0001:01:00.0,id=vfio0'
HOTPLUG = {'driver': 'vfio-pci', 'host': '0001:01:00.0', 'id': 'vfio0'}
HOST = """\
host flavour=powernv page=64K memlock=4096T
group 1
device 0001:01:00.0 group=1 kind=plain
"""
SHIFT = 16                  # of the pages of windows
VFIO_IOMMU_MAP_DMA = 0x3b71
SPARSE = ['-global', 'spapr-tce-table.sparse-migration=on']


@dataclasses.dataclass
class Scale:
    """How large the workloads are."""
    window_bits: int        # log2 of the entries of the large window
    mapped: int             # entries mapped in it
    stream_bits: int        # the same window where all of it is transferred
    ram_bits: int           # log2 of the pages of a guest that maps its RAM
    calls: int              # hypercalls in a loop
    counted: int            # hypercalls under callgrind
    read_mib: int           # that a Linux guest reads


FULL = Scale(window_bits=30, mapped=1 << 19, stream_bits=26, ram_bits=20,
             calls=1 << 18, counted=20000, read_mib=512)
QUICK = Scale(window_bits=23, mapped=1 << 16, stream_bits=20, ram_bits=16,
              calls=1 << 16, counted=4000, read_mib=0)


def table_limit(scale):
    """Bytes that entries may take, a little for what holds them included."""
    return 1.05 * 8 * scale.mapped + (1 << 20)


def stream_limit(scale):
    return 1.05 * 8 * scale.mapped


@dataclasses.dataclass
class Side:
    name: str
    binary: pathlib.Path
    ours: bool


@dataclasses.dataclass
class Figure:
    """A number to compare.

    bound: least ratio, how many times better ours must be; None: any
    limit: most that ours may take, called with the scale; None: any
    quick: the same for a quick run; None: too noisy there
    above: larger numbers are better
    steady: does not vary, one pair of runs is enough
    pairs: most pairs of runs, if each takes long
    best: the best run counts, since noise only ever makes it worse
    """
    key: str
    row: int
    title: str
    unit: str
    bound: float = None
    quick: float = None
    above: bool = False
    steady: bool = False
    limit: object = None
    pairs: int = None
    best: bool = False

    def verdict(self, entry, scale):
        """What to say of a comparison: nothing if it shows what it must."""
        if self.limit and entry['ours'] > self.limit(scale):
            return 'MISSED'
        if self.bound is None or entry['ratio'] >= self.bound:
            return ''
        return 'MISSED' if entry['greatest'] < self.bound else 'in the noise'

    def typical(self, samples):
        """The one of several samples that counts."""
        if self.best:
            return max(samples) if self.above else min(samples)
        return statistics.median(samples)

    def ratio(self, stock, ours):
        if self.above:
            stock, ours = ours, stock
        return stock / ours if ours else float('inf')


def host_calls(side, _scale):
    with Machine(side.binary, host=HOST, devices=[DEVICE]) as m:
        m.create(SHIFT, SHIFT + 20)
        before = m.ioctls()
        m.map(512)
        middle = m.ioctls()
        m.loop(1, H_STUFF_TCE, BIG_LIOBN, BIG_START, 0, 512)
        after = m.ioctls()
    return {'map-calls': middle['map'] - before.get('map', 0),
            'unmap-calls': after['unmap'] - middle.get('unmap', 0)}


def map_all(side, scale):
    """Map all RAM of a large guest, in order and out of order."""
    pages = 1 << scale.ram_bits
    with Machine(side.binary, memory=pages >> 4, host=HOST,
                 devices=[DEVICE]) as m:
        m.create(SHIFT, SHIFT + scale.ram_bits + 4)
        # The first touch of memory, which is not what is measured
        m.map(pages, pages=pages)
        m.loop(pages // 512, H_STUFF_TCE, BIG_LIOBN, BIG_START, 0, 512,
               512 << SHIFT)
        ordered = m.map(pages, pages=pages).seconds
        clear = m.loop(pages // 512, H_STUFF_TCE, BIG_LIOBN, BIG_START, 0,
                       512, 512 << SHIFT).seconds
        before = m.cpu_seconds()
        scattered = m.map(pages, pages=pages, factor=77777).seconds
        busy = m.cpu_seconds() - before
    return {'map-ordered': ordered, 'clear-ordered': clear,
            'map-scattered': scattered, 'scattered-cpu': busy}


def replay(side, scale):
    """Plug a VFIO device in beside a window that is in use."""
    with Machine(side.binary, memory=1024, host=HOST) as m:
        m.create(SHIFT, SHIFT + scale.window_bits)
        m.map(scale.mapped)
        return {'replay': m.timed('device_add', **HOTPLUG)}


def clear(side, scale):
    """End a window that is in use, in each way there is."""
    def best(end):
        def once():
            m.create(SHIFT, SHIFT + scale.window_bits)
            m.map(scale.mapped)
            return end()
        # Of a few, since the others were interrupted
        return min(once() for _ in range(5))

    with Machine(side.binary) as m:
        return {'remove': best(lambda: m.remove().seconds),
                'reset-windows': best(lambda: m.reset_windows().seconds),
                'reset-machine': best(m.reset_machine)}


def _move(side, window, more=()):
    """Migrate; returns what QMP told and the receiver's memory in bytes."""
    with tempfile.TemporaryDirectory(prefix='bench.') as folder:
        uri = f'unix:{folder}/migrate'
        with Machine(side.binary, incoming=uri, more=more) as to, \
                Machine(side.binary, more=more) as m:
            if window:
                m.create(SHIFT, SHIFT + window[0])
                m.map(window[1])
            info = m.migrate_to(uri)
            to.ping()
            return info, to.resident()


def _moved_window(side, scale, more):
    """What the window adds to a migration: bytes, seconds, memory."""
    base, base_memory = _move(side, None, more)
    info, held = _move(side, (scale.stream_bits, scale.mapped), more)
    return (info['ram']['transferred'] - base['ram']['transferred'],
            info['downtime'] / 1e3, max(0, held - base_memory))


def migrate(side, scale):
    """Migrate in the form that the side likes best."""
    stream, downtime, held = _moved_window(side, scale,
                                           SPARSE if side.ours else ())
    return {'stream': stream, 'downtime': downtime, 'memory-migrated': held}


def migrate_as_stock(side, scale):
    """Migrate in the form that stock can receive."""
    stream, downtime, _ = _moved_window(side, scale, ())
    return {'stream-stock': stream, 'downtime-stock': downtime}


def memory(side, scale):
    """What a window in use costs, and what is left of that afterwards."""
    with Machine(side.binary) as m:
        m.create(SHIFT, SHIFT + 9)
        m.map(512)
        m.remove()
        before = m.resident()
        m.create(SHIFT, SHIFT + scale.window_bits)
        m.map(scale.mapped)
        used = m.resident()
        m.reset_machine()
        time.sleep(0.2)     # what is freed in the background
        m.create(SHIFT, SHIFT + scale.window_bits)
        m.map(scale.mapped)
        again = m.resident()
    return {'memory-mapped': max(0, used - before),
            'memory-reset': max(0, again - before)}


@contextlib.contextmanager
def _asked(m, command):
    """A machine that is asked ten times a second meanwhile."""
    end = threading.Event()

    def ask():
        while not end.wait(0.1):
            m.ask(command)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            end.set()
            asking.result()


def single_calls(side, scale):
    with Machine(side.binary) as m:
        def each(op):
            # The best of a few: the others were interrupted
            return min(m.loop(scale.calls, op, DEFAULT_LIOBN, 0, READ_WRITE)
                       .seconds for _ in range(7)) / scale.calls
        times = {'put-time': each(H_PUT_TCE), 'get-time': each(H_GET_TCE)}
        m.create(SHIFT, SHIFT + scale.window_bits)
        m.map(scale.mapped)
        # Stock has no view, so ours is to be no slower though it is looked at
        with _asked(m, 'query-spapr-dma' if side.ours else 'query-status'):
            times['put-watched'] = m.loop(
                scale.calls * 16, H_PUT_TCE, DEFAULT_LIOBN, 0,
                READ_WRITE).seconds / scale.calls / 16
        return times


def _callgrind(side, function, work, **machine_options):
    """Instructions in a function of QEMU and what it calls.

    Returns {name of the program or library: instructions}.
    """
    if not shutil.which('valgrind'):
        raise Trouble('valgrind is missing')
    with tempfile.TemporaryDirectory(prefix='bench.') as folder:
        valgrind = ['valgrind', '-q', '--tool=callgrind', '--vgdb=no',
                    f'--toggle-collect={function}',
                    f'--callgrind-out-file={folder}/out']
        with Machine(side.binary, wrapper=valgrind, **machine_options) as m:
            work(m)
            m.shutdown(timeout=60)
        out = pathlib.Path(folder, 'out').read_text(errors='replace')
    cost = _by_object(out.splitlines())
    if not cost.total():
        raise Trouble(f'{function} was never called: inlined, or renamed?')
    return cost


def _by_object(lines):
    """Sum up what a callgrind file tells of each program and library."""
    names, cost = {}, collections.Counter()
    here, in_call = None, False
    for line in lines:
        if found := re.match(r'(c?ob)=\((\d+)\)(?: .*/(.*))?', line):
            names.setdefault(found[2], found[3])
            here = names[found[2]] if found[1] == 'ob' else here
        elif line.startswith('calls='):
            in_call = True          # what follows is the cost of the callee
        elif found := re.match(r'[-+*\d]\S* (\d+)', line):
            cost[here] += 0 if in_call else int(found[1])
            in_call = False
    return cost


def instructions(side, scale):
    def each(function, op):
        cost = _callgrind(side, function, lambda m: m.loop(
            scale.counted, op, DEFAULT_LIOBN, 0, READ_WRITE))
        return cost.total() / scale.counted
    return {'put-instructions': each('h_put_tce', H_PUT_TCE),
            'get-instructions': each('h_get_tce', H_GET_TCE)}


def map_instructions(side, scale):
    """What is done for one TCE of those that map_all() has."""
    pages = min(1 << scale.ram_bits, 1 << 14)

    def each(factor):
        def work(m):
            m.create(SHIFT, SHIFT + 18)
            m.map(pages, pages=pages, factor=factor)
        cost = _callgrind(side, 'h_put_tce_indirect', work,
                          memory=pages >> 4, host=HOST, devices=[DEVICE])
        return [cost[name] / pages for name in
                ('qemu-system-ppc64', 'libc.so.6', 'libvfio-model.so')]
    qemu, library, host = each(1)
    return {'map-qemu': qemu, 'map-library': library, 'map-host': host,
            'scattered-qemu': each(77777)[0]}


def _longest_wait(loop, ended):
    """The slowest answer of the main loop, which needs the big lock, until
    ended().  By qtest: the client for QMP takes as long as what is measured.
    """
    longest = 0
    while True:
        start = time.monotonic()
        loop.cmd('endianness')
        longest = max(longest, time.monotonic() - start)
        if ended():
            return longest
        time.sleep(0.001)


def _hold(m, loop, *command):
    """The longest wait while the guest program does something."""
    m.send(*command)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        result = pool.submit(m.result)
        longest = _longest_wait(loop, result.done)
    result.result().checked()
    return longest


def lock(side, scale):
    """How long a hypercall keeps the main loop waiting, and thus QMP.

    The calls are H_PUT_TCE_INDIRECT, and H_STUFF_TCE of the whole window,
    populated in part.  Of a few rounds the best counts: what else goes on in
    this machine can only make the longest wait longer.
    """
    put, stuff, idle = [], [], []
    with tempfile.TemporaryDirectory(prefix='bench.') as folder:
        loop = QEMUQtestProtocol(f'{folder}/qtest', server=True)
        with Machine(side.binary, more=['-qtest', f'unix:{folder}/qtest',
                                        '-qtest-log', 'none']) as m:
            loop.accept()
            m.create(SHIFT, SHIFT + scale.window_bits)
            while len(put) < 25 and sum(stuff) < 2:
                end = time.monotonic() + 0.02
                idle.append(_longest_wait(loop,
                                          lambda: time.monotonic() > end))
                put.append(_hold(m, loop, 'map', BIG_LIOBN, BIG_START, SHIFT,
                                 scale.mapped, 0, 4096, 1))
                stuff.append(_hold(m, loop, 'loop', 1, H_STUFF_TCE, BIG_LIOBN,
                                   BIG_START, 0, 1 << scale.window_bits, 0,
                                   0))
        loop.close()
    return {'lock-stuff': min(stuff), 'lock-indirect': min(put),
            'lock-idle': min(idle)}


def _cross(name, ingredients, tool, *arguments):
    """File that a tool for ppc64le makes of its arguments, if need be."""
    def make():
        part = paths.BUILD / f'images/{name}.part'
        subprocess.run([images.CROSS + tool, '-o', part, *arguments],
                       check=True)
        try:
            return part.read_bytes()
        finally:
            part.unlink()
    return images.cached(name, (ingredients, arguments), make)


def _cross_built(source, *options):
    return _cross(source.stem, source.read_text(), 'gcc', '-O2', '-Wall',
                  '-Werror', *options, source)


def _reader():
    """The program that reads a disk in a Linux guest."""
    return _cross_built(HERE / 'guest/read-speed.c', '-static')


def _linux_initrd(kernel):
    init = (paths.TOP / 'tests/guest/init').read_text()
    reader = _reader()

    def make():
        archive = images.Archive()
        archive.userland()
        archive.file('/init', init)
        archive.file('/read-speed', reader.read_bytes())
        archive.file('/run', (HERE / 'guest/read-disk').read_text())
        archive.modules(kernel.modules('nvme'))
        return archive.bytes()

    return images.cached('bench-linux',
                         (kernel.release, init, reader.name,
                          (HERE / 'guest/read-disk').read_text()), make)


def _linux_reads(side, scale, ddw):
    kernel = images.Kernel('6.12-64k')
    with tempfile.TemporaryDirectory(prefix='bench.') as folder:
        disk = pathlib.Path(folder, 'disk')
        images.write_disk(disk, 64, 1)
        status, lines = process.run([
            side.binary, '-L', paths.firmware('vof.bin').parent,
            '-M', 'pseries,x-vof=on', '-cpu', 'power9', '-m', '1G',
            '-accel', 'tcg', '-nodefaults', '-display', 'none',
            '-serial', 'stdio', '-no-reboot',
            '-global', f'spapr-pci-host-bridge.ddw={ddw}',
            '-kernel', kernel.vmlinux, '-initrd', _linux_initrd(kernel),
            '-append', f'console=hvc0 quiet bench.mib={scale.read_mib}',
            '-drive', f'if=none,id=d0,format=raw,read-only=on,file={disk}',
            '-device', 'nvme,drive=d0,serial=disk0'], 300)
    found = dict(re.findall(r'^GUEST (\w+) (\d+) bytes/s', '\n'.join(lines),
                            re.M))
    if status or set(found) != {'random', 'sequential'}:
        raise Trouble('the Linux guest says: ' + ' / '.join(lines[-3:]))
    return int(found['random']), int(found['sequential'])


def linux_reads(side, scale):
    random_on, sequential_on = _linux_reads(side, scale, 'on')
    random_off, sequential_off = _linux_reads(side, scale, 'off')
    return {'nvme-random-big': random_on, 'nvme-random-default': random_off,
            'nvme-sequential-big': sequential_on,
            'nvme-sequential-default': sequential_off}


def _stock_ppc64le():
    path = pathlib.Path(os.environ.get('QEMU_STOCK_PPC64LE') or
                        paths.BUILD / 'stock-ppc64le/qemu-system-ppc64')
    if not path.exists():
        raise Trouble(f'{path} is missing: run make bench')
    info = path.stat()
    return _cross('stock-ppc64le', (info.st_mtime_ns, info.st_size), 'strip',
                  path)


class SteadyHost(powerhost.Host):
    """A host whose clock counts instructions, so that no other load of this
    machine changes how long something takes."""

    def _command(self, initrd, result):
        command = super()._command(initrd, result)
        command[command.index('tcg,thread=multi')] = 'tcg,thread=single'
        return command + ['-icount', 'shift=2,sleep=off']


def _guests_on_host(names):
    """Boot an emulated POWER host, and a guest on each QEMU in turn.

    Returns {name: {figure key: number}}.
    """
    kernel = images.Kernel('6.1')
    copies = {'stock': _stock_ppc64le(),
              'count-ioctls.so': _cross_built(HERE / 'host/count-ioctls.c',
                                              '-shared', '-fPIC'),
              'vmlinux': kernel.vmlinux,
              'guest-initrd': images.guest_initrd(
                  kernel, HERE / 'guest/nvme-ready')}
    with tempfile.TemporaryDirectory(prefix='bench.') as folder:
        disks = powerhost.make_disks(folder, 1, 16, 1)
        host = SteadyHost(disks=[path for path, _ in disks], copies=copies)
        if host.run(HERE / 'host/both', names, 900) != 0:
            raise Trouble('the host says: ' + ' / '.join(host.lines[-3:]))
    return {name: _guest_on_host(host, name) for name in names}


def _guest_on_host(host, name):
    """What became of the guest of one side."""
    log = host.text(name)

    def when(pattern):
        found = process.find(log, r'\[ *(\d+\.\d+)\] .*' + pattern)
        if not found:
            raise Trouble(f'{name}: no "{pattern}" in the log of the guest')
        return float(found[-1][1])

    ioctls = {int(number, 16): int(count) for number, count in
              (line.split() for line in host.text(name + '.ioctls') if line)}
    start, end = (float(line.split()[0])
                  for line in host.text(name + '.times') if line)
    return {'guest-whole': end - start,
            'guest-ready': when('nvme0: .* queues') -
                           when('ibm,query-pe-dma-windows'),
            'guest-ioctls': sum(ioctls.values()),
            'guest-maps': ioctls.get(VFIO_IOMMU_MAP_DMA, 0)}


_host_order = ['stock', 'ours']
_host_pair = {}             # what is known but was not asked for yet


def guest_on_host(side, _scale):
    """Both sides run in one host, whose boot takes as long as a guest's."""
    if side.name not in _host_pair:
        _host_pair.clear()
        _host_pair.update(_guests_on_host(_host_order))
        _host_order.reverse()
    return _host_pair.pop(side.name)


MEASUREMENTS = {
    host_calls: [
        Figure('map-calls', 1, 'H_PUT_TCE_INDIRECT of 512 contiguous '
               'entries, VFIO: MAP ioctls', 'calls', 512, 512, steady=True),
        Figure('unmap-calls', 2, 'H_STUFF_TCE of 512 zeros, VFIO: '
               'UNMAP ioctls', 'calls', 512, 512, steady=True)],
    map_all: [
        Figure('map-ordered', 3, 'map all RAM through VFIO, in order', 's',
               20, 2),
        Figure('clear-ordered', 3, 'unmap it again', 's', 1, 1),
        Figure('map-scattered', 4, 'map all RAM through VFIO, no two pages '
               'contiguous', 's', 1, 0.5, best=True),
        Figure('scattered-cpu', 4, 'the same: time of the CPUs', 's', 1, 0.5,
               best=True)],
    map_instructions: [
        Figure('map-qemu', 3, 'in order, instructions for a TCE: QEMU',
               'instr.', 1, 5, steady=True),
        Figure('map-library', 3, 'C library, which makes the ioctls',
               'instr.', steady=True),
        Figure('map-host', 3, 'model of the host', 'instr.', steady=True),
        Figure('scattered-qemu', 4, 'no two pages contiguous, instructions '
               'for a TCE: QEMU', 'instr.', 1, 1, steady=True)],
    replay: [
        Figure('replay', 5, 'plug in a VFIO device beside the large window',
               's', 100, 2, limit=lambda _: 0.5)],
    clear: [
        Figure('remove', 6, 'remove the large window', 's', 1, 0.2),
        Figure('reset-windows', 6, 'ibm,reset-pe-dma-window', 's', 1, 0.2),
        Figure('reset-machine', 6, 'machine reset', 's', 1, 0.2)],
    memory: [
        Figure('memory-mapped', 7, 'memory of the window in use', 'B',
               limit=table_limit),
        Figure('memory-reset', 7, 'the same after a machine reset', 'B',
               limit=table_limit)],
    migrate: [
        Figure('memory-migrated', 7, 'the same after a migration', 'B',
               limit=table_limit),
        Figure('stream', 8, "the window's part of a migration stream, ours "
               'to ours', 'B', 1, 1, steady=True, limit=stream_limit),
        Figure('downtime', 8, 'downtime, ours to ours', 's', 1, 0.3)],
    migrate_as_stock: [
        Figure('stream-stock', 8, 'stream in the form of stock', 'B', 0.999,
               0.99, steady=True),
        Figure('downtime-stock', 8, 'downtime, form of stock', 's', 1, 0.3)],
    single_calls: [
        Figure('put-time', 9, 'H_PUT_TCE, nobody listening', 's', 1, 0.4),
        Figure('get-time', 9, 'H_GET_TCE', 's', 1, 0.4),
        Figure('put-watched', 9, 'H_PUT_TCE, ours asked for the view ten '
               'times a second', 's', 1, 0.4, best=True)],
    instructions: [
        Figure('put-instructions', 9, 'H_PUT_TCE: instructions', 'instr.',
               1, 1.5, steady=True),
        Figure('get-instructions', 9, 'H_GET_TCE: instructions', 'instr.',
               1, 0.9, steady=True)],
    linux_reads: [
        Figure('nvme-random-big', 10, 'NVMe in Linux, 64-bit window: 4K '
               'random reads', 'B/s', 1, above=True),
        Figure('nvme-sequential-big', 10, 'NVMe in Linux, 64-bit window: '
               '1M sequential reads', 'B/s', 1, above=True),
        Figure('nvme-random-default', 10, 'NVMe in Linux, default window: '
               '4K random reads', 'B/s', 1, above=True),
        Figure('nvme-sequential-default', 10, 'NVMe in Linux, default '
               'window: 1M sequential reads', 'B/s', 1, above=True)],
    guest_on_host: [
        Figure('guest-ready', 11, 'Linux on an emulated POWER host: window '
               'created to NVMe ready', 's', 1, pairs=1),
        Figure('guest-whole', 11, 'the same guest: start to end of QEMU',
               's', 1, pairs=1),
        Figure('guest-ioctls', 11, 'the same guest: ioctls of QEMU', 'calls',
               1, pairs=1),
        Figure('guest-maps', 11, 'MAP ioctls among them', 'calls', 1,
               pairs=1)],
    lock: [
        Figure('lock-stuff', 12, 'longest wait for the main loop: '
               'H_STUFF_TCE of the large window', 's', 1, 1,
               limit=lambda _: 0.001, best=True, pairs=2),
        Figure('lock-indirect', 12, 'longest wait for the main loop: '
               'H_PUT_TCE_INDIRECT', 's', limit=lambda _: 0.001, best=True,
               pairs=2),
        Figure('lock-idle', 12, 'longest wait for the main loop: no hypercall '
               '(noise)', 's', best=True, pairs=2)],
}

# How the cost grows: of the window at constant contents, and of what is
# mapped in a window of constant size.  Stock stops where it gets too slow.

GROWTH = [clear, memory, replay, migrate]
GROWTH_FIGURES = ['remove', 'reset-windows', 'reset-machine',
                  'memory-mapped', 'replay', 'stream', 'downtime']
WINDOW_MAPPED = 1 << 16
MAPPED_BITS = 22


def growth_points(measure, ours):
    """Yield (axis, x, scale) for each machine to run."""
    def scale(bits, mapped):
        return dataclasses.replace(FULL, window_bits=bits, stream_bits=bits,
                                   mapped=mapped)

    last = 34 if ours else {replay: 28, migrate: 26}.get(measure, 30)
    for bits in range(20, last + 1, 2):
        yield 'window', 1 << bits, scale(bits, WINDOW_MAPPED)
    for bits in range(10, MAPPED_BITS + 1, 2):
        yield 'mapped', 1 << bits, scale(MAPPED_BITS, 1 << bits)
