# SPDX-License-Identifier: GPL-2.0-or-later
"""Results in the Test Anything Protocol.

A program that looks at one thing from many sides, such as a guest that ran,
has a Tap.  One that does many things with a clean slate each has cases of
unittest, and calls main().
"""

import os
import random
import sys
import unittest

from pycotap import TAPTestRunner


class Tap:
    """Counts and prints results; the plan comes last."""

    def __init__(self):
        self.count = 0
        self.failed = 0
        self._seed = None

    def check(self, good, name, detail=''):
        """Print one result; detail explains a failure."""
        self.count += 1
        print(f'{"ok" if good else "not ok"} {self.count} {name}')
        if not good:
            self.failed += 1
            for line in str(detail).splitlines():
                self.note('   ' + line)
        sys.stdout.flush()
        return good

    def equal(self, got, wanted, name):
        return self.check(got == wanted, name,
                          f'wanted {wanted!r}\ngot    {got!r}')

    def seed(self):
        """What SEED says, or a new one; printed, so that it can be given."""
        if self._seed is None:
            self._seed = int(os.environ.get('SEED') or
                             random.randrange(1 << 32))
            self.note(f'SEED={self._seed}')
        return self._seed

    @staticmethod
    def note(text):
        print('# ' + text, flush=True)

    def end(self):
        """Print the plan; returns the exit status."""
        print(f'1..{self.count}', flush=True)
        return 1 if self.failed else 0


def main():
    """Run the cases of the program."""
    unittest.main(testRunner=TAPTestRunner)
