"""The shell around the core: a bug ends it, since what the core holds then is not to be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from scmd.core.event_ids import EventId
from scmd.core.messages import CallId, Millis, SaveId, ServiceId, Settings, commands, events
from scmd.core.messages.effects import AnyEffect, LogEvent, RemoveRecord, Reply, StatusChanged
from scmd.core.messages.events import AutoStart
from scmd.core.scm import Scm
from scmd.daemon.shell import Notice, Shell
from scmd.vocabulary.errors import Error
from scmd.vocabulary.status import ServiceStatus


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


class ChangesAndReplies(Scm):
    """Something of each kind that is only told, and an answer between."""

    def handle(self, message: commands.Command | events.Event, now: int) -> list[AnyEffect]:
        service = ServiceId(1)
        change = StatusChanged(service, "A", ServiceStatus(), "a test")
        log = LogEvent(EventId.ENTERED_STATE, service, ())
        return [change, Reply(CallId(1), 0), change, log, change]


def shell_around(
    kind: type[Scm],
    told: list[str],
    disk: SlowDisk | None = None,
    on_notice: Callable[[Notice], None] | None = None,
) -> Shell:
    return Shell(
        kind((), Settings()),
        None,  # type: ignore[arg-type] # not reached
        None,  # type: ignore[arg-type] # not reached
        disk,  # type: ignore[arg-type] # a disk that answers when told
        None,  # type: ignore[arg-type] # not reached
        on_reply=lambda _: told.append("Reply"),
        on_notice=on_notice or (lambda notice: told.append(type(notice).__name__)),
        on_failure=lambda failed: told.append(str(failed)),
    )


async def test_a_bug_while_a_message_is_handled_is_told() -> None:
    told: list[str] = []
    shell = shell_around(BuggyEvents, told)
    with pytest.raises(AssertionError):
        shell.submit(AutoStart())
    assert told == ["a bug"]


async def test_answers_come_before_the_history_is_written_and_all_else_is_in_order() -> None:
    told: list[str] = []
    shell_around(ChangesAndReplies, told).submit(AutoStart())
    assert told == ["Reply", "StatusChanged", "StatusChanged", "LogEvent", "StatusChanged"]


async def test_a_bug_at_a_deadline_is_told() -> None:
    told: list[str] = []
    loop = asyncio.get_running_loop()
    raised = loop.create_future()
    loop.set_exception_handler(lambda _, context: raised.set_result(context["exception"]))
    shell_around(BuggyDeadlines, told).submit(AutoStart())
    assert str(await raised) == "a late bug"
    assert told == ["a late bug"]


class Waiting(Scm):
    """Each message sets its deadline anew; a last event says that it has come."""

    delays: list[int]
    due: int | None = None

    def handle(self, message: commands.Command | events.Event, now: int) -> list[AnyEffect]:
        self.due = now + self.delays.pop(0)
        return []

    def next_deadline(self) -> int | None:
        return self.due

    def expire(self, now: int) -> list[AnyEffect]:
        if self.due is None or now < self.due:
            return []
        self.due = None
        return [LogEvent(EventId.ENTERED_STATE, ServiceId(1), ())]


@pytest.mark.parametrize("delays", [[1, 20], [3_600_000, 1], [1]])
async def test_a_deadline_comes_whether_it_was_moved_later_or_earlier(delays: list[int]) -> None:
    come = asyncio.get_running_loop().create_future()

    class Set(Waiting):
        pass

    Set.delays = list(delays)
    shell = shell_around(Set, [], on_notice=lambda _: come.set_result(None))
    for _ in delays:
        shell.submit(AutoStart())
    await come


class Removing(Scm):
    """At first it removes a record; it does no more when that is done."""

    def handle(self, message: commands.Command | events.Event, now: int) -> list[AnyEffect]:
        return [RemoveRecord(SaveId(1), ServiceId(7))] if isinstance(message, AutoStart) else []


class SlowDisk:
    def __init__(self) -> None:
        self.done: list[Callable[[SaveId, Error], None]] = []

    def submit(self, change: object, done: Callable[[SaveId, Error], None]) -> None:
        self.done.append(done)


async def test_all_is_saved_when_the_disk_has_answered() -> None:
    disk = SlowDisk()
    shell = shell_around(Removing, [], disk)
    await shell.saved()
    shell.submit(AutoStart())
    waiting = asyncio.ensure_future(shell.saved())
    assert not (await asyncio.wait([waiting], timeout=0))[0]
    await asyncio.to_thread(disk.done[0], SaveId(1), Error.DISK_FULL)
    await waiting
