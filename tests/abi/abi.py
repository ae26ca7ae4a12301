# SPDX-License-Identifier: GPL-2.0-or-later
"""What abi-test says under the model, and on an emulated POWER host."""

import collections
import os
import pathlib
import subprocess
import tempfile

from spapr_dma import paths, powerhost, process

ABI = paths.TOP / 'tests/abi'

DEVICES = ['0000:01:00.0', '0001:01:00.0']
SIZES = {'4K': 4096, '64K': 65536}

TOPOLOGY = '''\
host page={page} {host}
group 0
group 1
device 0000:01:00.0 group=0
device 0001:01:00.0 group=1
'''

# What the emulated machines have; the rest is the flavour's default.  The
# host in a partition is a guest of ours, with our windows under its own.
HOSTS = {
    'powernv9': 'flavour=powernv pagesizes=4K,64K,2M,1G',
    'powernv8': 'flavour=powernv pagesizes=4K,64K,16M,256M',
    'pseries': 'flavour=lpar windows=2 pagesizes=4K,64K,2M,16M eeh=off',
}
PHBS = {0: 1, 1: 3}     # of a partition: where a disk is, out is on 2

# model: the command vfio-model; native, cross: abi-test for this machine and
# for ppc64le
Programs = collections.namedtuple('Programs', 'model native cross')


class NoTranscript(Exception):
    """There is none, or not all of one; says what there is."""


class Partition(powerhost.Host):
    """A host in a partition: every device on a PHB of its own."""

    def _command(self, initrd, result):
        command = [
            paths.qemu(), '-L', paths.firmware('vof.bin').parent,
            '-M', 'pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,'
            'cap-ibs=broken', '-cpu', 'power9', '-m', '4G', '-smp', '2',
            '-accel', 'tcg,thread=multi', '-nodefaults', '-display', 'none',
            '-serial', 'stdio', '-no-reboot', '-kernel', self.kernel.vmlinux,
            '-initrd', initrd, '-append', 'console=hvc0',
            '-drive', f'if=none,id=out,format=raw,file={result}']
        for index in 1, 2, 3:
            command += ['-device',
                        f'spapr-pci-host-bridge,index={index},id=phb{index}']
        command += ['-device', 'nvme,drive=out,serial=out,bus=phb2.0']
        for n, path in enumerate(self.disks):
            command += [
                '-drive', f'if=none,id=d{n},format=raw,snapshot=on,'
                          f'file={path}',
                '-device', f'nvme,drive=d{n},serial=disk{n},'
                           f'bus=phb{PHBS[n]}.0']
        return command


class Variant:
    """A kind of host: machine of HOSTS, page of SIZES."""

    def __init__(self, machine, page):
        self.machine, self.page = machine, page
        self.name = f'{machine} {page}'
        self.arguments = [] if machine == 'powernv9' else ['--spare']
        # abi-test knows what to expect on bare metal
        self.as_expected = machine != 'pseries'

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
        lines = done.stdout.splitlines()
        said = [line for line in without_comments(lines)
                if not line.startswith('1..')]
        failed = any(line.startswith('not ok') for line in said)
        # a host with a quirk turned over may not let it do anything
        if not quirk and (not said or
                          done.returncode not in (0, int(failed))):
            raise NoTranscript(f'abi-test under the model ended with '
                               f'{done.returncode} after {len(said)} lines')
        return lines

    def kernel(self, programs, arguments=(), time_limit=800):
        """The lines that it prints on the emulated host."""
        make, model = powerhost.Host, self.machine
        if self.machine == 'pseries':
            make, model = Partition, 'powernv9'
        with tempfile.TemporaryDirectory(prefix='abi.') as folder:
            disks = powerhost.make_disks(folder, len(DEVICES), 16, 1)
            host = make(model, '6.12-' + self.page.lower(),
                        [path for path, _ in disks],
                        {'abi-test.ppc64le': programs.cross}, False)
            try:
                host.run(ABI / 'on-host', [*self.arguments, *arguments],
                         time_limit)
            except process.TimeLimit:
                pass
        if 'abi' not in host.files:
            raise NoTranscript('\n'.join(host.lines[-60:] + [
                'the host gave no transcript; its console is above']))
        return host.files['abi'].decode().splitlines()


def random_arguments(operations, seed):
    return ['--random', str(operations), '--seed', str(seed)]


def without_comments(lines):
    return [line for line in lines if not line.startswith('#')]


def differences(model, kernel):
    """Numbers of the lines that differ, missing ones included."""
    least, most = sorted((len(model), len(kernel)))
    return [n for n in range(least) if model[n] != kernel[n]] + \
        list(range(least, most))
