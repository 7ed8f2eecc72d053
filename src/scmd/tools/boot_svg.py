"""The start-up as an SVG picture: a row for each service, a bar for its wait and one for its start.

Prompt and delayed starts have a chart each, since minutes lie between them.
"""

from __future__ import annotations

from scmd.vocabulary.names import escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from scmd.tools.boot_plot import Start

ROW = 18
CHART = 900
MARGIN = 10
LONGEST_LABEL = 40
_CHARACTER = 7
_RIGHT = 220
_STEPS = (1, 2, 5)
_STYLE = """\
text { font: 12px sans-serif; fill: #222 }
.axis { stroke: #ddd }
.tick { fill: #777 }
.wait { fill: #cfd3d8 }
.start { fill: #4c86c6 }
.failed { fill: #c8463c }
.pending { fill: #e3b341 }
.critical { stroke: #e07b00; stroke-width: 2 }
text.critical { stroke: none; fill: #b35f00; font-weight: bold }
"""


def draw(starts: Sequence[Start], path: Sequence[Start], title: str) -> str:
    """The whole picture."""
    labels = max(len(_label(start)) for start in starts) * _CHARACTER + 2 * MARGIN
    critical = {id(start) for start in path}
    parts: list[str] = []
    y = 3 * ROW
    for heading, chosen in (
        ("Automatic starts", [start for start in starts if not start.delayed]),
        ("Delayed starts", [start for start in starts if start.delayed]),
    ):
        if chosen:
            parts.append(_text(MARGIN, y, heading))
            parts += _chart(sorted(chosen, key=_order), critical, labels, y + ROW)
            y += (len(chosen) + 3) * ROW
    width = labels + CHART + _RIGHT
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}">\n'
        f"<style>{_STYLE}</style>\n"
        f"{_text(MARGIN, ROW, title)}\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _order(start: Start) -> tuple[int, int, str]:
    return start.asked if start.begun is None else start.begun, _last(start), start.name


def _last(start: Start) -> int:
    """The last instant that is known of it."""
    return max(start.asked, start.begun or 0, start.ended or 0)


def _chart(starts: Sequence[Start], critical: set[int], left: int, top: int) -> list[str]:
    began = min(start.asked for start in starts)
    ended = max(began + 1, *map(_last, starts))
    scale = CHART / (ended - began)
    parts = _axis(began, ended, scale, left, top, len(starts))
    for place, start in enumerate(starts):
        y = top + (place + 1) * ROW
        parts += _row(start, id(start) in critical, began, ended, scale, left, y)
    return parts


def _axis(began: int, ended: int, scale: float, left: int, top: int, rows: int) -> list[str]:
    step = _step((ended - began) / 10)
    bottom = top + (rows + 1) * ROW
    parts = []
    for instant in range(-(-began // step) * step, ended + 1, step):
        x = left + (instant - began) * scale
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(_text(x + 2, top + 4, f"{instant} ms", "tick"))
    return parts


def _step(least: float) -> int:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = 1
    while True:
        for factor in _STEPS:
            if factor * power >= least:
                return factor * power
        power *= 10


def _row(
    start: Start, is_critical: bool, began: int, now: int, scale: float, left: int, y: int
) -> list[str]:
    mark = " critical" if is_critical else ""

    def bar(kind: str, first: int, last: int, marked: str = "") -> str:
        x, width = left + (first - began) * scale, max(1.0, (last - first) * scale)
        place = f'x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}"'
        return f'<rect class="{kind}{marked}" {place}/>'

    end = now if start.ended is None else start.ended
    begun = end if start.begun is None else start.begun
    kind = "pending" if start.ended is None else "failed" if start.error else "start"
    parts = [_text(MARGIN, y + ROW - 5, _label(start), mark.strip())]
    if begun > start.asked:
        parts.append(bar("wait", start.asked, begun))
    parts.append(bar(kind, begun, end, mark))
    said = _said(start)
    parts.append(_text(left + (end - began) * scale + 6, y + ROW - 5, said, mark.strip()))
    return ["<g>", f"<title>{_escaped(f'{_label(start)}: {said}')}</title>", *parts, "</g>"]


def _said(start: Start) -> str:
    if start.ended is None:
        return "not up yet"
    waited = (start.ended if start.begun is None else start.begun) - start.asked
    text = f"{start.ended} ms"
    if start.begun is not None:
        text += f" (waited {waited}, started in {start.ended - start.begun})"
    return f"{text}, error {start.error}" if start.error else text


def _label(start: Start) -> str:
    name = escaped(start.name)
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _text(x: float, y: int, text: str, kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return f'<text{attribute} x="{x:.1f}" y="{y}">{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    """As the content of an element; lone surrogates are no characters of XML."""
    text = text.encode("utf-8", "replace").decode()
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
