"""scmd links: `sc` and `net` as programs of their own, which are this one under other names."""

from __future__ import annotations

import os
import shutil
import sys

from scmd.tools.commands import CommandError, Options

USAGE = """\
usage: scmd links DIR

Makes the links `sc` and `net` to this program in DIR, which is made when it is not there. Links of
ours are renewed; anything else by these names is left alone, and the command fails.
"""

NAMES = ("sc", "net")


def run(arguments: list[str]) -> int:
    make_links(Options(arguments, ()).only("DIR"), own_program())
    return 0


def own_program() -> str:
    """The absolute path of the `scmd` executable that runs now."""
    program = sys.argv[0]
    found = program if os.sep in program else shutil.which(program)
    if not found or not os.access(found, os.X_OK) or os.path.basename(found).endswith(".py"):
        raise CommandError("the scmd executable is not known: start it as `scmd links DIR`")
    return os.path.abspath(found)


def make_links(folder: str, program: str) -> None:
    """CommandError: a name is taken by something else, or the folder cannot be written to."""
    paths = [os.path.join(folder, name) for name in NAMES]
    for path in paths:
        if os.path.lexists(path) and not _is_ours(path, program):
            raise CommandError(f"{path} exists and is not a link to scmd")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{folder}: {error.strerror}") from error
    try:
        for path in paths:
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink(program, path)
            sys.stdout.write(f"{path} -> {program}\n")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def _is_ours(path: str, program: str) -> bool:
    if not os.path.islink(path):
        return False
    target = os.readlink(path)
    return target == program or os.path.basename(target) == "scmd"
