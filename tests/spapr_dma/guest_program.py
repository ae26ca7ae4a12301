# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that is nothing but the program of tests/bench/guest.

The program is told what to do over its console and QEMU over QMP, so that
both can be timed from outside.  See guest.c there for the commands.
"""

import os
import select
import subprocess
import time

from qemu.qmp import ExecuteError, QMPError

from spapr_dma import paths

TICKS_PER_SECOND = 512e6
LIMIT = 300              # seconds to wait for an answer

H_GET_TCE, H_PUT_TCE, H_STUFF_TCE = 0x1c, 0x20, 0x138
CREATE, REMOVE, RESET = 0x2027, 0x2028, 0x2029
SET_INDICATOR, ISOLATION_STATE, ALLOCATION_STATE = 0x201a, 9001, 9003
BUID = (0x8000000, 0x20000000)
DEFAULT_LIOBN, BIG_LIOBN = 0x80000000, 0x80000001
BIG_START = 1 << 59
READ_WRITE = 3
STORM_KINDS = ['H_PUT_TCE', 'H_PUT_TCE_INDIRECT', 'H_STUFF_TCE', 'H_GET_TCE',
               'create', 'remove', 'reset']


class Trouble(Exception):
    """The machine did not do what the test relies on."""


class Console:
    """Lines from and to the guest program, or who else is at a socket."""

    def __init__(self, socket, what='the guest'):
        self.socket, self.what, self.data = socket, what, b''

    def read(self):
        end = time.monotonic() + LIMIT
        while b'\n' not in self.data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise Trouble(f'no answer from {self.what} in {LIMIT} s')
            try:
                more = self.socket.recv(65536)
            except OSError as problem:
                raise Trouble(f'{self.what} is gone: {problem}') from None
            if not more:
                raise Trouble(f'{self.what} is gone')
            self.data += more
        line, self.data = self.data.split(b'\n', 1)
        return line.decode(errors='replace').strip()

    def write(self, line):
        try:
            self.socket.sendall(line.encode() + b'\n')
        except OSError as problem:
            raise Trouble(f'{self.what} is gone: {problem}') from None


class Result:
    """What the guest program says of a command."""

    def __init__(self, line):
        word, *numbers = line.split()
        if word != 'done':
            raise Trouble(f'the guest program says: {line}')
        numbers = [int(number, 16) for number in numbers]
        self.calls, self.good = numbers[0], numbers[2]
        self.seconds = numbers[1] / TICKS_PER_SECOND
        self.longest = numbers[2] / TICKS_PER_SECOND
        self.status = numbers[3] - (numbers[3] >> 63 << 64)
        self.values = numbers[4:]

    def checked(self):
        if self.status:
            raise Trouble(f'call {self.calls} gave {self.status}')
        return self


class Guest:
    """The guest program and the monitor of its QEMU, wherever that runs.

    Who inherits has console, a Console, and cmd(name, arguments) for QMP.
    """

    def ask(self, name, /, **arguments):
        """A QMP command; returns its result."""
        try:
            return self.cmd(name, arguments)
        except ExecuteError as problem:
            raise Trouble(f'{name}: {problem}') from None
        except (QMPError, OSError) as problem:
            raise Trouble(f'QMP is gone: {problem}') from None

    def timed(self, name, **arguments):
        """Seconds from a QMP command to its answer."""
        start = time.monotonic()
        self.ask(name, **arguments)
        return time.monotonic() - start

    def expect(self, word):
        line = self.console.read()
        if line != word:
            raise Trouble(f'the guest program says {line}, not {word}')

    def send(self, name, *numbers):
        self.console.write(' '.join(
            [name, *(f'{number:x}' for number in numbers)]))

    def result(self):
        return Result(self.console.read())

    def guest(self, name, *numbers):
        """Have the guest program do something; returns a Result."""
        self.send(name, *numbers)
        return self.result()

    def ping(self):
        self.send('ping')
        self.expect('pong')

    def loop(self, count, op, liobn, ioba, arg3=0, arg4=0, step2=0, step3=0):
        return self.guest('loop', count, op, liobn, ioba, arg3, arg4, step2,
                          step3).checked()

    def map(self, count, liobn=BIG_LIOBN, ioba=BIG_START, shift=16, gpa=0,
            pages=4096, factor=1):
        return self.guest('map', liobn, ioba, shift, count, gpa, pages,
                          factor).checked()

    def behind(self, *call, steps=(0, 0), turn=1, pause=0, processor=1):
        """Another processor makes a hypercall with 4 arguments from now on."""
        self.guest('behind', processor, *call, *steps, turn, pause).checked()

    def halt(self, processor=1):
        """Stop it; returns (calls, those that were answered 0, status)."""
        result = self.guest('halt', processor)
        return result.calls, result.good, result.status

    def storm(self, processor, seed, bridges, rate):
        """Another processor makes calls of all kinds from now on.

        One in rate creates, removes or resets windows of one of so many PCI
        host bridges.
        """
        self.guest('storm', processor, seed, bridges, rate).checked()

    def calm(self, processor):
        """Stop that; returns {kind: (calls, those that were answered 0)}."""
        values = self.guest('halt', processor).values
        return dict(zip(STORM_KINDS, zip(values[::2], values[1::2])))

    def scan(self, liobn, ioba, shift, count):
        """Read TCEs; returns the sum that guest.c tells of."""
        return self.guest('scan', liobn, ioba, shift,
                          count).checked().values[0]

    def isolate(self, connector, logical=False):
        """Let go of what is to be unplugged; connector: its index"""
        self.guest('rtas', SET_INDICATOR, 1, ISOLATION_STATE, connector, 0)
        if logical:
            self.guest('rtas', SET_INDICATOR, 1, ALLOCATION_STATE, connector,
                       0)

    def create(self, shift, window_shift, phb=0):
        high, low = BUID
        result = self.guest('rtas', CREATE, 4, 0, high, low + phb, shift,
                            window_shift).checked()
        liobn, high, low = result.values
        if (liobn, high << 32 | low) != (BIG_LIOBN | phb << 8, BIG_START):
            raise Trouble(f'window {liobn:#x} at {high:#x}{low:08x}')
        return result

    def remove(self, liobn=BIG_LIOBN):
        return self.guest('rtas', REMOVE, 1, liobn).checked()

    def reset_windows(self, phb=0):
        high, low = BUID
        return self.guest('rtas', RESET, 1, 0, high, low + phb).checked()

    def reset_machine(self):
        """Seconds until the guest program is there again."""
        start = time.monotonic()
        self.ask('system_reset')
        self.expect('ready')
        return time.monotonic() - start

    def migrate_to(self, uri):
        """Migrate; returns what QMP says when it is done."""
        self.ask('migrate-set-parameters', **{
            'max-bandwidth': 1 << 40, 'downtime-limit': 2000000})
        self.ask('migrate', uri=uri)
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            info = self.ask('query-migrate')
            if info.get('status') == 'completed':
                return info
            if info.get('status') in ('failed', 'cancelled'):
                raise Trouble(f'migration {info["status"]}: '
                              f'{info.get("error-desc", "")}')
            time.sleep(0.01)
        raise Trouble('migration does not end')


def build():
    """Path of the guest program, built if it is missing or old."""
    source = paths.TOP / 'tests/bench/guest'
    program = paths.BUILD / 'images/bench-guest'
    newest = max(path.stat().st_mtime for path in source.iterdir())
    if not program.exists() or program.stat().st_mtime < newest:
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(f'.{os.getpid()}')
        done = subprocess.run([source / 'build', part], text=True,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise Trouble(done.stderr.strip())
        part.rename(program)
    return program
