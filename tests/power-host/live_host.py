# SPDX-License-Identifier: GPL-2.0-or-later
"""An emulated POWER host that is told what to do while it runs.

A virtio serial port of the host leads to a shell in it, two more to the
monitor of the QEMU that runs in it and to the console of the guest program
(tests/bench/guest) in that.  What happens in which order is decided here, by
one function, and looked at where it happens.

LiveHost.play() boots the host, has the function play on it, and ends it.
"""

import contextlib
import os
import pathlib
import re
import shlex
import socket
import tempfile
import threading
import time

from qemu.qmp import QMPError
from qemu.qmp.legacy import QEMUMonitorProtocol

from spapr_dma import guest_program, paths, powerhost, process
from spapr_dma.guest_program import LIMIT, Console, Guest, Trouble

SLOT = 'pcie.4'         # of the ports; powerhost.SLOTS has disks before it
PORTS = ['shell', 'monitor', 'console']
READY = 'HOST ready'
SHELL = f"""
exec 3<>/dev/vport0p1
mkdir /tmp/odd
echo {READY}
exec sh <&3 >&3 2>&3
"""
NOTHING_BEFORE = 'nothing before this counts'
COMPLAINT = r'WARNING: |BUG: |Oops'
HOST_PAGE = 64 << 10

# What an emulated POWER9 can promise about speculation
MACHINE = ('pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,'
           'cap-ccf-assist=off')


class LiveHost(powerhost.Host):
    """See powerhost.Host."""

    def __init__(self, disks, copies):
        super().__init__(disks=disks, copies={
            'guest': guest_program.build(), **copies})
        self.problem = None

    def _command(self, initrd, result):
        command = super()._command(initrd, result)
        command += ['-device', f'virtio-serial-pci,bus={SLOT},id=ports']
        for number, name in enumerate(PORTS, 1):
            command += [
                '-chardev', f'socket,id={name},path={self.folder}/{name}',
                '-device', f'virtserialport,bus=ports.0,nr={number},'
                           f'chardev={name}']
        return command

    def play(self, scene, time_limit):
        """Boot, have scene(self) play, end; returns the host's status.

        Raises what scene raised, or process.TimeLimit.
        """
        def seen(line):
            if line == READY:
                threading.Thread(target=self._play, args=[scene],
                                 daemon=True).start()

        with tempfile.TemporaryDirectory(prefix='live-host.') as folder, \
                contextlib.ExitStack() as stack:
            self.folder = folder
            self.listening = [stack.enter_context(_listen(folder, name))
                              for name in PORTS]
            script = pathlib.Path(folder, 'script')
            script.write_text(SHELL)
            status = self.run(script, (), time_limit, seen)
        if self.problem:
            raise self.problem
        return status

    def _play(self, scene):
        """The other thread"""
        try:
            self.shell, self.monitor, self.console = (
                Console(_accept(where), what)
                for where, what in zip(self.listening, PORTS))
            try:
                scene(self)
            finally:
                self.shell.write('exit 0')
        except BaseException as problem:    # pylint: disable=broad-except
            self.problem = problem

    def sh(self, command):
        """Run a command in the host; returns its lines of output."""
        self.shell.write(f'{{ {command}\n}} </dev/null 2>&1; echo; '
                         'echo "=$?"')
        lines = []
        while not (line := self.shell.read()).startswith('='):
            lines.append(line)
        return lines[:-1] if lines and not lines[-1] else lines

    def number(self, command):
        return int(self.sh(command)[0])

    def odd(self, *words):
        """From now on the host is odd in these ways, see odd-host.c."""
        self.sh('rm -f /tmp/odd/*; for word in ' + ' '.join(words) +
                '; do touch /tmp/odd/$word; done')

    def forget(self):
        """What a QEMU that has ended left at the ports is not looked at."""
        for port in self.monitor, self.console:
            number = PORTS.index(port.what) + 1
            self.sh(f'printf "\\n{NOTHING_BEFORE}\\n" > /dev/vport0p{number}')
            while port.read() != NOTHING_BEFORE:
                continue

    def pinned(self):
        """Pages of the host that are pinned for devices."""
        self.sh('echo 1 > /proc/sys/vm/stat_refresh')
        counters = dict(line.split() for line in self.sh(
            'grep nr_foll_pin /proc/vmstat'))
        return (int(counters['nr_foll_pin_acquired']) -
                int(counters['nr_foll_pin_released']))

    def settled(self, look, wanted, tries=50):
        """What look() says, asked again for a while until it is wanted."""
        while (got := look()) != wanted and tries:
            time.sleep(0.2)
            tries -= 1
        return got

    def complaints(self):
        """What the kernel has complained of since it was asked last."""
        lines = [line for line in self.sh('dmesg -c')
                 if re.search(COMPLAINT, line)]
        self.sh('echo 1 > /sys/kernel/debug/clear_warn_once')
        return lines

    def groups(self):
        """Addresses of the devices that stand under vfio-pci."""
        return self.sh('echo $DEVICES')[0].split()


