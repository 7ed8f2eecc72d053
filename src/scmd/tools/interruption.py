"""Ctrl-C while the SCM is asked for something and waited for: it ends the waiting, no more."""

from __future__ import annotations

import sys

from scmd.tools import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Asking:
    """Around a request about the service `name`, and the wait for what becomes of it.

    Ctrl-C goes on to whoever ends the command (`main.INTERRUPTED`), after a line that says where
    to look.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Nothing to do before."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            sys.stdout.flush()
            sys.stderr.write(interrupted_line(self._name))


def interrupted_line(name: str) -> str:
    """A line of its own, also after dots or a line of progress."""
    from shlex import join

    from scmd.vocabulary.names import escaped

    host = target.host()
    command = join(["sc", *([host] if host else []), "query", name])
    return (
        f"\n{escaped(name)} is no longer waited for. The request goes on in the SCM; "
        f"to look: {escaped(command)}\n"
    )
