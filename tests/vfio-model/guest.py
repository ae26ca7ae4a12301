# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that keeps book of its DMA windows, and what must come of that.

Guest does what a guest may do and notes what it was answered.  From these
notes alone follows what each page of a bus must show: H_GET_TCE gives the word
that was stored last, and a device reaches what that word says, with its
permissions, or nothing.  compare() asks for both, and for what the host has.

A word is a TCE; a place is a byte that DMA can reach: the name of an area of
memory and an offset in it.
"""

import collections
import itertools
import struct

from client import Device

GUEST_LIOBN = 0x80000000    # of the default window; the other one's is next
PAGE = 4096
READ, WRITE = 1, 2
SUCCESS, PARAMETER = 0, -4

# Where all TCEs lead to: guest memory that nobody uses
AREA, AREA_SIZE = 0x100000, 32 * PAGE
RAM_SIZE = 256 << 20
DEFAULT_SIZE = 1 << 30

Window = collections.namedtuple('Window',
                                'start page_shift entries words default')


class BusRam(collections.namedtuple('BusRam', 'start size file offset')):
    """RAM on the bus: a part of a file from @offset on."""

    def has(self, bus):
        return 0 <= bus - self.start < self.size

    def place(self, bus):
        return READ | WRITE, (self.file, bus - self.start + self.offset)


class Broken(Exception):
    """What a run shows must not be."""


def demand(good, what):
    if not good:
        raise Broken(what)


def new_window(start, page_shift, size, default=False):
    return Window(start, page_shift, size >> page_shift, {}, default)


def host_state(machine):
    """What the host has, in numbers that do not change from run to run."""
    live = machine.ledger()['live']
    return {
        'locked': live['locked_bytes'],
        'regions': sorted((r['size'], r['used'], r['mapped'])
                          for r in live['regions']),
        'containers': sorted(
            (sorted(c['groups']), c['driver'], c['registrations'],
             sorted((w['start'], w['entries'] << w['page_shift'],
                     w['mapped'] << w['page_shift'])
                    for w in c['windows'])) for c in live['containers']),
    }


class Excuse:
    """What a host that refuses to undo may leave behind.

    lost: pages may fault that the guest has mapped; stale: they may lead to
    where the guest wanted them to lead at another time; kept: the host may
    have more than it should.  pages: which ones, if not all.
    """

    def __init__(self, lost=False, stale=False, kept=False, pages=None):
        self.lost, self.stale, self.kept = lost, stale, kept
        self.pages = pages

    def concerns(self, page):
        return self.pages is None or page in self.pages


NONE = Excuse()


class Guest:
    """A guest of @machine as it is after a reset."""

    def __init__(self, machine):
        self.machine = machine
        self.ram = RAM_SIZE         # what devices can be let at
        self.asked = collections.defaultdict(set)   # (bus, shift): words
        self.bus_ram = {}           # by the name of its device
        self.bus_ram_before = []
        self.last = set()           # pages of the last request
        self.told = ''              # by the monitor, of what was refused
        self.compared = 0           # pages, by each device
        self.token = itertools.count(1)
        self.forget()

    def forget(self):
        """The machine was reset."""
        self.windows = {GUEST_LIOBN: new_window(0, 12, DEFAULT_SIZE, True)}

    # ---- what a guest does ----

    def _note(self, liobn, index, words, status):
        window = self.windows[liobn]
        self.last = set()
        for number, word in enumerate(words, index):
            page = self._bus(liobn, number), window.page_shift
            self.last.add(page)
            self.asked[page].add(word)
            if status == SUCCESS:
                window.words[number] = word
        return status

    def _bus(self, liobn, index):
        window = self.windows[liobn]
        return window.start + (index << window.page_shift)

    def put(self, liobn, index, word):
        return self._note(liobn, index, [word], self.machine.put(
            liobn, self._bus(liobn, index), word))

    def put_list(self, liobn, index, words):
        return self._note(liobn, index, words, self.machine.put_list(
            liobn, self._bus(liobn, index), words))

    def stuff(self, liobn, index, word, count):
        return self._note(liobn, index, [word] * count, self.machine.stuff(
            liobn, self._bus(liobn, index), word, count))

    def create(self, page_shift, window_shift):
        """Status and LIOBN."""
        status, liobn, start = self.machine.create(page_shift, window_shift)
        if status == 0:
            demand(liobn not in self.windows, f'LIOBN {liobn:#x} again')
            self.windows[liobn] = new_window(start, page_shift,
                                             1 << window_shift)
        return status, liobn

    def remove(self, liobn):
        """If it was the last one, and not the default, that comes back."""
        status = self.machine.remove(liobn)
        if status in (0, -1) and liobn in self.windows:
            window = self.windows.pop(liobn)
            if status == 0 and not self.windows and not window.default:
                self.forget()
        return status

    def reset_windows(self):
        """The default window stays as it is, if there is one."""
        status = self.machine.reset_windows()
        self.windows = {liobn: window for liobn, window in
                        self.windows.items() if window.default}
        if status == 0 and not self.windows:
            self.forget()
        return status

    def reset(self):
        """Of the machine."""
        self.machine.monitor('system_reset')
        self.machine.read(0, 4)
        self.forget()

    def receive(self, windows, all_of_it):
        """A stream came with these windows, maybe in part."""
        self.windows = {}
        for liobn, sent in windows.items():
            words = {}
            for index in sent.words:
                status, word = self.machine.get(
                    liobn, sent.start + (index << sent.page_shift))[0]
                if status != SUCCESS:
                    break
                words[index] = word
            else:
                self.windows[liobn] = sent._replace(words=words)
            if all_of_it:
                demand(words == sent.words, f'received {words}')
            for index, word in words.items():
                demand(word in (0, sent.words[index]), f'received {words}')
                self.asked[sent.start + (index << sent.page_shift),
                           sent.page_shift].add(word)

    def show(self, name, ram, shown):
        """RAM on the bus, of the device @name, comes or goes."""
        self.machine.monitor('qom-set', path=f'/machine/peripheral/{name}',
                             property='shown', value=shown)
        if shown:
            self.bus_ram[name] = ram
        else:
            self.bus_ram_before.append(self.bus_ram.pop(name))

    # ---- what must come of it ----

    def _target(self, word, page_shift, offset):
        """Permissions and place that a word gives, or None."""
        if not word & (READ | WRITE):
            return None
        target = (word & -(1 << page_shift)) + offset - AREA
        demand(0 <= target < AREA_SIZE, f'{word:#x} is not for a test')
        return word & (READ | WRITE), ('ram', target)

    def _window(self, bus):
        for window in self.windows.values():
            if 0 <= bus - window.start < window.entries << window.page_shift:
                return window
        return None

    def expected(self, bus):
        """Permissions and place that DMA at @bus has, or None."""
        window = self._window(bus)
        if not window:
            return None
        for ram in self.bus_ram.values():
            if ram.has(bus):
                return ram.place(bus)
        index, offset = divmod(bus - window.start, 1 << window.page_shift)
        return self._target(window.words.get(index, 0), window.page_shift,
                            offset)

    def _outcomes(self, page, offset, excuse):
        """All of that which is right, the usual one first."""
        bus = page[0] + offset
        outcomes = [self.expected(bus)]
        if not excuse.concerns(page):
            return outcomes
        if excuse.lost:
            outcomes.append(None)
        if excuse.stale:
            outcomes += [self._target(word, page[1], offset)
                         for word in self.asked.get(page, ())]
            outcomes += [ram.place(bus) for ram in self.bus_ram_before
                         if ram.has(bus)]
        return outcomes

    def _probes(self):
        """Pages that were ever in use, those beside them, and offsets."""
        pages = set(self.asked)
        for bus, shift in list(pages):
            pages |= {(bus + (1 << shift), shift),
                      (max(0, bus - (1 << shift)), shift)}
        for window in self.windows.values():
            pages.add((window.start + (window.entries - 1 <<
                                       window.page_shift),
                       window.page_shift))
        for ram in [*self.bus_ram.values(), *self.bus_ram_before]:
            pages |= {(bus, 12) for bus in
                      (ram.start, ram.start + ram.size - PAGE)}
        for page in sorted(pages):
            yield page, 0 if page[0] >> page[1] & 1 else (1 << page[1]) - 8

    # ---- memory that devices reach ----

    def _areas(self):
        """Name: contents; guest memory, and the files of RAM on the bus."""
        found = {'ram': bytearray(self.machine.read(AREA, AREA_SIZE))}
        for file in {ram.file for ram in [*self.bus_ram.values(),
                                          *self.bus_ram_before]}:
            with open(file, 'rb') as handle:
                found[file] = bytearray(handle.read())
        return found

    def _fill(self):
        """Have each word of it another one."""
        for name, old in self._areas().items():
            number = next(self.token) << 32
            data = struct.pack(f'<{len(old) // 8}Q',
                               *range(number, number + len(old) // 8))
            if name == 'ram':
                self.machine.write(AREA, data)
                continue
            with open(name, 'r+b') as handle:
                handle.write(data)
        return self._areas()

    # ---- comparing ----

    def compare_entries(self, view):
        """Windows, and the words in them."""
        found = {}
        for owner in view:
            for window in owner['windows'] if 'phb' in owner else []:
                found[window['liobn']] = (
                    window['first'], window['page-size'], window['entries'],
                    window['populated'])
        want = {liobn: (w.start, 1 << w.page_shift, w.entries,
                        sum(word != 0 for word in w.words.values()))
                for liobn, w in self.windows.items()}
        demand(found == want, f'windows {found}, not {want}')
        for liobn in GUEST_LIOBN, GUEST_LIOBN + 1:
            window = self.windows.get(liobn)
            if not window:
                demand(self.machine.get(liobn, 0)[0][0] == PARAMETER,
                       f'an entry of no window {liobn:#x}')
                continue
            indexes = sorted({0, window.entries - 1, *window.words,
                              *(index + 1 for index in window.words)})
            answers = self.machine.get(liobn, *(self._bus(liobn, index)
                                                for index in indexes))
            for index, answer in zip(indexes, answers):
                word = window.words.get(index, 0)
                demand(answer == (SUCCESS, word), f'H_GET_TCE {liobn:#x}, '
                       f'entry {index}: {answer}, not {word:#x}')

    @staticmethod
    def _compare_read(where, outcomes, areas, answer):
        allowed = [('ok', bytes(areas[o[1][0]][o[1][1]:o[1][1] + 8]))
                   if o and o[0] & READ else ('read fault', bytes(8))
                   for o in outcomes]
        demand(answer in allowed, f'{where} read: {answer}, not {allowed}')

    def _look(self, place):
        name, offset = place
        if name == 'ram':
            return self.machine.read(AREA + offset, 8)
        with open(name, 'rb') as handle:
            handle.seek(offset)
            return handle.read(8)

    def _compare_write(self, where, outcomes, areas, result, token):
        """Where it landed is looked at later, if there is one place only."""
        allowed = {o[1] if o and o[0] & WRITE else None for o in outcomes}
        places = allowed - {None}
        if len(places) > 1:
            places = {place for place in places if self._look(place) == token}
        if result == 'ok' and places:
            name, offset = min(places, key=str)
            areas[name][offset:offset + 8] = token
        else:
            demand(result == 'write fault' and None in allowed,
                   f'{where} written to: {result}, not one of {allowed}')

    def _compare_probes(self, slot, probes, areas):
        """Each is a bus address and what may come of DMA there."""
        wanted, tokens = [], []
        for bus, _ in probes:
            tokens.append(struct.pack('<II', next(self.token), 0xffffffff))
            wanted += [(bus, 0, 8, Device.IN),
                       (0, bus, 8, Device.OUT, tokens[-1])]
        answers = self.machine.transfers(slot, *wanted)
        for (bus, outcomes), token, read, written in zip(
                probes, tokens, answers[::2], answers[1::2]):
            where = f'device {slot} at {bus:#x},'
            self._compare_read(where, outcomes, areas, read)
            self._compare_write(where, outcomes, areas, written[0], token)
            self.compared += 1

    def compare_dma(self, slots, excuse):
        """Each page, by each device that has a container."""
        areas = self._fill() if slots else {}
        for slot in slots:
            self.machine.start_device(slot)
            probes = [(page[0] + offset, self._outcomes(page, offset, excuse))
                      for page, offset in self._probes()]
            # What can land in several places is looked for after each write
            alone = [probe for probe in probes
                     if len({o[1] for o in probe[1] if o}) > 1]
            for probe in alone:
                self._compare_probes(slot, [probe], areas)
            self._compare_probes(slot, [probe for probe in probes
                                        if probe not in alone], areas)
        if slots:
            now = self._areas()
            for name, data in areas.items():
                if now[name] != data:
                    wrong = [hex(at) for at in range(0, len(data), 8)
                             if now[name][at:at + 8] != data[at:at + 8]]
                    raise Broken(f'DMA landed in {name} at {wrong[:4]}')

    def _mapped(self, window):
        """How many bytes of a window the host has mapped."""
        size = window.entries << window.page_shift
        inside = [ram for ram in self.bus_ram.values()
                  if 0 <= ram.start - window.start < size]
        pages = sum(
            1 for index, word in window.words.items()
            if word & (READ | WRITE) and not any(
                ram.has(window.start + (index << window.page_shift))
                for ram in inside))
        return (pages << window.page_shift) + sum(ram.size for ram in inside)

    def _compare_container(self, container, regions, excuse):
        groups, driver, registrations, found = container
        want = sorted((w.start, w.entries << w.page_shift, self._mapped(w))
                      for w in self.windows.values())
        if driver == 'spapr_v1':
            # Its only window is there for good, as soon as it is in use
            found = [(0, 0, sum(mapped for _, _, mapped in found))]
            want = [(0, 0, sum(mapped for _, _, mapped in want))]
            regions = []
        if excuse.lost or excuse.stale:
            found = [window[:2] for window in found]
            want = [window[:2] for window in want]
        demand(registrations == len(regions) or excuse.kept,
               f'groups {groups} have {registrations} of {regions}')
        demand(found == want or
               (excuse.kept and all(window in found for window in want)),
               f'windows of groups {groups}: {found}, not {want}')

    def compare_host(self, state, view, excuse):
        """The windows and the registered RAM that the host has."""
        users = sum(driver == 'spapr_v2'
                    for _, driver, _, _ in state['containers'])
        for container in state['containers']:
            self._compare_container(container, state['regions'], excuse)
        if not excuse.kept:
            size = sum(region[0] for region in state['regions'])
            demand(size == (self.ram if users else 0) and
                   all(region[1] == users for region in state['regions']),
                   f'{users} containers have {state["regions"]} registered, '
                   f'not {self.ram} bytes')
            self._compare_view(state, view)

    @staticmethod
    def _compare_view(state, view):
        """What QEMU says of the host is what the host says."""
        found, locked, ram = [], 0, 0
        for owner in view:
            for container in owner['containers']:
                vfio = container['vfio']
                registered = vfio.get('registration',
                                      {'ranges': 0, 'bytes': 0})
                found.append((vfio['groups'], registered['ranges']))
                locked += vfio['locked'] - registered['bytes']
                ram = max(ram, registered['bytes'])
        want = [(groups, registrations)
                for groups, _, registrations, _ in state['containers']]
        demand(sorted(found) == want, f'the view has {found}, not {want}')
        demand(locked + ram == state['locked'], f'the view has {locked} + '
               f'{ram} bytes locked, the host {state["locked"]}')

    def compare(self, excuse=NONE):
        view = self.machine.monitor('query-spapr-dma')['return']['owners']
        state = host_state(self.machine)
        self.compare_entries(view)
        self.compare_dma(sorted(group for owner in view
                                for container in owner['containers']
                                for group in container['vfio']['groups']),
                         excuse)
        self.compare_host(state, view, excuse)
