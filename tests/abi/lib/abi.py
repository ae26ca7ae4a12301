# SPDX-License-Identifier: GPL-2.0-or-later
"""What abi-test says under the model, and on an emulated POWER host."""

import collections
import os
import pathlib
import subprocess
import tempfile

ABI = pathlib.Path(__file__).resolve().parents[1]
POWER_HOST = ABI.parent / 'power-host/power-host'
DEVICES = ['0000:01:00.0', '0001:01:00.0']
SIZES = {'4K': 4096, '64K': 65536}

TOPOLOGY = '''\
host flavour=powernv page={page} {host}
group 0
group 1
device 0000:01:00.0 group=0
device 0001:01:00.0 group=1
'''

# What the emulated machines have; the rest is the flavour's default
HOSTS = {
    'powernv9': 'pagesizes=4K,64K,2M,1G',
    'powernv8': 'pagesizes=4K,64K,16M,256M',
}

# model: the command vfio-model; native, cross: abi-test for this machine and
# for ppc64le
Programs = collections.namedtuple('Programs', 'model native cross')


class NoTranscript(Exception):
    """The host ended without one; has the end of its console."""


class Variant:
    """A kind of host: machine of HOSTS, page of SIZES."""

    def __init__(self, machine, page):
        self.machine, self.page = machine, page
        self.name = f'{machine} {page}'
        self.arguments = ['--power8'] if machine == 'powernv8' else []

    def model(self, programs, arguments=(), quirk=None):
        """The lines that abi-test prints under the model."""
        with tempfile.TemporaryDirectory(prefix='abi.') as folder:
            topology = pathlib.Path(folder, 'topology')
            topology.write_text(TOPOLOGY.format(page=self.page,
                                                host=HOSTS[self.machine]))
            command = [os.path.abspath(programs.model), 'run', '--topology',
                       str(topology), *(['--quirk', quirk] if quirk else []),
                       '--', os.path.abspath(programs.native), '--page',
                       str(SIZES[self.page]), *self.arguments, *arguments,
                       *DEVICES]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, text=True,
                stderr=subprocess.DEVNULL if quirk else None,
                env={**os.environ, 'UBSAN_OPTIONS': 'halt_on_error=1'})
        return done.stdout.splitlines()

    def kernel(self, programs, arguments=(), time_limit=800):
        """The lines that it prints on the emulated host."""
        with tempfile.TemporaryDirectory(prefix='abi.') as folder:
            command = [str(POWER_HOST), 'run', '--no-qemu', '--machine',
                       self.machine, '--kernel', '6.12-' + self.page.lower(),
                       '--nvme', '2', '--copy', programs.cross, '--out',
                       folder, '--time-limit', str(time_limit), '--',
                       str(ABI / 'on-host'), *self.arguments, *arguments]
            done = subprocess.run(command, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            result = pathlib.Path(folder, 'abi')
            if not result.exists():
                raise NoTranscript(done.stdout[-4000:])
            return result.read_text().splitlines()


def random_arguments(operations, seed):
    return ['--random', str(operations), '--seed', str(seed)]


def without_comments(lines):
    return [line for line in lines if not line.startswith('#')]


def differences(model, kernel):
    """Numbers of the lines that differ, missing ones included."""
    least, most = sorted((len(model), len(kernel)))
    return [n for n in range(least) if model[n] != kernel[n]] + \
        list(range(least, most))
