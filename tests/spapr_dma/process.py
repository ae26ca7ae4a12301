# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a machine with a time limit, and check what it printed.

A machine is a command (QEMU) in a process group of its own whose output,
console and trace alike, is one stream of lines.  However this process ends,
the group is gone afterwards: it is killed at the time limit, on an
exception, on SIGTERM, and by the kernel if this process is killed itself.
"""

import os
import re
import select
import signal
import subprocess
import sys
import time

# Words before a command: the kernel kills it when its parent ends
DIES_WITH_PARENT = ('setpriv', '--pdeathsig', 'KILL')


class TimeLimit(Exception):
    """The machine did not end in time."""


def _terminated(number, _frame):
    sys.exit(128 + number)


def kill(process):
    """Kill a process that leads a process group, and the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _lines(process, deadline):
    """Yield the output line by line, until it ends."""
    pending = b''
    stream = process.stdout.fileno()
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise TimeLimit
        data = os.read(stream, 65536)
        if not data:
            break
        *whole, pending = (pending + data).split(b'\n')
        for line in whole:
            yield line.decode(errors='replace').rstrip('\r')
    if pending:
        yield pending.decode(errors='replace').rstrip('\r')


def run(command, time_limit, on_line=None):
    """Run command for at most time_limit seconds.

    on_line(line) is called for every line of output as it comes.  Returns
    (exit status, list of lines); raises TimeLimit.
    """
    signal.signal(signal.SIGTERM, _terminated)
    lines = []
    process = subprocess.Popen(
        [*DIES_WITH_PARENT, *map(str, command)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True)
    try:
        for line in _lines(process, time.monotonic() + time_limit):
            lines.append(line)
            if on_line:
                on_line(line)
        return process.wait(timeout=60), lines
    except subprocess.TimeoutExpired:
        raise TimeLimit from None
    finally:
        kill(process)
        process.stdout.close()


def find(lines, pattern):
    """The match objects of a pattern, in the order of the output."""
    return [m for m in (re.search(pattern, line) for line in lines) if m]
