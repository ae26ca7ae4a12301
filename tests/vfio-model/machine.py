# SPDX-License-Identifier: GPL-2.0-or-later
"""A pseries machine under the model, driven by qtest and QMP.

The guest is ours: RTAS calls, hypercalls and memory accesses come from the
test, and the DMA engine is programmed as its driver would.
"""

import json
import pathlib
import re
import struct
import tempfile
import time

from qemu.machine import QEMUQtestMachine
from qemu.machine.machine import AbnormalShutdown, QEMUMachineError
from qemu.qmp import QMPError

from client import Device
from spapr_dma import model, paths, process

BUID = 0x800000020000000
MMIO_CPU, MMIO_BUS = 0x200080000000, 0x80000000
ENGINE_MEMORY = 0x10000     # of a device, from its registers on
SCRATCH = 0x10000           # guest memory for RTAS arguments and TCE lists
FIRMWARE = paths.BUILD / 'firmware/usr/share/qemu'

ISOLATION_STATE = 9001      # an indicator, of a slot by the index of its DRC
PCI_DRC = 0x40000000

H_GET_TCE, H_PUT_TCE, H_STUFF_TCE, H_PUT_TCE_INDIRECT = 0x1c, 0x20, 0x138, \
                                                        0x13c

END_LIMIT = 60              # seconds
# QEMU itself leaks at exit; the ledger finds our leaks
SANITIZERS = ('UBSAN_OPTIONS=print_stacktrace=1',
              'ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0')


class Ended(Exception):
    """QEMU is gone."""


class NoVerb(Exception):
    """This build has no qtest verb for hypercalls."""


