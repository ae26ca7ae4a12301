# SPDX-License-Identifier: GPL-2.0-or-later
"""A pseries machine that runs the guest program of this directory.

The program is told what to do over its console and QEMU over QMP, so that
both can be timed from outside.  See guest/guest.c for the commands.
"""

import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import time

from spapr_dma import paths, process

TICKS_PER_SECOND = 512e6
HOST_PAGE = 64 << 10     # of POWER hosts

H_GET_TCE, H_PUT_TCE, H_STUFF_TCE = 0x1c, 0x20, 0x138
CREATE, REMOVE, RESET = 0x2027, 0x2028, 0x2029
BUID = (0x8000000, 0x20000000)
DEFAULT_LIOBN, BIG_LIOBN = 0x80000000, 0x80000001
BIG_START = 1 << 59
READ_WRITE = 3


class Trouble(Exception):
    """The machine did not do what the benchmark relies on."""


@contextlib.contextmanager
def _talking_to(what):
    try:
        yield
    except OSError as problem:
        raise Trouble(f'{what} is gone: {problem.strerror}') from None


class Stream:
    """Lines from a file descriptor, with a time limit."""

    def __init__(self, fd, what):
        self.fd, self.what, self.data = fd, what, b''

    def line(self, timeout):
        end = time.monotonic() + timeout
        while b'\n' not in self.data:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise Trouble(f'no answer from {self.what} '
                              f'within {timeout} s')
            with _talking_to(self.what):
                more = os.read(self.fd, 65536)
            if not more:
                raise Trouble(f'{self.what} is gone')
            self.data += more
        line, self.data = self.data.split(b'\n', 1)
        return line.decode(errors='replace').strip()


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


class Machine:
    """One QEMU with the guest program in it; use as a context manager.

    binary: the qemu-system-ppc64
    memory: MiB of guest RAM, taken from the host only where touched
    host: text of a topology for vfio-model, or None; the pages of that host
        are of 64 KiB
    devices: -device arguments
    wrapper: words before the command, such as valgrind's
    incoming: a migration URI to wait for
    more: further arguments
    limit: seconds to wait for an answer

    If it fails, Trouble also has what QEMU said.
    """

    def __init__(self, binary, memory=256, host=None, devices=(),
                 wrapper=(), incoming=None, more=(), limit=300):
        self.limit = limit
        environment = dict(os.environ)
        self.folder = tempfile.TemporaryDirectory(prefix='bench.')
        folder = pathlib.Path(self.folder.name)
        self.control = folder / 'control'
        qmp = folder / 'qmp'
        command = [*wrapper, binary,
                   '-L', paths.BUILD / 'qemu/qemu-bundle/usr/local/share/qemu',
                   '-M', 'pseries,x-vof=on,memory-backend=ram,'
                         'cap-cfpc=broken,cap-ibs=broken,'
                         'cap-ccf-assist=off',
                   '-object', 'memory-backend-ram,id=ram,reserve=off,'
                              f'size={memory}M',
                   '-cpu', 'power9', '-m', f'{memory}M', '-accel', 'tcg',
                   '-nodefaults', '-display', 'none', '-serial', 'stdio',
                   '-qmp', f'unix:{qmp},server=on,wait=off',
                   '-kernel', guest_program(), *more]
        for device in devices:
            command += ['-device', device]
        if incoming:
            command += ['-incoming', incoming]
        if host:
            topology = folder / 'host'
            topology.write_text(host)
            command = [vfio_model(), 'run', '--topology', topology,
                       '--control', self.control, '--', *command]
            environment['LD_PRELOAD'] = str(
                vfio_model().with_name('libhost-pages.so'))
            environment['HOST_PAGE'] = str(HOST_PAGE)
        self.qmp = socket.socket(socket.AF_UNIX)
        self.log = folder / 'log'
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, env=environment,
                start_new_session=True, preexec_fn=process.die_with_parent)
        try:
            self.console = Stream(self.process.stdout.fileno(), 'the guest')
            self._connect(qmp)
            if not incoming:
                self.expect('ready')
        except BaseException as problem:
            self.__exit__(None, problem, None)
            raise

    def __enter__(self):
        return self

    def __exit__(self, _kind, problem, _trace):
        said = self.log.read_text(errors='replace').strip()[-3000:]
        self.close()
        if isinstance(problem, (Trouble, OSError)) and said:
            raise Trouble(f'{problem}: {said}') from None

    def close(self):
        process.kill(self.process)
        for stream in self.process.stdin, self.process.stdout, self.qmp:
            with contextlib.suppress(OSError):
                stream.close()
        self.folder.cleanup()

    def _connect(self, path):
        end = time.monotonic() + 60
        while True:
            try:
                self.qmp.connect(str(path))
                break
            except OSError:
                if self.process.poll() is not None:
                    raise Trouble('QEMU ended') from None
                if time.monotonic() > end:
                    raise Trouble('no QMP socket') from None
                time.sleep(0.01)
        self.monitor = Stream(self.qmp.fileno(), 'QMP')
        self.monitor.line(60)
        self.ask('qmp_capabilities')

    def ask(self, name, **arguments):
        """A QMP command; returns its result, skipping events."""
        with _talking_to('QMP'):
            self.qmp.sendall(json.dumps(
                {'execute': name, 'arguments': arguments}).encode())
        while True:
            answer = json.loads(self.monitor.line(self.limit))
            if 'error' in answer:
                raise Trouble(f'{name}: {answer["error"]["desc"]}')
            if 'return' in answer:
                return answer['return']

    def timed(self, name, **arguments):
        """Seconds from a QMP command to its answer."""
        start = time.monotonic()
        self.ask(name, **arguments)
        return time.monotonic() - start

    def expect(self, word):
        line = self.console.line(self.limit)
        if line != word:
            raise Trouble(f'the guest program says {line}, not {word}')

    def send(self, name, *numbers):
        words = [name, *(f'{number:x}' for number in numbers)]
        with _talking_to('the guest'):
            self.process.stdin.write((' '.join(words) + '\n').encode())
            self.process.stdin.flush()

    def result(self):
        return Result(self.console.line(self.limit))

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
        status = pathlib.Path(f'/proc/{self.process.pid}/status').read_text()
        kib = next(line.split()[1] for line in status.splitlines()
                   if line.startswith('VmRSS:'))
        return int(kib) << 10

    def cpu_seconds(self):
        """Time that the process has had of the CPUs, kernel included."""
        stat = pathlib.Path(f'/proc/{self.process.pid}/stat').read_text()
        user, kernel = stat.rsplit(')', 1)[1].split()[11:13]
        return (int(user) + int(kernel)) / os.sysconf('SC_CLK_TCK')

    def ioctls(self):
        """How often the host was asked what, as a dictionary."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            control.sendall(b'ledger\n')
            text = b''
            while more := control.recv(65536):
                text += more
        return {name: sum(results.values())
                for name, results in json.loads(text)['calls'].items()}

    def migrate_to(self, uri):
        """Migrate; returns what QMP says when it is done."""
        self.ask('migrate-set-parameters', **{
            'max-bandwidth': 1 << 40, 'downtime-limit': 2000000})
        self.ask('migrate', uri=uri)
        end = time.monotonic() + self.limit
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
