"""`python -m benchmarks [NAME...]`: run the measurements, print one table."""

from __future__ import annotations

import sys
from importlib import import_module

from benchmarks.table import Row, printed

MEASURES = (
    "commands",
    "queries",
    "many",
    "idle",
    "manager_kill",
    "restart",
    "boot",
    "notifications",
    "many_requests",
    "remote",
)
"""Modules of this folder. `remote` has Samba set up as the tests do, and needs their packages. The
others' peers are the Debian packages supervisor, runit and s6; who is not there is not measured."""


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
        rows += import_module(f"benchmarks.{name}").measure()
    print(printed(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