def qemu(devices=(), processors=1, memory='256M', preload=('odd-host.so',),
         more=(), locked='unlimited'):
    """The shell command that becomes the QEMU of a HostGuest.

    devices: -device arguments; processors: how many; memory: argument of -m;
    preload: libraries of /in between QEMU and the host; more: arguments;
    locked: KiB of memory that may be locked
    """
    command = ['/qemu/qemu-system-ppc64', '-L', '/qemu', '-M', MACHINE,
               '-cpu', 'power9', '-m', memory, '-smp', str(processors),
               '-accel', 'kvm', '-nodefaults', '-display', 'none',
               '-kernel', '/in/guest', '-D', '/tmp/trace',
               '-name', 'guest,debug-threads=on',
               '-chardev', 'pipe,id=console,path=/dev/vport0p3',
               '-serial', 'chardev:console',
               '-chardev', 'pipe,id=monitor,path=/dev/vport0p2',
               '-mon', 'monitor,mode=control', *more]
    for device in devices:
        command += ['-device', device]
    libraries = ':'.join('/in/' + name for name in preload)
    return (f'ulimit -l {locked}; LD_PRELOAD={libraries} exec '
            f'{shlex.join(command)}')


class HostGuest(Guest):
    """QEMU with the guest program in a LiveHost; use as a context manager.

    odd: how the host is from the start, see odd-host.c; options: of qemu()
    """

    def __init__(self, host, devices=(), odd=(), **options):
        self.host, self.console = host, host.console
        host.forget()
        host.odd(*odd)
        host.sh(f'rm -f /tmp/trace; ({qemu(devices, **options)}) > /tmp/log '
                '2>&1 & pid=$!')
        # It closes its socket in the end, but the next QEMU needs the port
        self.qmp = QEMUMonitorProtocol(host.monitor.socket.dup())
        self.qmp.settimeout(LIMIT)
        try:
            self.expect('ready')
            self.qmp.connect()
        except (Trouble, QMPError, OSError) as problem:
            raise self._told(problem) from None

    def _told(self, problem):
        said = self.host.sh('kill -9 $pid; wait $pid; tail -n 20 /tmp/log')
        self._hang_up()
        return Trouble(f'{problem}: ' + ' / '.join(said))

    def _hang_up(self):
        with contextlib.suppress(QMPError, OSError):
            self.qmp.close()

    def __enter__(self):
        return self

    def __exit__(self, _kind, problem, _trace):
        try:
            if not problem:
                self._end()
        except Trouble as late:
            problem = late
        if isinstance(problem, Trouble):
            raise self._told(problem) from None

    def _end(self):
        self.ask('quit')
        status = self.host.number('wait $pid; echo $?')
        if status:
            raise Trouble(f'QEMU ends with status {status}')
        self._hang_up()

    def cmd(self, name, arguments):
        return self.qmp.cmd(name, **arguments)

    def wait_event(self, name, **data):
        """Wait for a QMP event with such data."""
        try:
            while True:
                event = self.qmp.pull_event(wait=float(LIMIT))
                if (event['event'] == name and
                        data.items() <= event.get('data', {}).items()):
                    return
        except (QMPError, OSError) as problem:
            raise Trouble(f'no event {name}: {problem!r}') from None

    def log(self):
        """What QEMU has said."""
        return self.host.sh('cat /tmp/log')

    def plug(self, **options):
        """device_add; returns what QEMU says against it, or None."""
        try:
            self.ask('device_add', **options)
        except Trouble as problem:
            return str(problem)
        return None

    def unplug(self, name, *connector):
        """The guest program takes no device, so each can go at once.

        If the machine was reset since it came, the program has to let go of
        it, see isolate().
        """
        self.ask('device_del', id=name)
        if connector:
            self.isolate(*connector)
        self.wait_event('DEVICE_DELETED', device=name)

    def plug_dimm(self, size, name='dimm'):
        """Returns its address."""
        self.ask('object-add', id=f'{name}-ram', size=size,
                 **{'qom-type': 'memory-backend-ram'})
        self.ask('device_add', driver='pc-dimm', id=name,
                 memdev=f'{name}-ram')
        return next(dimm['data']['addr']
                    for dimm in self.ask('query-memory-devices')
                    if dimm['data']['id'] == name)

    def unplug_dimm(self, name='dimm', *connector):
        """Wait for it to leave, then free its memory."""
        self.unplug(name, *connector)
        self.ask('object-del', id=f'{name}-ram')

    def tables(self):
        """How many TCE tables KVM has."""
        return self.host.number('ls -l /proc/$pid/fd | grep -c spapr-tce')

    def table_kib(self):
        """KiB that are used of each table that KVM shares with QEMU."""
        kib = self.host.sh(
            "sed -n '/spapr-tce/,/^Rss:/s/^Rss: *\\([0-9]*\\) kB/\\1/p' "
            '/proc/$pid/smaps')
        return [int(number) for number in kib if number]

    def calls(self, count, *call, **steps):
        """Make hypercalls; returns how many of them QEMU has seen."""
        self.ask('trace-event-set-state', name='spapr_iommu_pci_*',
                 enable=True)
        seen = 'grep -c spapr_iommu_pci_ /tmp/trace'
        before = self.host.number(seen)
        self.loop(count, *call, **steps)
        after = self.host.number(seen)
        self.ask('trace-event-set-state', name='spapr_iommu_pci_*',
                 enable=False)
        return after - before


