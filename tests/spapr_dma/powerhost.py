# SPDX-License-Identifier: GPL-2.0-or-later
"""A Linux VFIO + KVM host on an emulated POWER machine.

The host is our native QEMU with -M powernv9 (or powernv8), skiboot, a Debian
kernel and an initramfs of ours.  Every PCI host bridge holds one NVMe
controller, which is an IOMMU group of its own and stands under vfio-pci when
the script starts.  One more controller, on pcie.2, carries what the script
leaves in /out back to us, as a tar archive on the raw disk.

In the host:  /in       what was copied in, script and lib.sh among it
              /out      what comes back
              /qemu     our qemu-system-ppc64 for ppc64le, if wanted
              $DEVICES  PCI addresses under vfio-pci, blank separated
"""

import os
import pathlib
import tarfile
import tempfile

from spapr_dma import images, paths, process

HERE = paths.TOP / 'tests/power-host'

SLOTS = ['pcie.0', 'pcie.1', 'pcie.3', 'pcie.4', 'pcie.5']
OUT_SLOT = 'pcie.2'
OUT_BYTES = 64 << 20
# What our first process prints, and how long it takes at most; 10 to 30 s are
# usual on two busy processors
STARTED = 'HOST started'
START_LIMIT = 300
MODULES = ['vfio', 'vfio_iommu_spapr_tce', 'vfio-pci', 'kvm', 'kvm-hv',
           'nvme']


class Host:
    """One run of an emulated POWER host.

    model: powernv9 or powernv8; kernel: a name of images.KERNELS, 6.12 or
    later, with 64K pages if its guests have them and KVM runs them; disks:
    paths of raw images, one controller each, written to copy-on-write;
    copies: {name in /in: path}; with_qemu: take our ppc64le QEMU along;
    traces: patterns of events of the machine itself.
    """

    def __init__(self, model='powernv9', kernel='6.12-64k', disks=(),
                 copies=None, with_qemu=True, traces=()):
        if len(disks) > (len(SLOTS) if model == 'powernv9' else 2):
            raise paths.Missing(f'{model} has no room for {len(disks)} '
                                 'NVMe controllers: give fewer')
        self.model = model
        self.kernel = images.Kernel(kernel)
        self.disks = list(disks)
        self.copies = dict(copies or {})
        self.with_qemu = with_qemu
        self.traces = traces
        self.status = None      # exit status of the script, None: no answer
        self.files = {}         # name below /out: contents
        self.lines = []         # console

    def _base(self):
        init = (HERE / 'init').read_text()

        def make():
            archive = images.Archive()
            archive.userland()
            archive.file('/init', init)
            archive.modules(self.kernel.modules(*MODULES))
            for folder in 'in', 'out':
                archive.directory(folder)
            return archive.bytes()

        return images.cached(f'host-{self.kernel.name}',
                             (self.kernel.release, init, MODULES,
                              images.code_version()), make)

    def _qemu(self):
        binary = images.stripped(paths.qemu_ppc64le())
        sysroot = paths.existing(paths.BUILD / 'sysroot',
                                 'run scripts/build-ppc64le --sysroot')

        def make():
            archive = images.Archive()
            archive.file('/qemu/qemu-system-ppc64', binary.read_bytes())
            archive.copy('/qemu/vof.bin', paths.firmware('vof.bin'))
            for name, path in images.libraries(binary, sysroot):
                archive.copy('/usr/lib/powerpc64le-linux-gnu/' + name, path)
            loader = sysroot / 'lib64/ld64.so.2'
            archive.copy('/lib64/ld64.so.2', loader)
            return archive.bytes()

        return images.cached('host-qemu', (str(binary),
                                           images.code_version()), make)

    def _initrd(self, script, args, folder):
        """Concatenate base, QEMU and this run's files."""
        archive = images.Archive()
        archive.copy('/in/lib.sh', HERE / 'lib.sh')
        for name, path in self.copies.items():
            archive.copy('/in/' + name, path)
        archive.file('/in/script', pathlib.Path(script).read_bytes())
        archive.file('/in/arguments', ''.join(a + '\n' for a in args))
        path = folder / 'initrd'
        with open(path, 'wb') as out:
            out.write(self._base().read_bytes())
            if self.with_qemu:
                out.write(self._qemu().read_bytes())
            out.write(archive.bytes())
        return path

    def _command(self, initrd, result):
        command = [
            paths.qemu(), '-L', paths.firmware('skiboot.lid').parent,
            '-M', self.model, '-m', '4G', '-smp', '2',
            '-accel', 'tcg,thread=multi', '-net', 'none',
            '-display', 'none', '-monitor', 'none', '-serial', 'stdio',
            '-no-reboot', '-kernel', self.kernel.vmlinux,
            '-initrd', initrd, '-append', 'console=hvc0',
            '-drive', f'if=none,id=out,format=raw,file={result}',
            '-device', f'nvme,drive=out,serial=out,bus={OUT_SLOT}']
        for n, (path, slot) in enumerate(zip(self.disks, SLOTS)):
            command += [
                '-drive', f'if=none,id=d{n},format=raw,snapshot=on,'
                          f'file={path}',
                '-device', f'nvme,drive=d{n},serial=disk{n},bus={slot}']
        for pattern in self.traces:
            command += ['-trace', pattern]
        return command

    def _collect(self, result):
        try:
            with tarfile.open(result) as tar:
                for member in tar:
                    if member.isfile():
                        name = member.name.removeprefix('./')
                        self.files[name] = tar.extractfile(member).read()
        except tarfile.ReadError:
            return
        status = self.files.pop('.status', b'')
        self.status = int(status) if status else None

    @staticmethod
    def _start(command, time_limit, line_seen):
        """Run the machine; returns the exit status of its QEMU.

        Once in some hundred boots an emulated host ends in skiboot, or its
        kernel stands still while it probes devices.  What is tested has not
        begun then, so it is started a second time.
        """
        limits = STARTED, START_LIMIT
        try:
            code, lines = process.run(command, time_limit, line_seen, *limits)
            if STARTED in lines:
                return code
            problem = f'QEMU of the host ended with status {code}'
        except process.NotStarted:
            problem = f'the host did not start in {START_LIMIT} s'
        line_seen(f'{problem}: once more')
        code, _ = process.run(command, time_limit, line_seen, *limits)
        return code

    def run(self, script, args=(), time_limit=300, on_line=None):
        """Boot, run a shell script with args, collect what it left.

        Returns its exit status, or None if the host ended without telling;
        raises process.TimeLimit, with the console so far in self.lines.
        """
        def line_seen(line):
            self.lines.append(line)
            if on_line:
                on_line(line)

        with tempfile.TemporaryDirectory(prefix='power-host.') as folder:
            folder = pathlib.Path(folder)
            result = folder / 'out'
            with open(result, 'wb') as out:
                out.truncate(OUT_BYTES)
            command = self._command(self._initrd(script, args, folder),
                                    result)
            code = self._start(command, time_limit, line_seen)
            self._collect(result)
        if code:
            line_seen(f'the QEMU of the host ended with status {code}')
        return self.status

    def text(self, name):
        """Lines of a text file that came back."""
        text = self.files.get(name, b'').decode(errors='replace')
        return text.replace('\r', '').split('\n')


def make_disks(folder, count, mib, seed):
    """Write test disks; returns [(path, md5)]."""
    made = []
    for n in range(count):
        path = os.path.join(folder, f'disk{n}')
        made.append((path, images.write_disk(path, mib, seed + n)))
    return made
