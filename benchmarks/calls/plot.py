"""The picture of a run: CPU of one call as bars, on a logarithmic scale, written as SVG by hand."""

from html import escape
from math import ceil, floor, log10

from benchmarks.calls.bars import cost, mid, number
from benchmarks.calls.report import Report, shown

LEFT, WIDTH, ROW, TOP, BOTTOM = 260, 560, 26, 64, 40
OURS, OTHERS, INK, FAINT, PAPER = "#1f6f54", "#9a9a9a", "#222222", "#d9d9d9", "#ffffff"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif" role="img">'


def svg(report: Report) -> str:
    """The rows that ``shown`` names."""
    drawn = [(said, mid(report.samples, row, cost), said.startswith("Ostiary")) for row, said in shown(report)]
    least = floor(log10(min(value for _, value, _ in drawn)))
    most = ceil(log10(max(value for _, value, _ in drawn)))
    high = TOP + ROW * len(drawn) + BOTTOM

    def x(value: float) -> float:
        return LEFT + WIDTH * (log10(value) - least) / (most - least)

    parts = [
        SVG.format(wide=LEFT + WIDTH + 90, high=high),
        "<title>CPU of one tools/call</title>",
        f'<rect width="100%" height="100%" fill="{PAPER}"/>',
        _text(16, 26, "CPU of one tools/call, in microseconds (logarithmic; shorter is better)", size=15),
    ]
    for power in range(least, most + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" y1="{TOP - 8}" x2="{at:.1f}" y2="{high - BOTTOM}" stroke="{FAINT}"/>')
        parts.append(_text(at, high - BOTTOM + 18, f"{10**power:,}", anchor="middle"))
    for number_of, (name, value, mine) in enumerate(drawn):
        y = TOP + ROW * number_of
        parts.append(_text(LEFT - 10, y + 14, name, anchor="end"))
        wide = x(value) - LEFT
        fill = OURS if mine else OTHERS
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{wide:.1f}" height="{ROW - 8}" fill="{fill}"/>')
        parts.append(_text(LEFT + wide + 6, y + 14, number(value)))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, said: str, *, anchor: str = "start", size: int = 13) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{INK}">{escape(said)}</text>'
