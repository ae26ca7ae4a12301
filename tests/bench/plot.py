# SPDX-License-Identifier: GPL-2.0-or-later
"""SVG plots: samples of two sides, and curves over a logarithmic axis."""

import html
import math

from report import human

COLOURS = {'stock': '#b4530a', 'ours': '#1b5fa8'}
WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 86, 24, 44, 50
STYLE = ('text{font:13px sans-serif;fill:#333}.title{font-size:15px}'
         '.grid{stroke:#ddd}.axis{stroke:#666}')


class Drawing:
    def __init__(self, title, width=WIDTH, height=HEIGHT):
        self.size = f'width="{width}" height="{height}"'
        self.parts = [f'<rect {self.size} fill="#fff"/>']
        self.text(16, 24, title, 'start', 'title')

    def text(self, x, y, text, anchor='middle', style=''):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" '
                          f'text-anchor="{anchor}">{html.escape(text)}</text>')

    def line(self, x1, y1, x2, y2, style='', stroke=''):
        look = f'stroke="{stroke}" stroke-width="2"' if stroke else ''
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" '
                          f'y2="{y2:.1f}" class="{style}" {look}/>')

    def dot(self, x, y, colour, opacity=1):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" '
                          f'fill="{colour}" fill-opacity="{opacity}"/>')

    def write(self, path):
        path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {self.size}>'
                        f'<style>{STYLE}</style>{"".join(self.parts)}</svg>\n',
                        encoding='utf-8')


def _decades(values):
    """The powers of ten around some positive numbers."""
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))


def samples(path, title, unit, sides):
    """All samples of each side on one line, with the median as a bar.

    sides: name -> (samples, median)
    """
    values = [v for some, _ in sides.values() for v in some if v]
    drawing = Drawing(title, height=150)
    low, high = _decades(values) if values else (0, 1)

    def across(value):
        share = (math.log10(max(value, 10 ** low)) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT - 70)

    for power in range(low, high + 1):
        x = across(10 ** power)
        drawing.line(x, 40, x, 116, 'grid')
        drawing.text(x, 136, human(10 ** power, unit))
    for y, (name, (some, median)) in zip((62, 98), sides.items()):
        drawing.text(16, y + 4, name, 'start')
        for value in some:
            drawing.dot(across(value), y, COLOURS[name], 0.5)
        drawing.line(across(median), y - 11, across(median), y + 11,
                     stroke=COLOURS[name])
        drawing.text(WIDTH - 8, y + 4, human(median, unit), 'end')
    drawing.write(path)


def curves(path, title, unit, axis, sides):
    """Curves with both axes logarithmic, that of x to base two.

    sides: name -> list of (x, y)
    """
    points = [point for some in sides.values() for point in some]
    xs = [math.log2(x) for x, _ in points]
    ys = [y for _, y in points if y > 0] or [1]
    low, high = _decades(ys)
    left, right = min(xs), max(max(xs), min(xs) + 1)
    drawing = Drawing(title)

    def place(x, y):
        y = math.log10(max(y, 10 ** low))
        return (LEFT + (math.log2(x) - left) / (right - left)
                * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - (y - low) / (high - low)
                * (HEIGHT - TOP - BOTTOM))

    for power in range(low, high + 1):
        x, y = place(2 ** left, 10 ** power)
        drawing.line(x, y, WIDTH - RIGHT, y, 'grid')
        drawing.text(x - 8, y + 4, human(10 ** power, unit), 'end')
    for x in sorted(set(xs)):
        drawing.text(place(2 ** x, 1)[0], HEIGHT - BOTTOM + 20, f'2^{x:g}')
    drawing.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, axis)
    for n, (name, some) in enumerate(sides.items()):
        dots = [place(*point) for point in some]
        for a, b in zip(dots, dots[1:]):
            drawing.line(*a, *b, stroke=COLOURS[name])
        for x, y in dots:
            drawing.dot(x, y, COLOURS[name])
        drawing.text(WIDTH - RIGHT - 60 * n, 24, name, 'end')
        drawing.dot(WIDTH - RIGHT - 60 * n - 44, 20, COLOURS[name])
    drawing.write(path)
