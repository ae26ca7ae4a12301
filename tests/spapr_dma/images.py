# SPDX-License-Identifier: GPL-2.0-or-later
"""What a ppc64le machine boots: Debian kernels and initramfs images.

What comes from Debian is named here; tests/guest/fetch fetches it.
Packages are unpacked below build/deb by scripts/debs, whole or not at all.
An initramfs is one or more cpio archives one after the other, uncompressed:
a base that changes only with its ingredients, kept below build/images, and
a small archive made anew for each run.  Nothing here needs root: ownership
exists only in the archive.
"""

import fcntl
import hashlib
import lzma
import os
import pathlib
import random
import re
import stat
import subprocess

from spapr_dma.paths import BUILD, TOP, Missing

CROSS = 'powerpc64le-linux-gnu-'

# name: (Debian suite, packages, of which the newest one that can be had)
KERNELS = {
    '6.1': ('bookworm', r'^linux-image-6\.1\..*-powerpc64le$'),
    '6.12-4k': ('trixie', r'^linux-image-6\.12\..*-powerpc64le$'),
    '6.12-64k': ('trixie', r'^linux-image-6\.12\..*-powerpc64le-64k$'),
}
# name: (Debian suite, architecture, packages...)
PACKAGES = {
    'busybox': ('bookworm', 'ppc64el', 'busybox-static'),
    'guest-tools': ('bookworm', 'ppc64el', 'kexec-tools',
                    'powerpc-ibm-utils', 'librtas2', 'libnuma1', 'libc6'),
    # for tests/vfio-model/test-dpdk, and the only ones for this machine
    'dpdk': ('bookworm', 'amd64', 'dpdk-dev', 'libbsd0', 'libmd0', 'libnuma1',
             'librte-bus-pci23', 'librte-bus-vdev23', 'librte-cmdline23',
             'librte-dma-ioat23', 'librte-dmadev23', 'librte-eal23',
             'librte-ethdev23', 'librte-gpudev23', 'librte-kvargs23',
             'librte-mbuf23', 'librte-mempool-ring23', 'librte-mempool23',
             'librte-meter23', 'librte-net23', 'librte-pci23',
             'librte-ring23', 'librte-telemetry23', 'libfdt1'),
}
# The same, with all that they depend on
WITH_DEPENDENCIES = {
    'libvirt': ('bookworm', 'ppc64el', 'libvirt-clients', 'libvirt-daemon',
                'libvirt-daemon-driver-qemu'),
}


