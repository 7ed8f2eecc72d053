"""Programs that join cgroups before they begin, as the keeper's children do."""

from __future__ import annotations

import sys
from collections.abc import Iterable

# Another SCM that ends just now removes empty cgroups, these perhaps: so it is tried again.
JOIN = """code=$1; shift
for path; do
    for try in 1 2 3; do
        mkdir -p "${path%/*}"
        echo 0 >"$path" && continue 2
    done
    exit 99
done
exec "$0" -I -c "$code"
"""


def inside(join: Iterable[str], code: str) -> list[str]:
    """The command line of a Python program that is in the cgroups whose files are given."""
    return ["/bin/sh", "-c", JOIN, sys.executable, code, *join]
