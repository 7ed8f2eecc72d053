"""NotifyServiceStatusChange on handles to services: what is done, and what comes of it.

`notify_scenarios.py MODULE COMMAND MARKS`: MODULE is scmd's `winsvc` or the tests' `advapi32`,
which have the same functions; COMMAND runs the service program, to which the name of its service
is added; MARKS is how many milliseconds to wait for what comes of a mark for deletion. Prints a
JSON object: each scenario's name to what was seen. It imports nothing of scmd's by itself, since a
CPython for Windows runs it too.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 30_000
A_WHILE = 100
"""Milliseconds in which nothing is to come, after somebody else has been told."""
IO = 0xC0
STATES = {
    "STOPPED": (0x001, 1),
    "START_PENDING": (0x002, 2),
    "STOP_PENDING": (0x004, 3),
    "RUNNING": (0x008, 4),
    "CONTINUE_PENDING": (0x010, 5),
    "PAUSE_PENDING": (0x020, 6),
    "PAUSED": (0x040, 7),
}
"""The mask's bit and the state's number."""
RUNNING, PAUSED, PAUSE_PENDING, CREATED, DELETE_PENDING = 0x8, 0x40, 0x20, 0x80, 0x200
BROKEN_PIPE = 109
"""Wine's answer to a control when the process ended before the Handler's answer was read."""
QUERY_STATUS, ALL_ACCESS, SCM_ALL = 0x4, 0xF01FF, 0xF003F


class Watcher:
    """A handle and a buffer of its own, and what the buffer's callback was told."""

    def __init__(self, world: World, access: int = QUERY_STATUS, version: int = 2) -> None:
        self.winsvc = world.winsvc
        self.handle = self.winsvc.OpenService(world.scm, world.name, access)
        self.buffer = self.winsvc.ServiceNotify(self._told, version=version)
        self.told: list[list[int]] = []
        self.is_closed = False
        world.watchers.append(self)

    def _told(self, buffer: Any) -> None:
        triggered = buffer.notification_triggered
        self.told.append([buffer.notification_status, triggered, buffer.service_status.state])

    def ask(self, mask: int) -> Any:
        """0 or the error."""
        try:
            self.winsvc.NotifyServiceStatusChange(self.handle, mask, self.buffer)
        except self.winsvc.WinError as error:
            return error.winerror
        return 0

    def wait(self, count: int = 1, patience: int = PATIENCE) -> list[list[int]]:
        """What was told, once it is so much, or when the patience ends."""
        while len(self.told) < count and self.winsvc.SleepEx(patience, True) == IO:
            pass
        return self.told

    def close(self) -> None:
        self.is_closed = True
        self.winsvc.CloseServiceHandle(self.handle)


class World:
    """A running service, which scenarios share until one stops or deletes it."""

    def __init__(self, winsvc: Any, command: str, number: int, mark_patience: int) -> None:
        self.winsvc = winsvc
        self.name = f"Obedient{number}"
        self.mark_patience = mark_patience
        self.watchers: list[Watcher] = []
        self.is_stopped = self.is_deleted = False
        self.scm = winsvc.OpenSCManager(None, None, SCM_ALL)
        self.service = winsvc.CreateService(
            self.scm, self.name, None, ALL_ACCESS, 0x10, 3, 1, f"{command} {self.name}"
        )
        self.winsvc.StartService(self.service)
        while self.winsvc.QueryServiceStatus(self.service).state != 4:
            self.winsvc.SleepEx(1, False)

    def enter(self, state: int) -> None:
        """Have the service report this state, and then RUNNING again unless it is STOPPED."""
        self.is_stopped |= state == 1
        try:
            self.winsvc.ControlService(self.service, 128 + state if state != 1 else 1)
        except self.winsvc.WinError as error:
            if error.winerror != BROKEN_PIPE:
                raise

    def fence(self, mask: int, state: int) -> None:
        """Enter a state; come back when another watcher has been told of it, and a while later."""
        other = Watcher(self)
        other.ask(mask)
        self.enter(state)
        other.wait()
        other.close()
        while self.winsvc.SleepEx(A_WHILE, True) == IO:
            pass

    def delete(self) -> None:
        self.is_deleted = True
        self.winsvc.DeleteService(self.service)

    def leave(self) -> None:
        """Close what a scenario has opened."""
        for watcher in self.watchers:
            if not watcher.is_closed:
                watcher.close()
        self.watchers.clear()

    def close(self) -> None:
        if not self.is_stopped:
            self.enter(1)
        if not self.is_deleted:
            self.delete()
        self.winsvc.CloseServiceHandle(self.service)
        self.winsvc.CloseServiceHandle(self.scm)


SCENARIOS: dict[str, Callable[[World], Any]] = {}


def scenario(name: str) -> Callable[[Callable[[World], Any]], Callable[[World], Any]]:
    def listed(run: Callable[[World], Any]) -> Callable[[World], Any]:
        SCENARIOS[name] = run
        return run

    return listed


def _entered(name: str) -> Callable[[World], Any]:
    bit, state = STATES[name]

    def run(world: World) -> Any:
        watcher = Watcher(world)
        error = watcher.ask(bit)
        world.enter(state)
        return [error, watcher.wait()]

    return run


SCENARIOS.update((f"{name} is entered", _entered(name)) for name in STATES if name != "RUNNING")


