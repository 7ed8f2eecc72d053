"""scmd boot-plot: the start-up of this SCM as a picture, and what it waited for longest.

Here is what the picture says: the starts, and the critical path. Drawing is `boot_svg`'s.
"""

from __future__ import annotations

import sys

from scmd.client.management import query_boot
from scmd.tools.boot_svg import draw
from scmd.tools.commands import CommandError, Options
from scmd.tools.target import open_calls
from scmd.vocabulary.names import escaped, name_key
from scmd.vocabulary.service import GROUP_PREFIX, ScmAccess
from scmd.vocabulary.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = """\
usage: scmd boot-plot FILE.svg

Draws the automatic starts since the SCM began, delayed ones and services that were pulled in
included: how long each waited for others, how long it took until it was RUNNING, what failed.
The critical path is marked: the chain of services that the end of the start-up waited for.

  FILE   an SVG picture; - for standard output
"""


class Start(Value):
    """One service's start; milliseconds since the automatic starts began."""

    name: str
    group: str = ""
    dependencies: tuple[str, ...] = ()
    delayed: bool = False
    asked: int = 0
    begun: int | None = None
    """When what it needs was there; None: it never came to that."""
    ended: int | None = None
    """When it was RUNNING or had failed; None: it has not come to that yet."""
    error: int = 0


def run(arguments: list[str]) -> int:
    """Draw it, and say in one line how long it took."""
    file = Options(arguments, ()).only("FILE")
    with open_calls() as calls:
        scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
        starts = read(query_boot(calls, scm))
    if not starts:
        raise CommandError(
            "no automatic start is known: there was none, or a new manager has taken over since"
        )
    path = critical_path(starts)
    _write(file, draw(starts, path, summary(starts, path)))
    if file != "-":
        sys.stdout.write(summary(starts, path) + "\n")
    return 0


def _write(file: str, picture: str) -> None:
    if file == "-":
        sys.stdout.write(picture)
        return
    try:
        with open(file, "w", encoding="utf-8") as output:
            output.write(picture)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error


def read(lines: bytes) -> list[Start]:
    """From RQueryBoot's JSON lines; fields of newer versions are passed over."""
    import json

    return [
        Start(
            name=found["name"],
            group=found["group"],
            dependencies=tuple(found["dependencies"]),
            delayed=found["delayed"],
            asked=found["asked"],
            begun=found["begun"],
            ended=found["ended"],
            error=found["error"],
        )
        for found in map(json.loads, lines.splitlines())
    ]


def critical_path(starts: Sequence[Start]) -> list[Start]:
    """The chain that the end of the prompt starts waited for, first to last.

    From the service that was RUNNING last back to what it had waited for last: a dependency,
    or, when it was not asked for at once, the last one of an earlier group.
    """
    up = [start for start in starts if start.ended is not None and not start.error]
    prompt = [start for start in up if not start.delayed] or up
    path: list[Start] = []
    last = max(prompt, key=_end, default=None)
    while last is not None and last not in path:
        path.append(last)
        last = _waited_for(last, starts)
    return path[::-1]


def _waited_for(start: Start, starts: Sequence[Start]) -> Start | None:
    if start.begun is not None and start.begun > start.asked:
        wanted = {name_key(name) for name in start.dependencies}
        needed = [
            other
            for other in starts
            if not other.error and _ended_by(other, start.begun) and _is_among(other, wanted)
        ]
        return max(needed, key=_end, default=None)
    if start.asked and not start.delayed:
        earlier = [other for other in starts if _ended_by(other, start.asked)]
        return max(earlier, key=_end, default=None)
    return None


def _is_among(start: Start, wanted: set[str]) -> bool:
    in_group = bool(start.group) and GROUP_PREFIX + name_key(start.group) in wanted
    return in_group or name_key(start.name) in wanted


def _ended_by(start: Start, instant: int) -> bool:
    return start.ended is not None and start.ended <= instant


def _end(start: Start) -> int:
    return start.ended or 0


def summary(starts: Sequence[Start], path: Sequence[Start]) -> str:
    """One line: how many, how long, and the critical path."""
    failed = sum(start.error != 0 for start in starts)
    pending = sum(start.ended is None for start in starts)
    text = f"{len(starts)} services"
    text += f", {failed} failed" if failed else ""
    text += f", {pending} not up yet" if pending else ""
    if not path:
        return text
    chain = " > ".join(f"{escaped(start.name)} ({start.ended} ms)" for start in path)
    return f"{text}; critical path: {chain}"
