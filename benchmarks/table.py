"""The printed result: a figure, its peer in the same run, the ratio, the aim."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    ours: str
    peer: str
    ratio: str
    aim: str
    met: bool


def printed(rows: list[Row]) -> str:
    """The rows as aligned text."""
    cells = [("figure", "scmd", "peer, same run", "ratio", "aim", "")]
    cells += [
        (row.what, row.ours, row.peer, row.ratio, row.aim, "met" if row.met else "MISSED")
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )
