# SPDX-License-Identifier: GPL-2.0-or-later
"""A pseries machine that runs the guest program of this directory."""

import os
import pathlib
import tempfile

from qemu.machine import QEMUMachine
from qemu.machine.machine import QEMUMachineError

from spapr_dma import guest_program, model, paths, process
from spapr_dma.guest_program import LIMIT, Console, Guest, Trouble

HOST_PAGE = 64 << 10     # of POWER hosts
BUNDLE = paths.BUILD / 'qemu/qemu-bundle/usr/local/share/qemu'

# The host's limit of locked memory, which is never met, holds for nobody else;
# without one no windows are made that are larger than a guest needs
UNPRIVILEGED = (() if os.geteuid() else
                ('setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock'))


class Machine(Guest, QEMUMachine):
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
            '-nodefaults', '-kernel', guest_program.build(), *more]
        for device in devices:
            arguments += ['-device', device]
        if incoming:
            arguments += ['-incoming', incoming]
        if host:
            topology = pathlib.Path(folder, 'host')
            topology.write_text(host)
            pages = vfio_model().with_name('libhost-pages.so')
            wrapper = [*UNPRIVILEGED, 'env', f'LD_PRELOAD={pages}', f'HOST_PAGE={HOST_PAGE}',
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


def _built(variable, name):
    path = pathlib.Path(os.environ.get(variable) or
                        paths.BUILD / 'project/tests' / name)
    if not path.exists():
        raise Trouble(f'{path} is missing: run make bench')
    return path


def vfio_model():
    """Path of the command that models the host's VFIO drivers."""
    return _built('VFIO_MODEL', 'vfio-model/vfio-model')
