"""A private directory for an SCM that leaves nothing behind."""

from __future__ import annotations

import os
import tempfile

from scmd.tools.commands import CommandError


def make_scratch(command: str, instead: str = "") -> str:
    """The path; removing it is the caller's. CommandError: no place for it can be written."""
    try:
        return tempfile.mkdtemp(prefix=f"scmd-{command}-")
    except OSError as error:
        places = dict.fromkeys((os.environ.get("TMPDIR", "/tmp"), "/tmp", "/var/tmp"))
        raise CommandError(
            f"no directory can be made in {' or '.join(places)}: "
            f"mount a file system that can be written at one of them{instead}"
        ) from error
