# SPDX-License-Identifier: GPL-2.0-or-later
"""One guest with NVMe controllers passed through, and what came of it.

Boots an emulated POWER host that runs boot-guest.  Facts are what our QEMU
says of the windows when the guest has ended (query-spapr-dma), the guest's
console, and the host's kernel log.
"""

import collections
import json
import re
import tempfile

from spapr_dma import images, paths, powerhost, process

HERE = paths.TOP / 'tests/power-host'

KIB, MIB = 1 << 10, 1 << 20
DEFAULT_LIOBN, BIG_LIOBN = 0x80000000, 0x80000001
BIG_START = 1 << 59
Disk = collections.namedtuple('Disk', 'serial bytes md5')
Window = collections.namedtuple('Window', 'liobn kind start page_size size')
HostWindow = collections.namedtuple('HostWindow',
                                     'start page_size size levels')


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
        self.view = {'owners': []}  # what query-spapr-dma answers
        # LIOBN: what query-spapr-dma-runs lists
        self.runs = collections.defaultdict(list)

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
        for line in self.host.text('monitor'):
            answer = json.loads(line or '{}')
            if answer.get('id') == 'view':
                self.view = answer['return']
            elif 'id' in answer and 'return' in answer:
                self.runs[answer['id']] += answer['return']['runs']
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

    def _all(self, what):
        """The windows or the containers of all owners."""
        return [one for owner in self.view['owners'] for one in owner[what]]

    @property
    def windows(self):
        """Windows that there are in the end, by number."""
        return [Window(window['liobn'], window['kind'], window['first'],
                       window['page-size'],
                       window['last'] - window['first'] + 1)
                for window in self._all('windows')]

    @property
    def handlers(self):
        """{LIOBN: who carries out its hypercalls, and why}"""
        return {window['liobn']: window['handler']
                for window in self._all('windows')}

    @property
    def containers(self):
        """What mirrors the windows, by number, with the host windows."""
        return [(container['kind'], container['vfio']['groups'],
                 [HostWindow(made.get('start'), made.get('page-size'),
                             made.get('size'), made.get('levels'))
                  for window in owner['windows']
                  for made in window['containers']
                  if made['container'] == container['id']])
                for owner in self.view['owners']
                for container in owner['containers']]

    @property
    def groups(self):
        """Numbers of the host's groups that belong to the guest."""
        return [int(group) for _, group, _ in self.devices]

    @property
    def registered(self):
        """(ranges, bytes) of each container that registers RAM."""
        found = [container['vfio'].get('registration')
                 for container in self._all('containers')]
        return [(r['ranges'], r['bytes']) for r in found if r]

    @property
    def maps_refused(self):
        """How many runs the host has not mapped, over all containers."""
        return sum(container['vfio']['maps-refused']
                   for container in self._all('containers'))

    def counters(self, liobn):
        """What has happened to a window, as SpaprDmaCountersInfo has it."""
        return next((window['counters'] for window in self._all('windows')
                     if window['liobn'] == liobn), {})

    def calls(self, liobn):
        """TCE hypercalls for a window that came to QEMU."""
        counters = self.counters(liobn)
        return sum(counters.get(kind, 0)
                   for kind in ('put', 'put-indirect', 'stuff'))

    def maps(self, liobn):
        """(runs, pages) of a window that containers have mapped."""
        counters = self.counters(liobn)
        return counters.get('maps'), counters.get('mapped-pages')

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