class Lock:
    """One process at a time makes what lives under a name in build/."""

    def __init__(self, name):
        (BUILD / 'locks').mkdir(parents=True, exist_ok=True)
        self.path = BUILD / 'locks' / name

    def __enter__(self):
        self.file = open(self.path, 'w', encoding='ascii')
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def debs(*args):
    done = subprocess.run([TOP / 'scripts/debs', *args], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    if done.returncode:
        raise Missing(done.stderr.strip() or f'scripts/debs {args[0]} failed')
    return done.stdout


def unpack(name, suite, arch, *packages, verb='unpack'):
    """Directory with the files of packages; downloaded if need be."""
    where = BUILD / 'deb' / name
    with Lock('deb-' + name):
        if not where.exists():
            debs(verb, suite, arch, str(where), *packages)
    return where


def unpacked(name):
    """Directory with the files of those of PACKAGES or WITH_DEPENDENCIES."""
    if name in WITH_DEPENDENCIES:
        return unpack(name, *WITH_DEPENDENCIES[name], verb='unpack-deps')
    return unpack(name, *PACKAGES[name])


class Kernel:
    """A Debian kernel: its image, release and modules."""

    def __init__(self, name):
        if name not in KERNELS:
            raise Missing(f'no kernel {name}: choose from {sorted(KERNELS)}')
        self.name = name
        self.root = BUILD / 'deb' / ('kernel-' + name)
        if not self.root.exists():
            self._fetch(*KERNELS[name])
        self.vmlinux = next(self.root.glob('boot/vmlinux-*'))
        self.release = self.vmlinux.name.removeprefix('vmlinux-')
        self._files = None

    def _fetch(self, suite, packages):
        """A mirror may lack the newest one, of which its lists tell."""
        found = debs('names', suite, 'ppc64el', packages).split()
        if not found:
            raise Missing(f'{suite} has no package {packages}')
        for package in found:
            try:
                unpack(self.root.name, suite, 'ppc64el', package)
                return
            except Missing:
                if package == found[-1]:
                    raise

    def _file(self, module):
        if self._files is None:
            self._files = {}
            for top in self.root.glob('**/lib/modules'):
                for path in top.glob('**/*.ko*'):
                    name = path.name.split('.ko')[0].replace('-', '_')
                    self._files[name] = path
        return self._files.get(module.replace('-', '_'))

    def modules(self, *wanted):
        """Modules with all they need, in the order to insert them.

        Returns a list of (name, contents).  A module that this kernel does
        not have is built in, or it has another name: it is left out.
        """
        done = {}

        def visit(name):
            path = self._file(name)
            name = name.replace('-', '_')
            if path is None or name in done:
                return
            data = path.read_bytes()
            if path.suffix == '.xz':
                data = lzma.decompress(data)
            needs = re.search(rb'\0depends=([^\0]*)\0', data)
            for need in needs[1].decode().split(',') if needs else ():
                if need:
                    visit(need)
            done[name] = data

        for name in wanted:
            visit(name)
        return list(done.items())


class Archive:
    """A cpio archive in the form that Linux takes as initramfs."""

    def __init__(self):
        self.parts = []
        self.count = 0
        self.dirs = set()

    def _member(self, name, mode, data):
        self.count += 1
        head = '070701' + ''.join(f'{n:08x}' for n in (
            self.count, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
            len(name) + 1, 0))
        head = head.encode() + name.encode() + b'\0'
        self.parts += [head, bytes(-len(head) % 4), data,
                       bytes(-len(data) % 4)]

    def _parents(self, name):
        for parent in reversed(pathlib.PurePath(name).parents[:-1]):
            self.directory(str(parent))

    def directory(self, name):
        name = name.strip('/')
        if name not in self.dirs:
            self._parents(name)
            self.dirs.add(name)
            self._member(name, stat.S_IFDIR | 0o755, b'')

    def file(self, name, data, mode=0o755):
        self._parents(name.strip('/'))
        if isinstance(data, str):
            data = data.encode()
        self._member(name.strip('/'), stat.S_IFREG | mode, data)

    def copy(self, name, path):
        path = pathlib.Path(path)
        self.file(name, path.read_bytes(), path.stat().st_mode & 0o777)

    def symlink(self, name, target):
        self._parents(name.strip('/'))
        self._member(name.strip('/'), stat.S_IFLNK | 0o777, target.encode())

    def modules(self, modules, folder='/modules'):
        """Add modules and a list `order` of what to insert."""
        for name, data in modules:
            self.file(f'{folder}/{name}.ko', data, 0o644)
        self.file(f'{folder}/order',
                  ''.join(name + '\n' for name, _ in modules), 0o644)

    def userland(self):
        """Busybox as /bin/*, and the mount points."""
        busybox = unpacked('busybox')
        self.copy('/bin/busybox', busybox / 'bin/busybox')
        self.symlink('/bin/sh', 'busybox')
        for name in 'proc', 'sys', 'dev', 'tmp':
            self.directory(name)

    def bytes(self):
        whole = Archive()
        whole._member('TRAILER!!!', 0, b'')
        data = b''.join(self.parts + whole.parts)
        return data + bytes(-len(data) % 512)


def cached(name, ingredients, make):
    """File build/images/NAME-HASH, made by make() -> bytes if missing.

    The hash is that of the ingredients; older files of that name go.
    """
    digest = hashlib.sha256(repr(ingredients).encode()).hexdigest()[:12]
    folder = BUILD / 'images'
    path = folder / f'{name}-{digest}'
    with Lock('image-' + name):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(name + '-' + '?' * 12):
                old.unlink()
            part = folder / (name + '.part')
            part.write_bytes(make())
            part.rename(path)
    return path


def guest_initrd(kernel, script=None, modules=('nvme',)):
    """Path of an initramfs for a pseries guest.

    Its /init, tests/guest/init, inserts the modules (default: the NVMe
    driver) and runs script, a path of a shell script (default
    tests/guest/read-disks).
    """
    here = TOP / 'tests/guest'
    init = (here / 'init').read_text()
    run = pathlib.Path(script or here / 'read-disks')
    text = run.read_text()

    def make():
        archive = Archive()
        archive.userland()
        archive.file('/init', init)
        archive.file('/run', text)
        archive.modules(kernel.modules(*modules))
        return archive.bytes()

    return cached(f'guest-{kernel.name}-{run.name}',
                  (kernel.release, init, text, modules, code_version()), make)


def with_tools(initrd, *wanted):
    """Path of an initramfs like initrd that has tools as well.

    Tools: 'kexec', and 'drmgr', by which a guest gives and takes devices.
    """
    root = unpacked('guest-tools')
    programs = [next(root.glob('**/sbin/' + name)) for name in wanted]

    def make():
        archive = Archive()
        needed = {}
        for program in programs:
            archive.copy('/sbin/' + program.name, program)
            needed.update(libraries(program, root))
        for name, path in needed.items():
            archive.copy('/usr/lib/powerpc64le-linux-gnu/' + name, path)
        archive.copy('/lib64/ld64.so.2',
                     root / 'lib/powerpc64le-linux-gnu/ld64.so.2')
        return initrd.read_bytes() + archive.bytes()

    return cached(initrd.name.rsplit('-', 1)[0] + '-tools',
                  (str(initrd), wanted, code_version()), make)


def code_version():
    return pathlib.Path(__file__).read_text(encoding='utf-8')


def write_disk(path, mib, seed):
    """Fill a file with reproducible noise; return its md5."""
    noise = random.Random(seed)
    digest = hashlib.md5()
    with open(path, 'wb') as out:
        for _ in range(mib):
            chunk = noise.randbytes(1 << 20)
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def libraries(binary, sysroot):
    """Shared libraries of a ppc64le program, as a list of (soname, path)."""
    found = {}

    def visit(path):
        done = subprocess.run([CROSS + 'readelf', '-d', path], text=True,
                              stdout=subprocess.PIPE, check=True)
        for name in re.findall(r'\(NEEDED\).*\[(.*)\]', done.stdout):
            if name in found:
                continue
            for folder in ('lib/powerpc64le-linux-gnu',
                           'usr/lib/powerpc64le-linux-gnu'):
                path = sysroot / folder / name
                if path.exists():
                    found[name] = path
                    visit(path)
                    break
            else:
                raise Missing(f'{name} is not in {sysroot}')

    visit(binary)
    return sorted(found.items())


def stripped(binary):
    """The contents of a ppc64le program without its debug information."""
    info = binary.stat()
    def make():
        part = BUILD / 'images' / f'strip.{os.getpid()}'
        subprocess.run([CROSS + 'strip', '-o', part, binary], check=True)
        try:
            return part.read_bytes()
        finally:
            part.unlink()
    return cached(binary.name + '-stripped',
                  (str(binary), info.st_mtime_ns, info.st_size), make)
