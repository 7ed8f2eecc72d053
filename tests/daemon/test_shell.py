"""The shell around the core: a bug ends it, since what the core holds then is not to be trusted."""

from __future__ import annotations

import asyncio

import pytest

from scmd.core.messages import Millis, Settings, commands, events
from scmd.core.messages.effects import AnyEffect
from scmd.core.scm import Scm
from scmd.daemon.shell import Shell


class BuggyEvents(Scm):
    def handle(self, message: commands.Command | events.Event, now: int) -> list[AnyEffect]:
        raise AssertionError("a bug")


class BuggyDeadlines(Scm):
    """Each event makes its deadline due."""

    def handle(self, message: commands.Command | events.Event, now: int) -> list[AnyEffect]:
        return []

    def next_deadline(self) -> Millis | None:
        return Millis(0)

    def expire(self, now: int) -> list[AnyEffect]:
        raise AssertionError("a late bug")


def shell_around(kind: type[Scm], told: list[str]) -> Shell:
    # Nothing but the core is reached before the bug.
    return Shell(
        kind((), Settings()),
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        on_reply=lambda _: None,
        on_notice=lambda _: None,
        on_failure=lambda failed: told.append(str(failed)),
    )


async def test_a_bug_while_a_message_is_handled_is_told() -> None:
    told: list[str] = []
    shell = shell_around(BuggyEvents, told)
    with pytest.raises(AssertionError):
        shell.submit(events.AutoStart())
    assert told == ["a bug"]


async def test_a_bug_at_a_deadline_is_told() -> None:
    told: list[str] = []
    loop = asyncio.get_running_loop()
    raised = loop.create_future()
    loop.set_exception_handler(lambda _, context: raised.set_result(context["exception"]))
    shell_around(BuggyDeadlines, told).submit(events.AutoStart())
    assert str(await raised) == "a late bug"
    assert told == ["a late bug"]
