"""`python -m benchmarks [NAME...]`: run the measurements, print one table."""

from __future__ import annotations

import sys

from benchmarks import boot, commands, idle, manager_kill, many, queries, remote, restart
from benchmarks.table import Row, printed

MEASURES = {
    "commands": commands.measure,
    "queries": queries.measure,
    "many": many.measure,
    "idle": idle.measure,
    "manager_kill": manager_kill.measure,
    "restart": restart.measure,
    "boot": boot.measure,
    "remote": remote.measure,
}


def main() -> int:
    """Run the named measurements, or all; exit status 2 for an unknown name."""
    names = sys.argv[1:] or list(MEASURES)
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names:
        print(f"measuring {name}...", file=sys.stderr)
        rows += MEASURES[name]()
    print(printed(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
