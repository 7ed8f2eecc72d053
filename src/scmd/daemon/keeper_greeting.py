"""What the keeper tells a new manager: where it is, and what outlived the last one.

That manager may be of an older version, if an upgrade was undone.
"""

from __future__ import annotations

import os

from scmd import __version__
from scmd.daemon import keeper_messages as wire
from scmd.daemon.keeper_setup import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scmd.daemon.keeper_captures import Captures
    from scmd.daemon.keeper_launches import Launches, Record
    from scmd.daemon.keeper_listeners import Listeners
    from scmd.daemon.keeper_setup import OwnSockets

SINCE: Mapping[type[wire.Message], int] = {
    wire.Listening: 2,
    wire.ListenFailed: 2,
    wire.LineSeen: 2,
    wire.OutputEnded: 2,
}
"""The version of a manager that expects it; to an older one it is nonsense, of which it dies."""


def is_known(message: wire.Message, version: int) -> bool:
    """Whether a manager of this version may be told."""
    return SINCE.get(type(message), 1) <= version


def greeting(
    state: str,
    runtime: str,
    is_init: bool,
    sockets: OwnSockets,
    launches: Launches,
    captures: Captures,
    listeners: Listeners,
) -> Iterator[tuple[wire.Message, tuple[int, ...]]]:
    """Each message with the descriptors that go with it, in their order."""
    welcome = wire.Welcome(
        version=wire.VERSION,
        state=state,
        runtime=runtime,
        keeper_pid=os.getpid(),
        boot_id=boot_id(),
        launches=len(launches),
        is_init=is_init,
        listeners=len(listeners),
        follows=True,
        program=__version__,
    )
    yield welcome, (sockets.listener, sockets.notify)
    for record in launches:
        adopted = wire.Adopted(
            number=record.number,
            service=record.service,
            name=record.name,
            process_id=record.pid,
            hook=record.hook,
            ended=record.status is not None,
        )
        yield adopted, channels(record)
    for name, listener in listeners:
        yield wire.Listening(name=name), (listener,)
    for record in launches:
        if record.line_seen:
            yield wire.LineSeen(number=record.number), ()
        if record.number not in captures:
            yield wire.OutputEnded(number=record.number), ()
        if record.status is not None:
            yield exited(record), ()


def channels(record: Record) -> tuple[int, ...]:
    return () if record.channel is None else (record.channel,)


def exited(record: Record) -> wire.Exited:
    return wire.Exited(
        number=record.number,
        exit_code=record.exit_code,
        signal=record.signal,
        out_of_memory=record.out_of_memory,
    )
