# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests in which everything happens at once and at random, in a LiveHost.

All processors but the first one of a guest make hypercalls and RTAS calls
without end, see `storm` in tests/bench/guest/guest.c.  Meanwhile the first one
creates, removes and resets windows, devices of the host and DIMMs come and go,
the machine is reset, somebody looks at it, and the host is odd now and then.
Once in a while all of that stops and is looked at: a check.
"""

import collections
import contextlib
import itertools
import random
import re
import time

from devices import Nvme, Ram
from live_host import HOST_PAGE, HostGuest, no_trace, vfio
from spapr_dma.guest_program import (BIG_LIOBN, BUID, CREATE, DEFAULT_LIOBN,
                                     H_PUT_TCE, H_STUFF_TCE, READ_WRITE,
                                     REMOVE, RESET, Trouble)

MIB = 1 << 20
RAM, DIMM, MEMORY = 256 * MIB, 256 * MIB, '256M,slots=2,maxmem=1G'
QUEUE = RAM - HOST_PAGE         # of a device that is checked
STORM_BYTES = 256 << 16         # of a window, a storm gets no further
RATE = 100                      # calls of a storm, of which one is for windows
ACTIONS_PER_CHECK = 30
# A window of 1 GiB takes most of the time of whatever makes or clears it
SMALL = ['-global', 'spapr-pci-host-bridge.dma_win_size=0x10000000']
GUEST_SECONDS = 40              # and as long as the check after it takes
ENTRIES_TRIED = 3               # by each device in a check
# On which bridge each of the host's devices is
SHAPES = {'a group': [0], 'two groups': [0, 0], 'two bridges': [0, 1]}
BUSES = ['pci.0', 'other.0']
# See odd-host.c; a slow host makes little happen
ODD = [[], [], ['connect'], ['second'], ['map'], ['stuff'], ['table'],
       ['slow'], ['slow', 'second'], ['slow', 'map']]
ACCESS = {'read': 1, 'write': 2, 'read-write': 3}
# What QEMU may say: the host is odd, or a device comes whose host has no window
# where the guest has one
EXPECTED = re.compile('|'.join([
    r'^$',
    r'cpus requested .* exceeds the recommended cpus supported by KVM',
    r'KVM makes no table for the DMA window',
    r'KVM does not connect the DMA window',
    r'guest memory .* is not mapped for DMA at .*: Cannot allocate memory',
    r'cannot map all that the guest has mapped .*: Cannot allocate memory',
    r'does not lie in the only one of the host',
    r'host puts the DMA window at .*, the guest needs it at 0x100000000: ',
]))


class SoakGuest(HostGuest):
    """counts: {kind of action: [how many, good ones]}"""

    def __init__(self, host, dice, counts, processors, bridges):
        self.dice, self.counts, self.bridges = dice, counts, bridges
        self.disks = {}         # number: was the machine reset since it came?
        self.dimms = {}         # number: (address, the same)
        self.storms = range(1, processors)
        self.refusals = set()   # what QEMU said against devices and DIMMs
        self.most_pinned = 0    # pages, at a check
        self.differences = collections.defaultdict(list)
        other = ['spapr-pci-host-bridge,index=1,id=other']
        super().__init__(host, other if 1 in bridges else [],
                         processors=processors, memory=MEMORY, more=SMALL)

    def count(self, kind, good=True, calls=1):
        self.counts[kind][0] += calls
        self.counts[kind][1] += good

    # What goes on beside

    def begin(self):
        for processor in self.storms:
            self.storm(processor, self.dice.randrange(1, 1 << 63),
                       1 + max(self.bridges), RATE)

    def end(self):
        for processor in self.storms:
            for kind, (calls, good) in self.calm(processor).items():
                self.count(kind, good, calls)

    # Actions

    def any_bridge(self):
        return self.dice.choice(self.bridges)

    def call(self, kind, *words):
        self.count(kind, not self.guest('rtas', *words).status)

    def create_any(self):
        shift = self.dice.choice((12, 16))
        high, low = BUID
        self.call('create', CREATE, 4, 0, high, low + self.any_bridge(), shift,
                  shift + self.dice.randrange(12, 16))

    def remove_any(self):
        liobn = self.dice.choice((DEFAULT_LIOBN, BIG_LIOBN, BIG_LIOBN))
        self.call('remove', REMOVE, 1, liobn | self.any_bridge() << 8)

    def reset_any(self):
        high, low = BUID
        self.call('reset', RESET, 1, 0, high, low + self.any_bridge(),
                  *self.dice.choice(([], [], [1])))

    def change_disk(self):
        number = self.dice.randrange(len(self.bridges))
        if number in self.disks:
            self.unplug_disk(number)
            return
        bridge = self.bridges[number]
        version = {'x-spapr-v1': True} if not self.dice.randrange(4) else {}
        problem = self.plug(**vfio(self.host, number, bus=BUSES[bridge],
                                   **version))
        self.count('plug a device', not problem)
        if problem:
            self.refusals.add(problem)
        else:
            self.disks[number] = False

    def unplug_disk(self, number):
        connector = (0x40000000 | self.bridges[number] << 16 |
                     (1 + number) << 3)
        self.unplug(f'disk{number}',
                    *([connector] if self.disks.pop(number) else []))
        self.count('unplug a device')

    def change_dimm(self):
        number = self.dice.randrange(2)
        if number in self.dimms:
            self.unplug_dimm_number(number)
            return
        try:
            address = self.plug_dimm(DIMM, f'dimm{number}')
        except Trouble as problem:
            self.refusals.add(str(problem))
            self.ask('object-del', id=f'dimm{number}-ram')
            self.count('plug a DIMM', False)
            return
        self.dimms[number] = address, False
        self.count('plug a DIMM')

    def unplug_dimm_number(self, number):
        address, reset = self.dimms.pop(number)
        self.unplug_dimm(f'dimm{number}',
                         *([0x80000000 | address // DIMM, True]
                           if reset else []))
        self.count('unplug a DIMM')

    def reset_all(self):
        """What storms have done until then is counted half of the time."""
        if self.dice.randrange(2):
            self.end()
        self.reset_machine()
        self.disks = dict.fromkeys(self.disks, True)
        self.dimms = {number: (address, True)
                      for number, (address, _) in self.dimms.items()}
        self.count('reset the machine')
        self.begin()

    def be_odd(self):
        self.host.odd(*self.dice.choice(ODD))
        self.count('change the host')

    def look_at_runs(self):
        liobn = self.dice.choice((DEFAULT_LIOBN, BIG_LIOBN))
        try:
            self.ask('query-spapr-dma-runs',
                     liobn=liobn | self.any_bridge() << 8)
            self.count('query-spapr-dma-runs')
        except Trouble:         # There is no such window now
            self.count('query-spapr-dma-runs', False)

    ACTIONS = {create_any: 8, remove_any: 4, reset_any: 2, change_disk: 6,
               change_dimm: 5, reset_all: 1, be_odd: 4, look_at_runs: 2}

    def act(self):
        action, = self.dice.choices(list(self.ACTIONS),
                                    self.ACTIONS.values())
        action(self)
        self.ask('query-spapr-dma')
        self.count('query-spapr-dma')

    # Checks

    def differs(self, what, got, wanted):
        if got != wanted:
            self.differences[what].append((got, wanted))

    def runs(self, window):
        found, answer = [], {'next': 0}
        while 'next' in answer:
            answer = self.ask('query-spapr-dma-runs', liobn=window['liobn'],
                              index=answer['next'], max=4096)
            found += answer['runs']
        return found

    def check_table(self, window, runs):
        """What the view says is what the guest finds."""
        page = window['page-size']
        shift = page.bit_length() - 1
        count = min(window['entries'], STORM_BYTES >> shift)
        total = sum((2 * (run['index'] + n) + 1) *
                    (run['gpa'] + (n << shift) + ACCESS[run['access']])
                    for run in runs for n in range(run['entries']))
        self.differs('tables', self.scan(window['liobn'], window['first'],
                                         shift, count), total % (1 << 64))

    def check_pins(self, owners, runs, before):
        """RAM is pinned once, and by a v1 container each of its pages."""
        pages = 0
        kinds = {container['kind']
                 for owner in owners for container in owner['containers']}
        if 'vfio-v2' in kinds:
            pages = (RAM + DIMM * len(self.dimms)) // HOST_PAGE
        for owner in owners:
            v1 = {container['id'] for container in owner['containers']
                  if container['kind'] == 'vfio-v1'}
            pages += sum(run['entries'] for window in owner['windows']
                         for made in window['containers']
                         if made['container'] in v1
                         for run in runs[window['liobn']])
        pinned = self.host.settled(lambda: self.host.pinned() - before, pages)
        self.differs('pinned pages', pinned, pages)
        self.most_pinned = max(self.most_pinned, pinned)

    def there(self, run):
        """Is that RAM?"""
        starts = [0, *(address for address, _ in self.dimms.values())]
        return any(start <= run['gpa'] < start + RAM for start in starts)

    def check_disk(self, number, owner, runs):
        """A device writes where the guest has it write."""
        bridge, ram = self.bridges[number], Ram(self)
        window = self.dice.choice(owner['windows'])
        page = window['page-size']
        queue = [window['liobn'], window['last'] + 1 - max(page, 8192)]
        pages = max(1, 8192 // page)
        self.loop(pages, H_PUT_TCE, *queue, QUEUE | READ_WRITE, step2=page,
                  step3=page)
        disk = Nvme(self, 1 + number, QUEUE, queue[1], bridge)
        tried = [run for some in owner['windows']
                 for run in runs[some['liobn']]
                 if 'write' in run['access'] and self.there(run) and
                 not run['gpa'] <= QUEUE < run['gpa'] + run['size'] and
                 run['iova'] + run['size'] <= queue[1]]
        for run in self.dice.sample(tried, min(len(tried), ENTRIES_TRIED)):
            size = run['size'] // run['entries']
            offset = self.dice.randrange(run['entries']) * size
            gpa = run['gpa'] + offset
            ram.clear(gpa, 16)
            self.differs('writes', (disk.identify(run['iova'] + offset),
                                    ram.bytes(gpa, 16)[4:9]),
                         (0, f'disk{number}'.encode()))
            self.count('write of a device')
        self.loop(1, H_STUFF_TCE, *queue, 0, pages)

    def phbs(self):
        """By number"""
        return sorted((owner for owner in self.ask('query-spapr-dma')['owners']
                       if 'phb' in owner),
                      key=lambda owner: owner['phb']['buid'])

    def check(self, before):
        self.host.odd()
        owners = self.phbs()
        runs = {window['liobn']: self.runs(window)
                for owner in owners for window in owner['windows']}
        for owner in owners:
            for window in owner['windows']:
                self.check_table(window, runs[window['liobn']])
        self.differs('tables of KVM', self.tables(),
                     [window['handler'] for owner in owners
                      for window in owner['windows']].count('kvm'))
        self.check_pins(owners, runs, before)
        for number in self.disks:
            bridge = self.bridges[number]
            owner = owners[bridge]
            if owner['windows']:
                self.check_disk(number, owner, runs)
        self.count('check')

    def check_end(self, before):
        """Nothing is left once all has gone, while QEMU still runs."""
        for number in list(self.disks):
            self.unplug_disk(number)
        for number in list(self.dimms):
            self.unplug_dimm_number(number)
        self.differs('pinned pages', self.host.settled(
            lambda: self.host.pinned() - before, 0), 0)
        bridges = sorted(set(self.bridges))
        for bridge in bridges:
            self.reset_windows(bridge)
            self.remove(DEFAULT_LIOBN | bridge << 8)
        self.differs('tables of KVM', self.tables(), 0)
        for bridge in bridges:
            self.reset_windows(bridge)
        self.differs('tables of KVM', self.tables(), len(bridges))


def _live(guest, end, before):
    while True:
        guest.begin()
        for _ in range(ACTIONS_PER_CHECK):
            guest.act()
            if time.monotonic() > end:
                break
        guest.end()
        guest.check(before)
        if time.monotonic() > end:
            break
    guest.check_end(before)
    said = sorted({line for line in {*guest.log(), *guest.refusals}
                   if not EXPECTED.search(line)})
    guest.differs('messages', said, [])


def _tell(t, counts):
    t.note(f'{"what":22} {"how many":>9} {"good":>9}')
    for kind, (calls, good) in sorted(counts.items()):
        t.note(f'{kind:22} {calls:9} {good:9}')


def soak(t, host, seconds, kinds):
    """Guests for a while; kinds: (processors, name in SHAPES) of each."""
    dice = random.Random(t.seed())
    counts = collections.defaultdict(lambda: [0, 0])
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        stack.callback(_tell, t, counts)
        for number, (processors, shape) in enumerate(itertools.cycle(kinds)):
            if number and time.monotonic() > end:
                break
            name = f'soak {number}, {processors} processors, {shape}'
            before = host.pinned()
            with no_trace(t, host, name), \
                    SoakGuest(host, dice, counts, processors,
                              SHAPES[shape]) as guest:
                _live(guest, min(end, time.monotonic() + GUEST_SECONDS),
                      before)
            t.note(f'{name}: pages pinned: {before} before, '
                   f'{guest.most_pinned} more at most, {host.pinned()} after')
            for what in ('tables', 'writes', 'pinned pages', 'tables of KVM',
                         'messages'):
                t.equal(guest.differences[what], [], f'{name}: {what}')
