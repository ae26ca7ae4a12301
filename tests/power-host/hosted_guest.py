# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest with NVMe controllers passed through, and what came of it.

Boots an emulated POWER host that runs boot-guest, and takes the facts out of
the guest's console and our trace (one stream, in order) and out of the
host's kernel log.
"""

import collections
import re
import tempfile

from spapr_dma import images, paths, powerhost, process

HERE = paths.TOP / 'tests/power-host'

MIB = 1 << 20
DEFAULT_LIOBN, BIG_LIOBN = 0x80000000, 0x80000001
BIG_START = 1 << 59
TCE_CALL = r'spapr_iommu_pci_(?:put|indirect|stuff) liobn=(0x[0-9a-f]+)'

Disk = collections.namedtuple('Disk', 'serial bytes md5')
Window = collections.namedtuple('Window', 'liobn start shift size mappers')
HostWindow = collections.namedtuple('HostWindow', 'start shift size levels')


def numbers(matches):
    """The groups of every match, as numbers; None where there is none."""
    return [tuple(g and int(g, 0) for g in m.groups()) for m in matches]


class HostLog:
    """DMA windows as the host kernel told of them, per PE."""

    EVENT = re.compile(r'pci (\S+) +: \[PE# +\S+\] (?:'
                       r'Setting up window#(\d) (\S+)\.\.(\S+) pg=(\S+)|'
                       r'Removing DMA window #(\d))')

    def __init__(self, lines):
        self.now = collections.defaultdict(dict)    # bus: {number: window}
        self.made = collections.defaultdict(list)   # bus: [window]
        for line in lines:
            event = self.EVENT.search(line)
            if not event:
                continue
            bus, number, start, last, page, gone = event.groups()
            if gone is not None:
                self.now[bus].pop(int(gone), None)
                continue
            start, last, page = (int(x, 16) for x in (start, last, page))
            window = start, page.bit_length() - 1, last - start + 1
            self.now[bus][int(number)] = window
            self.made[bus].append(window)


class Passthrough:
    """A run with count disks of mib MiB under accel ('kvm' or 'tcg').

    vfio_option goes to every vfio-pci device but the first; copies: more
    files for the host, {name in /in: path}; odd: how it is, see odd-host.c.
    """

    SCRIPT = 'boot-guest'
    TRACES = ()

    def __init__(self, accel, count, mib, seed, vfio_option='',
                 kernel='6.12-64k', model='powernv9', guest='6.12-64k',
                 copies=None, odd=''):
        self.accel, self.count, self.mib, self.seed = accel, count, mib, seed
        self.option = vfio_option
        self.kernel, self.model = kernel, model
        self.guest_kernel = images.Kernel(guest)
        self.args = [accel, vfio_option, odd]
        self.copies = dict(copies or {})
        self.expected = []

    def initrd(self):
        """Path of the guest's initramfs."""
        return images.guest_initrd(self.guest_kernel)

    def run(self, time_limit, on_line=None):
        """Returns the exit status of the script; raises TimeLimit."""
        with tempfile.TemporaryDirectory(prefix='passthrough.') as folder:
            disks = powerhost.make_disks(folder, self.count, self.mib,
                                         self.seed)
            self.expected = [Disk(f'disk{n}', self.mib * MIB, md5)
                             for n, (_, md5) in enumerate(disks)]
            self.host = powerhost.Host(
                self.model, self.kernel, [path for path, _ in disks],
                {'vmlinux': self.guest_kernel.vmlinux,
                 'guest-initrd': self.initrd(), **self.copies},
                traces=self.TRACES)
            status = self.host.run(HERE / self.SCRIPT, self.args, time_limit,
                                   on_line)
        self.lines = self.host.text('guest')
        return status

    def _find(self, pattern):
        return process.find(self.lines, pattern)

    @property
    def disks(self):
        """What the guest read, by serial: it finds them in any order."""
        return sorted(Disk(m[1], int(m[2]), m[3]) for m in self._find(
            r'^GUEST disk (\S+) bytes (\d+) md5 (\S+)'))

    @property
    def devices(self):
        """(address, group, driver) of the host's devices."""
        return [m.groups() for m in process.find(
            self.host.lines, r'^HOST device (\S+) group (\d+) driver (\S+)')]

    @property
    def windows(self):
        """Windows in the order in which they were enabled.

        With as many mappers as each has had at once.
        """
        found = []
        for liobn, start, shift, entries, mappers in numbers(self._find(
                r'spapr_dma_window_(?:enable|attach) liobn=(\w+)'
                r'(?: bus_offset=(\w+) page_shift=(\w+) entries=(\w+))? '
                r'mappers=(\w+)')):
            if start is not None:
                found.append(Window(liobn, start, shift, entries << shift,
                                    mappers))
                continue
            # What attaches to a window while it is enabled comes before that
            for n, window in reversed(list(enumerate(found))):
                if window.liobn == liobn:
                    found[n] = window._replace(
                        mappers=max(mappers, window.mappers))
                    break
        return found

    @property
    def tables(self):
        """{LIOBN: fd of the table that KVM had last}, -1: it made none."""
        return dict(numbers(self._find(
            r'spapr_dma_kvm_enter liobn=(\w+) fd=(-?\d+)')))

    @property
    def created(self):
        """(page size, start, LIOBN) of the windows that the guest made."""
        return numbers(self._find(
            r'spapr_iommu_ddw_create .*page size=(\w+), requested=\w+, '
            r'start addr=(\w+), liobn=(\w+)'))

    @property
    def host_windows(self):
        """Windows that we made in the host, over all containers."""
        return [HostWindow(start, shift, size, levels)
                for shift, levels, size, start in numbers(
                    self._find(r'vfio_spapr_create_window pageshift=(\w+) '
                               r'levels=(\w+) winsize=(\w+) offset=(\w+)'))]

    @property
    def attached(self):
        """(group fd, table fd) of the tables that KVM was told of."""
        return numbers(self._find(
            r'Attached groupfd (\d+) to liobn fd (\d+)'))

    def _kvm(self):
        """What KVM made, see kvm_tables, and {LIOBN: fd} of what it has."""
        made, having = [], {}
        told = collections.defaultdict(set)
        for group, table, entered, fd, left in numbers(self._find(
                r'Attached groupfd (\d+) to liobn fd (\d+)|'
                r'spapr_dma_kvm_enter liobn=(\w+) fd=(\d+)|'
                r'spapr_dma_kvm_leave liobn=(\w+)')):
            if group is not None:
                told[table].add(group)
            elif entered is not None:
                made.append((entered, told[fd]))
                having[entered] = fd
            else:
                told.pop(having.pop(left), None)
        return made, having

    @property
    def kvm_tables(self):
        """(LIOBN, groups) of each table that KVM made, in order.

        The groups are the fds of those that KVM was told of while it had the
        table.
        """
        return self._kvm()[0]

    @property
    def with_kvm(self):
        """LIOBNs of the windows that KVM has in the end."""
        return set(self._kvm()[1])

    @property
    def registered(self):
        """Bytes registered with the host, one entry per registration."""
        return [size for size, ret in numbers(self._find(
            r'vfio_prereg_register va=\w+ size=(\w+) ret=(-?\d+)'))
            if ret == 0]

    @property
    def mapped(self):
        """(container fd, iova, bytes, result) of maps asked of the host."""
        return numbers(self._find(
            r'vfio_spapr_map container fd=(\d+) iova=(\w+) va=\w+ '
            r'size=(\w+) ret=(-?\d+)'))

    def calls(self, liobn):
        """TCE hypercalls QEMU saw for a window: before and while reading."""
        start = next((n for n, line in enumerate(self.lines)
                      if line.startswith('GUEST reading')), len(self.lines))
        return tuple(
            sum(int(m[1], 0) == liobn for m in process.find(part, TCE_CALL))
            for part in (self.lines[:start], self.lines[start:]))

    @property
    def host_log(self):
        """(before the guest, from then to after its end)."""
        boot = self.host.text('dmesg.boot')
        return HostLog(boot), HostLog(boot + self.host.text('dmesg'))

    @property
    def host_complaints(self):
        """Lines of the host kernel's log that tell of a bug."""
        return [line for line in self.host.text('dmesg')
                if re.search(r'WARNING: |BUG: |Oops', line)]