class Machine(QEMUQtestMachine):
    """One run; a context manager.

    command: vfio-model; topology: text; devices: -device options; options:
    of vfio-model; more: of QEMU.  It may end at once: see runs.
    """

    def __init__(self, command, qemu, topology, devices, options=(), more=()):
        self.folder = tempfile.TemporaryDirectory(prefix='vfio-machine.')
        self.path = pathlib.Path(self.folder.name)
        (self.path / 'topology').write_text(topology)
        wrapper = [
            *process.DIES_WITH_PARENT, 'env', *SANITIZERS, command, 'run',
            '--topology', f'{self.path}/topology', '--ledger',
            f'{self.path}/ledger', '--control', f'{self.path}/control',
            *options, '--']
        arguments = [
            '-M', 'pseries', '-m', '256M,slots=4,maxmem=4G', '-nodefaults',
            '-serial', 'null', '-L', str(FIRMWARE), '-qtest-log', 'none',
            *more]
        for device in devices:
            arguments += ['-device', device]
        super().__init__(qemu, arguments, wrapper, 'qemu', self.folder.name,
                         END_LIMIT)
        try:
            self.launch()
        except QEMUMachineError:
            pass
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(self, *unused):
        self.kill()
        self.folder.cleanup()

    def _post_launch(self):
        super()._post_launch()
        self._qtest.settimeout(END_LIMIT)

    @property
    def runs(self):
        return self.is_running()

    def output(self):
        log = self.get_log()        # there is one when it has ended
        return log if log is not None else pathlib.Path(
            self.log_dir, 'qemu.log').read_text(errors='replace')

    def sanitizer_report(self):
        """What a sanitizer had to say so far, or None."""
        found = re.search(r'Sanitizer|runtime error:', self.output())
        return self.output()[max(0, found.start() - 200):] if found else None

    def end(self):
        """Wait for that; the exit status, negative for a signal: that of
        SIGKILL if it hangs."""
        try:
            self.wait(END_LIMIT)
        except AbnormalShutdown:
            pass
        return self.exitcode()

    def quit(self):
        """End it; the exit status, negative for a signal, and the ledger."""
        try:
            self.shutdown(timeout=END_LIMIT)
        except AbnormalShutdown:
            pass
        ledger = self.path / 'ledger'
        return self.exitcode(), (json.loads(ledger.read_text())
                                 if ledger.exists() else None)

    # ---- the model ----

    def control(self, command):
        return model.control(self.path / 'control', command)

    def ledger(self):
        return model.ledger(self.path / 'control')

    # ---- QMP ----

    def monitor(self, command, **arguments):
        """The answer: {'return': ...} or {'error': ...}."""
        if not self.runs:
            raise Ended
        try:
            return self.qmp(command, arguments)
        except (QMPError, OSError) as problem:
            raise Ended from problem

    # ---- qtest ----

    def _qtest_lines(self, lines):
        """The words of each answer.  All lines are sent at once, so that
        QEMU and the test need not wait for each other line by line."""
        if not self.runs:
            raise Ended
        try:
            answers = [self.qtest('\n'.join(lines))]
            while len(answers) < len(lines) and answers[-1]:
                answers.append(self._qtest._sockfile.readline())
        except OSError as problem:
            raise Ended from problem
        if not answers[-1]:
            raise Ended
        return [answer.split() for answer in answers]

    @staticmethod
    def _write_line(address, data):
        return f'write {address:#x} {len(data):#x} 0x{data.hex()}'

    @staticmethod
    def _read_line(address, size):
        return f'read {address:#x} {size:#x}'

    def write(self, address, data):
        self._qtest_lines([self._write_line(address, data)])

    def read(self, address, size):
        return bytes.fromhex(self._qtest_lines(
            [self._read_line(address, size)])[0][1][2:])

    def rtas(self, name, arguments, outputs):
        """The words that the call gives back, the status signed."""
        answers = self._qtest_lines([
            self._write_line(SCRATCH, struct.pack(f'>{len(arguments)}I',
                                                  *arguments)),
            f'rtas {name} {len(arguments)} {SCRATCH:#x} '
            f'{outputs} {SCRATCH + 0x800:#x}',
            self._read_line(SCRATCH + 0x800, 4 * outputs)])
        return struct.unpack(f'>i{outputs - 1}I',
                             bytes.fromhex(answers[2][1][2:]))

    def hcalls(self, *calls):
        """Return codes, signed, and what is left in R4: of each call, which
        is an opcode with its arguments."""
        answers = self._qtest_lines(
            ['hcall ' + ' '.join(f'{word:#x}' for word in call)
             for call in calls])
        if any(answer[0] != 'OK' for answer in answers):
            raise NoVerb
        return [(int(answer[1]), int(answer[2], 0)) for answer in answers]

    def hcall(self, opcode, *arguments):
        """The return code, signed."""
        return self.hcalls((opcode, *arguments))[0][0]

    # ---- migration and unplugging ----

    def migrate(self, command, uri, **arguments):
        """'completed' or 'failed', of migrate or migrate-incoming."""
        if 'error' in self.monitor(command, uri=uri, **arguments):
            return 'failed'
        while True:
            answer = self.monitor('query-migrate')['return']
            if answer.get('status') in ('completed', 'failed'):
                return answer['status']
            time.sleep(0.01)

    def unplug(self, name, slot):
        """device_del, and a guest that lets the device go."""
        answer = self.monitor('device_del', id=name)
        self.rtas('set-indicator', [ISOLATION_STATE, PCI_DRC | slot << 3, 0],
                  1)
        return 'return' in answer

    # ---- DMA windows ----

    def create(self, page_shift, window_shift):
        """Status, LIOBN and bus address of a new window."""
        status, liobn, high, low = self.rtas(
            'ibm,create-pe-dma-window',
            [0, BUID >> 32, BUID & 0xffffffff, page_shift, window_shift], 4)
        return status, liobn, high << 32 | low

    def remove(self, liobn):
        return self.rtas('ibm,remove-pe-dma-window', [liobn], 1)[0]

    def reset_windows(self):
        return self.rtas('ibm,reset-pe-dma-window',
                         [0, BUID >> 32, BUID & 0xffffffff], 1)[0]

    def query(self):
        """Status, windows left, TCEs of the largest, mask of page sizes."""
        status, windows, high, low, sizes, _ = self.rtas(
            'ibm,query-pe-dma-window',
            [0, BUID >> 32, BUID & 0xffffffff], 6)
        return status, windows, high << 32 | low, sizes

    def get(self, liobn, *iobas):
        """Return codes and TCEs."""
        return self.hcalls(*((H_GET_TCE, liobn, ioba) for ioba in iobas))

    def put(self, liobn, ioba, tce):
        return self.hcall(H_PUT_TCE, liobn, ioba, tce)

    def put_list(self, liobn, ioba, tces):
        self.write(SCRATCH + 0x1000, struct.pack(f'>{len(tces)}Q', *tces))
        return self.hcall(H_PUT_TCE_INDIRECT, liobn, ioba, SCRATCH + 0x1000,
                          len(tces))

    def stuff(self, liobn, ioba, tce, count):
        return self.hcall(H_STUFF_TCE, liobn, ioba, tce, count)

    # ---- the engine of the device in slot @slot ----

    def _config_write(self, slot, offset, size, value):
        return self.rtas('ibm,write-pci-config',
                         [slot << 11 | offset, BUID >> 32,
                          BUID & 0xffffffff, size, value], 1)[0]

    def start_device(self, slot):
        self._config_write(slot, 0x10, 4, MMIO_BUS + slot * 0x100000)
        self._config_write(slot, 0x18, 4, MMIO_BUS + slot * 0x100000 +
                           ENGINE_MEMORY)
        self._config_write(slot, 4, 2, 6)

    def transfers(self, slot, *wanted):
        """What came of transfers of the engine, and what is at the start of
        its memory then.  Each is a source, a destination, a length, a
        direction, and maybe what its memory begins with."""
        base = MMIO_CPU + slot * 0x100000
        lines = []
        for source, destination, length, direction, *memory in wanted:
            lines += [
                self._write_line(base + ENGINE_MEMORY, *memory or [bytes(8)]),
                self._write_line(base + 4 * Device.SOURCE, struct.pack(
                    '<QQIII', source, destination, length, direction, 1)),
                self._read_line(base + 4 * Device.RESULT, 4),
                self._read_line(base + ENGINE_MEMORY, 8)]
        answers = [bytes.fromhex(answer[1][2:]) if answer[1:] else b''
                   for answer in self._qtest_lines(lines)]
        codes = [int.from_bytes(code, 'little') for code in answers[2::4]]
        return [(Device.RESULTS[code] if code < len(Device.RESULTS)
                 else f'{code:#x}', memory)
                for code, memory in zip(codes, answers[3::4])]

    def dma(self, slot, source, destination, length):
        """What came of a copy on the bus."""
        return self.transfers(slot, (source, destination, length,
                                     Device.COPY))[0][0]
