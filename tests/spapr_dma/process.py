# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a machine with a time limit, and check what it printed.

A machine is a command (QEMU) in a process group of its own whose output,
console and trace alike, is one stream of lines.  However this process ends,
the group is gone afterwards: it is killed at the time limit, on an
exception, on SIGTERM, and by the kernel if this process is killed itself.
"""

import collections
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


class NotStarted(TimeLimit):
    """It did not even say in time that it had started."""


def _terminated(number, _frame):
    sys.exit(128 + number)


def kill(process):
    """Kill a process that leads a process group, and the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class _Output:
    """What a process prints, line by line."""

    def __init__(self, stream):
        self.stream = stream
        self.lines = collections.deque()
        self.rest = b''

    def line(self, deadline):
        """The next line, or None at the end; raises TimeLimit."""
        while not self.lines:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.stream], [], [], left)[0]:
                raise TimeLimit
            data = os.read(self.stream, 65536)
            if not data and not self.rest:
                return None
            # What the process printed last may have no end of line
            *whole, self.rest = (self.rest + (data or b'\n')).split(b'\n')
            self.lines += whole
        return self.lines.popleft().decode(errors='replace').rstrip('\r')


def run(command, time_limit, on_line=None, started=None, start_limit=None):
    """Run command for at most time_limit seconds.

    on_line(line) is called for every line of output as it comes.  If started
    is given, that line has to come within start_limit seconds.  Returns
    (exit status, list of lines); raises TimeLimit or NotStarted.
    """
    signal.signal(signal.SIGTERM, _terminated)
    lines = []
    now = time.monotonic()
    end = now + time_limit
    deadline = end if started is None else now + min(start_limit, time_limit)
    process = subprocess.Popen(
        [*DIES_WITH_PARENT, *map(str, command)], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True)
    output = _Output(process.stdout.fileno())
    try:
        while (line := output.line(deadline)) is not None:
            lines.append(line)
            if line == started:
                deadline = end
            if on_line:
                on_line(line)
        return process.wait(timeout=60), lines
    except subprocess.TimeoutExpired:
        raise TimeLimit from None
    except TimeLimit:
        if deadline != end:
            raise NotStarted from None
        raise
    finally:
        kill(process)
        process.stdout.close()


def find(lines, pattern):
    """The match objects of a pattern, in the order of the output."""
    return [m for m in (re.search(pattern, line) for line in lines) if m]