def vfio(host, number, **options):
    """Arguments of device_add for a device of the host."""
    return {'driver': 'vfio-pci', 'id': f'disk{number}',
            'host': host.groups()[number], 'addr': str(1 + number),
            **options}


def cold(options):
    """The same as an argument of -device."""
    return ','.join([options.pop('driver'),
                     *(f'{name}={value}' for name, value in options.items())])


@contextlib.contextmanager
def no_trace(t, host, name):
    """What happens inside leaves nothing in the host."""
    host.complaints()
    before = host.pinned()
    yield
    after = host.settled(host.pinned, before)
    t.equal((after - before) * HOST_PAGE >> 20, 0,
            f'{name}: MiB that stay pinned when QEMU has ended')
    # Linux warns of a group that leaves KVM without ever having got a table
    t.equal([line for line in host.complaints() if 'kvm_vfio_' not in line],
            [], f'{name}: the host complains of nothing')


def _listen(folder, name):
    end = socket.socket(socket.AF_UNIX)
    end.bind(os.path.join(folder, name))
    end.listen()
    return end


def _accept(where):
    """The last who called, if the QEMU of the host was started twice."""
    called = None
    where.settimeout(60)
    while True:
        try:
            called = where.accept()[0]
            where.settimeout(0)
        except BlockingIOError:
            called.setblocking(True)
            return called


def play_cases(t, cases, disk_mib, copies, time_limit):
    """Boot a host with two disks and play cases on it, one after another.

    cases: {name: function of a LiveHost}; copies: as powerhost.Host has it,
    to which the first disk's contents come as `disk`.  Says in t what went
    wrong with a case or the host, and returns the exit status.
    """
    def scene(host):
        for name, case in cases.items():
            try:
                case(host)
            except Trouble as problem:
                t.check(False, f'{name} ends', problem)

    try:
        with tempfile.TemporaryDirectory(prefix='live-host.') as folder:
            disks = [path for path, _ in powerhost.make_disks(
                folder, 2, disk_mib, t.seed())]
            host = LiveHost(disks, {'disk': disks[0], **copies})
            host.disk = pathlib.Path(disks[0]).read_bytes()
            status = host.play(scene, time_limit)
    except paths.Missing as problem:
        print(f'Bail out! {problem}')
        return 1
    except Trouble as problem:
        t.check(False, 'the host ends well', problem)
    except process.TimeLimit:
        t.check(False, f'the host ends within {time_limit} s',
                '\n'.join(host.lines[-20:]))
    else:
        t.equal(status, 0, 'the host ends well')
    return t.end()
