# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page of the manual tells its reader to type.

A literal block in the language `console` has commands, which stand behind a
prompt, and what they print.  A prompt is `host# ` or `guest# `; a command that
ends in a backslash goes on in the next line.  In what is printed, a line `...`
stands for any lines, and `...` within a line for any words.  Numbers are those
of one machine: any other one is as good.

A block with a caption is a file of that name.
"""

import collections
import re
import textwrap

# where: host or guest
Step = collections.namedtuple('Step', 'where command output')

NUMBER = re.compile(r'\b(?:0x)?[0-9a-f]*[0-9][0-9a-f]*\b')


def blocks(text):
    """(language, caption or None, contents) of each literal block."""
    lines = iter(text.splitlines() + ['end'])
    line = next(lines)
    while line != 'end':
        found = re.match(r'\.\. code-block:: (\w+)$', line)
        line = next(lines)
        if not found:
            continue
        caption, inside = None, []
        while not line or line.startswith(' '):
            option = re.match(r' +:caption: (.+)', line)
            if option and not inside:
                caption = option[1]
            elif line or inside:
                inside.append(line)
            line = next(lines)
        yield found[1], caption, textwrap.dedent('\n'.join(inside)).strip()


class Page:
    """steps: a list of Step, in order; files: {name: contents}"""

    def __init__(self, path):
        self.steps, self.files = [], {}
        for language, caption, text in blocks(path.read_text('utf-8')):
            if caption:
                self.files[caption] = text + '\n'
            elif language == 'console':
                self._console(text)

    def _console(self, text):
        goes_on = False
        for line in text.splitlines():
            prompt = re.match(r'(host|guest)# (.*)', line)
            if goes_on:
                step = self.steps.pop()
                self.steps.append(step._replace(
                    command=f'{step.command}\n{line}'))
                goes_on = line.endswith('\\')
            elif prompt:
                self.steps.append(Step(prompt[1], prompt[2], []))
                goes_on = line.endswith('\\')
            else:
                self.steps[-1].output.append(line)


def plain(line):
    """A line without what may differ."""
    return ' '.join(NUMBER.sub('#', line).split())


def pattern(output):
    """A regular expression for what a command prints."""
    parts = []
    for line in output:
        if line.strip() == '...':
            parts.append(r'(?:[^\n]*\n)*?')
        else:
            words = plain(line).split('...')
            parts.append('[^\n]*'.join(map(re.escape, words)) + r'\n')
    return ''.join(parts)


def as_told(step, printed):
    """Has the command printed what the page says?  Empty lines do not count."""
    told = [line for line in step.output if line.strip()]
    text = ''.join(plain(line) + '\n' for line in printed if line.strip())
    return re.fullmatch(pattern(told), text) is not None


def fails(step):
    """Does the page say that this goes wrong?"""
    return any(line.startswith('error: ') for line in step.output)
