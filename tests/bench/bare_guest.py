# SPDX-License-Identifier: GPL-2.0-or-later
"""A pseries machine that runs the guest program of this directory.

The program is told what to do over its console and QEMU over QMP, so that
both can be timed from outside.  See guest/guest.c for the commands.
"""

import os
import pathlib
import select
import subprocess
import tempfile
import time

from qemu.machine import QEMUMachine
from qemu.machine.machine import QEMUMachineError
from qemu.qmp import ExecuteError, QMPError

from spapr_dma import model, paths, process

TICKS_PER_SECOND = 512e6
HOST_PAGE = 64 << 10     # of POWER hosts
LIMIT = 300              # seconds to wait for an answer
BUNDLE = paths.BUILD / 'qemu/qemu-bundle/usr/local/share/qemu'

H_GET_TCE, H_PUT_TCE, H_STUFF_TCE = 0x1c, 0x20, 0x138
CREATE, REMOVE, RESET = 0x2027, 0x2028, 0x2029
BUID = (0x8000000, 0x20000000)
DEFAULT_LIOBN, BIG_LIOBN = 0x80000000, 0x80000001
BIG_START = 1 << 59
READ_WRITE = 3


class Trouble(Exception):
    """The machine did not do what the benchmark relies on."""


class Console:
    """Lines from and to the guest program."""

    def __init__(self, socket):
        self.socket, self.data = socket, b''

    def read(self):
        end = time.monotonic() + LIMIT
        while b'\n' not in self.data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise Trouble(f'no answer from the guest in {LIMIT} s')
            try:
                more = self.socket.recv(65536)
            except OSError as problem:
                raise Trouble(f'the guest is gone: {problem}') from None
            if not more:
                raise Trouble('the guest is gone')
            self.data += more
        line, self.data = self.data.split(b'\n', 1)
        return line.decode(errors='replace').strip()

    def write(self, line):
        try:
            self.socket.sendall(line.encode() + b'\n')
        except OSError as problem:
            raise Trouble(f'the guest is gone: {problem}') from None


class Result:
    """What the guest program says of a command."""

    def __init__(self, line):
        word, *numbers = line.split()
        if word != 'done':
            raise Trouble(f'the guest program says: {line}')
        numbers = [int(number, 16) for number in numbers]
        self.calls = numbers[0]
        self.seconds = numbers[1] / TICKS_PER_SECOND
        self.longest = numbers[2] / TICKS_PER_SECOND
        self.status = numbers[3] - (numbers[3] >> 63 << 64)
        self.values = numbers[4:]

    def checked(self):
        if self.status:
            raise Trouble(f'call {self.calls} gave {self.status}')
        return self


class Machine(QEMUMachine):
    """One QEMU with the guest program in it; use as a context manager.

    binary: the qemu-system-ppc64
    memory: MiB of guest RAM, taken from the host only where touched
    host: text of a topology for vfio-model, or None; the pages of that host
        are of 64 KiB
    devices: -device arguments
    wrapper: words before the command, such as valgrind's
    incoming: a migration URI to wait for
    more: further arguments

    If it fails, Trouble also has what QEMU said.
    """

    def __init__(self, binary, memory=256, host=None, devices=(),
                 wrapper=(), incoming=None, more=()):
        self.folder = tempfile.TemporaryDirectory(prefix='bench.')
        folder = self.folder.name
        self.control = f'{folder}/control'
        arguments = [
            '-L', BUNDLE, '-M', 'pseries,x-vof=on,memory-backend=ram,'
            'cap-cfpc=broken,cap-ibs=broken,cap-ccf-assist=off',
            '-object', 'memory-backend-ram,id=ram,reserve=off,'
                       f'size={memory}M',
            '-cpu', 'power9', '-m', f'{memory}M', '-accel', 'tcg',
            '-nodefaults', '-kernel', guest_program(), *more]
        for device in devices:
            arguments += ['-device', device]
        if incoming:
            arguments += ['-incoming', incoming]
        if host:
            topology = pathlib.Path(folder, 'host')
            topology.write_text(host)
            pages = vfio_model().with_name('libhost-pages.so')
            wrapper = ['env', f'LD_PRELOAD={pages}', f'HOST_PAGE={HOST_PAGE}',
                       vfio_model(), 'run', '--topology', topology,
                       '--control', self.control, '--', *wrapper]
        super().__init__(
            str(binary), [str(word) for word in arguments],
            [str(word) for word in (*process.DIES_WITH_PARENT, *wrapper)],
            base_temp_dir=folder, qmp_timer=LIMIT)
        self.set_console()
        try:
            self.launch()
            self.console = Console(self.console_socket)
            if not incoming:
                self.expect('ready')
        except BaseException as problem:
            self.__exit__(None, problem, None)
            raise

    def __exit__(self, _kind, problem, _trace):
        self.kill()
        self.folder.cleanup()
        if isinstance(problem, QEMUMachineError):   # has what QEMU said
            raise Trouble(f'QEMU does not start: {problem}') from None
        if isinstance(problem, (Trouble, OSError)) and self.get_log():
            raise Trouble(f'{problem}: {self.get_log()[-3000:]}') from None

    def ask(self, name, **arguments):
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

    def create(self, shift, window_shift):
        result = self.guest('rtas', CREATE, 4, 0, *BUID, shift,
                            window_shift).checked()
        liobn, high, low = result.values
        if (liobn, high << 32 | low) != (BIG_LIOBN, BIG_START):
            raise Trouble(f'window {liobn:#x} at {high:#x}{low:08x}')
        return result

    def remove(self, liobn=BIG_LIOBN):
        return self.guest('rtas', REMOVE, 1, liobn).checked()

    def reset_windows(self):
        return self.guest('rtas', RESET, 1, 0, *BUID).checked()

    def reset_machine(self):
        """Seconds until the guest program is there again."""
        start = time.monotonic()
        self.ask('system_reset')
        self.expect('ready')
        return time.monotonic() - start

    def resident(self):
        """Bytes of host memory that the process holds."""
        status = pathlib.Path(f'/proc/{self.get_pid()}/status').read_text()
        kib = next(line.split()[1] for line in status.splitlines()
                   if line.startswith('VmRSS:'))
        return int(kib) << 10

    def cpu_seconds(self):
        """Time that the process has had of the CPUs, kernel included."""
        stat = pathlib.Path(f'/proc/{self.get_pid()}/stat').read_text()
        user, kernel = stat.rsplit(')', 1)[1].split()[11:13]
        return (int(user) + int(kernel)) / os.sysconf('SC_CLK_TCK')

    def ioctls(self):
        """How often the host was asked what, as a dictionary."""
        calls = model.ledger(self.control)['calls']
        return {name: sum(results.values()) for name, results in calls.items()}

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


def guest_program():
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


def _built(variable, name):
    path = pathlib.Path(os.environ.get(variable) or
                        paths.BUILD / 'project/tests' / name)
    if not path.exists():
        raise Trouble(f'{path} is missing: run make bench')
    return path


def vfio_model():
    """Path of the command that models the host's VFIO drivers."""
    return _built('VFIO_MODEL', 'vfio-model/vfio-model')
