#!/usr/bin/env python3
"""Draws the first table of medians in a record as SVG: throughput of each malloc, glibc's = 1.

    python3 bench/plot.py design/0020-against-other-mallocs.md > design/0020-throughput.svg

The table has a column a malloc, `glibc` among them, and a row a bench, in nanoseconds an operation.
"""

import math
import sys

ROW, TOP, LEFT, RIGHT, WIDTH, FOOT = 24, 58, 150, 70, 720, 44
LOW, HIGH = 0.5, 16.0
TICKS = (0.5, 1, 2, 4, 8, 16)
# Colours that stay apart for those who see fewer of them; shapes that stay apart without any.
LOOKS = (("#0060a8", "circle"), ("#c04a00", "square"), ("#00775a", "diamond"), ("#a03a80", "triangle"))


def table(path):
    """(names, rows): the mallocs, and (bench, {malloc: nanoseconds}) of each row."""
    names, rows = None, []
    for line in open(path, encoding="utf-8"):
        cells = [cell.strip().strip("`*") for cell in line.strip().strip("|").split("|")]
        if names is None and "glibc" in cells and "hakmem" in cells:
            names = cells[1:]
        elif names and not line.startswith("|"):
            break
        elif names and not set(cells[0]) <= set("-: "):
            rows.append((cells[0], dict(zip(names, map(float, cells[1:])))))
    if not rows:
        sys.exit(f"plot.py: {path} has no table with the columns glibc and hakmem")
    return [name for name in names if name != "glibc"], rows


def across(ratio):
    share = (math.log(ratio) - math.log(LOW)) / (math.log(HIGH) - math.log(LOW))
    return LEFT + min(max(share, 0), 1) * (WIDTH - LEFT - RIGHT)


def mark(x, y, look, size):
    colour, shape = LOOKS[look % len(LOOKS)]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{colour}"/>'
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
        "triangle": ((0, -1.2), (1.2, 1), (-1.2, 1)),
    }[shape]
    points = " ".join(f"{x + size * 0.85 * dx:.1f},{y + size * 0.85 * dy:.1f}" for dx, dy in corners)
    return f'<polygon points="{points}" fill="{colour}"/>'


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{words}</text>'


def draw(names, rows):
    height = TOP + ROW * len(rows) + FOOT
    bottom = TOP + ROW * len(rows)
    title = "Throughput by bench, glibc = 1, more is better"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{title}" font-family="sans-serif" font-size="13" fill="#222222">',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for i, name in enumerate(names):
        x = LEFT + 118 * i
        out.append(mark(x, 22, i, 6 if name == "hakmem" else 4.5))
        out.append(text(x + 12, 26.5, name, more=' font-weight="bold"' if name == "hakmem" else ""))
    for tick in TICKS:
        x = across(tick)
        colour = "#222222" if tick == 1 else "#d8d8d8"
        out.append(f'<path d="M{x:.1f},{TOP - 12}V{bottom}" stroke="{colour}"/>')
        label = "glibc" if tick == 1 else f"{tick:g} ×"
        out.append(text(x, bottom + 18, label, "middle"))
    for i, (bench, figures) in enumerate(rows):
        y = TOP + ROW * i + ROW / 2 - 6
        out.append(text(LEFT - 14, y + 4.5, bench, "end"))
        ratios = {name: figures["glibc"] / figures[name] for name in names}
        low, high = across(min(ratios.values())), across(max(ratios.values()))
        out.append(f'<path d="M{low:.1f},{y:.1f}H{high:.1f}" stroke="#d8d8d8"/>')
        for look, name in reversed(list(enumerate(names))):
            out.append(mark(across(ratios[name]), y, look, 6 if name == "hakmem" else 4.5))
        out.append(text(WIDTH - 12, y + 4.5, f'{ratios["hakmem"]:.2f} ×', "end"))
    out.append(text(WIDTH - 12, TOP - 22, "hakmem", "end"))
    out.append("</svg>")
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(draw(*table(sys.argv[1])))
