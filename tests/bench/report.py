# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers as people read them, and the table."""

UNITS = {
    's': ((1, 's'), (1e-3, 'ms'), (1e-6, 'us'), (1e-9, 'ns')),
    'B': ((1 << 30, 'GiB'), (1 << 20, 'MiB'), (1 << 10, 'KiB'), (1, 'B')),
    'B/s': ((1e9, 'GB/s'), (1e6, 'MB/s'), (1e3, 'kB/s'), (1, 'B/s')),
}


def human(number, unit):
    """A number with three digits and a unit of its size."""
    if number is None:
        return '-'
    steps = UNITS.get(unit, ((1, unit),))
    size, name = next((step for step in steps if abs(number) >= step[0]),
                      steps[-1])
    number /= size
    digits = 0 if abs(number) >= 100 or number == int(number) else \
        1 if abs(number) >= 10 else 2
    return f'{number:.{digits}f} {name}'


def times(ratio):
    if ratio is None:
        return '-'
    if ratio == float('inf'):
        return 'inf'
    return f'{ratio:.0f}x' if ratio >= 100 else f'{ratio:.2f}x'


def target(figure, scale):
    words = []
    if figure.bound is not None:
        words.append(f'>= {figure.bound:g}x')
    if figure.limit is not None:
        words.append(f'<= {human(figure.limit(scale), figure.unit)}')
    return ', '.join(words)


def table(rows):
    """Align rows of words, the first being the heading."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ['  '.join(word.ljust(width) for word, width in zip(row, widths))
             .rstrip() for row in rows]
    lines.insert(1, '  '.join('-' * width for width in widths))
    return '\n'.join(lines)