@scenario("RUNNING is entered")
def _running(world: World) -> Any:
    watcher = Watcher(world)
    watcher.ask(RUNNING)
    watcher.wait()
    error = watcher.ask(RUNNING)
    world.enter(7)
    return [error, watcher.wait(2)]


@scenario("the state it is in is reported again")
def _reported_again(world: World) -> Any:
    watcher = Watcher(world)
    watcher.ask(RUNNING)
    watcher.wait()
    error = watcher.ask(RUNNING)
    world.enter(4)
    world.fence(*STATES["STOPPED"])
    return [error, len(watcher.told)]


@scenario("the state it is in is told at once")
def _at_once(world: World) -> Any:
    watcher = Watcher(world)
    return [watcher.ask(RUNNING), watcher.wait()]


@scenario("the same entry is not told again on this handle")
def _not_again(world: World) -> Any:
    watcher = Watcher(world)
    watcher.ask(RUNNING)
    watcher.wait()
    error = watcher.ask(RUNNING)
    while world.winsvc.SleepEx(A_WHILE, True) == IO:
        pass
    return [error, len(watcher.told)]


@scenario("another handle is told of it too")
def _another_handle(world: World) -> Any:
    first, second = Watcher(world), Watcher(world)
    return [first.ask(RUNNING), first.wait(), second.ask(RUNNING), second.wait()]


@scenario("who was told has to ask again")
def _one_shot(world: World) -> Any:
    watcher = Watcher(world)
    watcher.ask(PAUSED)
    world.enter(7)
    watcher.wait()
    world.fence(*STATES["PAUSED"])
    before = len(watcher.told)
    error = watcher.ask(PAUSED)
    world.enter(7)
    return [before, error, len(watcher.wait(2))]


@scenario("nothing is called without an alertable wait")
def _not_alertable(world: World) -> Any:
    watcher = Watcher(world)
    watcher.ask(RUNNING)
    world.winsvc.SleepEx(A_WHILE, False)
    return [list(watcher.told), watcher.wait()]


@scenario("of several bits the one that happened is told")
def _several_bits(world: World) -> Any:
    watcher = Watcher(world)
    error = watcher.ask(PAUSED | PAUSE_PENDING)
    world.enter(7)
    return [error, watcher.wait()]


@scenario("one request a handle")
def _one_request(world: World) -> Any:
    watcher = Watcher(world)
    buffers = [watcher.ask(PAUSED)]
    watcher.buffer = world.winsvc.ServiceNotify(watcher._told)
    return [*buffers, watcher.ask(PAUSED)]


@scenario("two handles are both told")
def _two_handles(world: World) -> Any:
    watchers = Watcher(world), Watcher(world)
    errors = [watcher.ask(PAUSED) for watcher in watchers]
    world.enter(7)
    return [errors, [watcher.wait() for watcher in watchers]]


@scenario("closing cancels")
def _closing(world: World) -> Any:
    watcher = Watcher(world)
    error = watcher.ask(PAUSED)
    watcher.close()
    world.fence(*STATES["PAUSED"])
    return [error, watcher.told]


@scenario("the handle needs SERVICE_QUERY_STATUS")
def _right(world: World) -> Any:
    return Watcher(world, access=0x1).ask(PAUSED)


@scenario("CREATED is for handles to the SCM")
def _created(world: World) -> Any:
    return Watcher(world).ask(CREATED)


@scenario("kinds of bits do not mix")
def _mixed(world: World) -> Any:
    return Watcher(world).ask(CREATED | RUNNING)


@scenario("a mask without bits")
def _no_bits(world: World) -> Any:
    return Watcher(world).ask(0)


@scenario("a bit that there is not")
def _unknown_bit(world: World) -> Any:
    return Watcher(world).ask(0x400)


@scenario("a closed handle")
def _closed(world: World) -> Any:
    watcher = Watcher(world)
    watcher.close()
    return watcher.ask(PAUSED)


@scenario("version 1 of the buffer")
def _version_1(world: World) -> Any:
    watcher = Watcher(world, version=1)
    return [watcher.ask(RUNNING), watcher.wait()]


@scenario("version 3 of the buffer")
def _version_3(world: World) -> Any:
    return Watcher(world, version=3).ask(RUNNING)


@scenario("a mark for deletion is told")
def _marked(world: World) -> Any:
    watcher = Watcher(world)
    error = watcher.ask(DELETE_PENDING)
    world.delete()
    return [error, watcher.wait(patience=world.mark_patience)]


@scenario("a mark for deletion ends what was asked about a state")
def _marked_otherwise(world: World) -> Any:
    watcher = Watcher(world)
    error = watcher.ask(PAUSED)
    world.delete()
    return [error, watcher.wait(patience=world.mark_patience)]


@scenario("a service that is marked for deletion")
def _marked_before(world: World) -> Any:
    watcher = Watcher(world)
    world.delete()
    return watcher.ask(PAUSED)


def main(module: str, command: str, mark_patience: str) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    winsvc = importlib.import_module(module)
    seen: dict[str, Any] = {}
    world: World | None = None
    for number, (name, run) in enumerate(SCENARIOS.items()):
        world = world or World(winsvc, command, number, int(mark_patience))
        seen[name] = run(world)
        world.leave()
        if world.is_stopped or world.is_deleted:
            world.close()
            world = None
    if world is not None:
        world.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
