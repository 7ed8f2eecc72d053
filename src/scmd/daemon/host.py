"""What the daemon itself answers: its status, captured output, events, histories, crashes.

It also removes the captured output of records that are gone.

The core has already agreed to the request. Files are read on threads, so a slow disk
keeps only the one who asked waiting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Coroutine
from pathlib import Path

from scmd import __version__
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import Reply
from scmd.daemon import remote_requests
from scmd.daemon.background import Background
from scmd.daemon.chronicle import Chronicle
from scmd.daemon.keeper_setup import instance_of
from scmd.daemon.remote import Remote
from scmd.linux.event_log import EventLog
from scmd.linux.log_reader import read_log
from scmd.linux.log_removal import remove_log, remove_strays
from scmd.linux.usage import usage_of
from scmd.server.host_requests import (
    ChangeRemote,
    HostRequest,
    QueryManagerStatus,
    QueryRemote,
    QueryUsage,
    ReadCrash,
    ReadEvents,
    ReadHistory,
    ReadLog,
    ReplaceManager,
    ReportEvent,
)
from scmd.storage.documents import to_json
from scmd.vocabulary.errors import Error

Counts = Callable[[], dict[str, int]]
log = logging.getLogger("scmd.manager")


class Host:
    """Answers host requests; each gets exactly one reply, some at once."""

    def __init__(
        self,
        state: Path,
        runtime: Path,
        keeper_pid: int,
        keeper_version: str,
        event_log: EventLog,
        chronicle: Chronicle,
        counts: Counts,
        on_reply: Callable[[Reply], None],
        on_replace: Callable[[], None],
        remote: Remote,
    ) -> None:
        self._state = state
        self._runtime = runtime
        self._keeper_pid = keeper_pid
        self._keeper_version = keeper_version
        self._event_log = event_log
        self._chronicle = chronicle
        self._counts = counts
        self._on_reply = on_reply
        self._on_replace = on_replace
        self._remote = remote
        self._began = time.monotonic()
        self._background = Background()

    def serve(self, request: HostRequest) -> None:
        """Answer now, or when a file has been read."""
        match request:
            case QueryManagerStatus():
                self._on_reply(Reply(request.call.id, Error.SUCCESS, self._status()))
            case ReportEvent():
                self._event_log.append(
                    request.source,
                    request.event_id,
                    request.type,
                    request.strings,
                    user=request.call.caller.name,
                )
                self._on_reply(Reply(request.call.id, Error.SUCCESS))
            case ReplaceManager():
                self._on_reply(Reply(request.call.id, Error.SUCCESS))
                self._on_replace()
            case QueryRemote():
                self._background.begin(self._query_remote(request))
            case ChangeRemote():
                self._background.begin(self._change_remote(request))
            case ReadLog():
                self._read(request, lambda: self._log(request))
            case QueryUsage():
                self._read(request, lambda: self._usage(request.process_id))
            case ReadEvents():
                self._read(request, lambda: self._events(request))
            case ReadHistory():
                self._answer(request, self._chronicle.history(request.service))
            case ReadCrash():
                self._answer(request, self._chronicle.crash(request.service, request.age))
            case _:
                raise AssertionError(request)

    def _read(self, request: HostRequest, read: Callable[[], object]) -> None:
        self._answer(request, asyncio.to_thread(read))

    def _answer(self, request: HostRequest, question: Coroutine[None, None, object]) -> None:
        async def answer() -> None:
            try:
                reply = Reply(request.call.id, Error.SUCCESS, await question)
            except OSError:
                reply = Reply(request.call.id, Error.READ_FAULT)
            except Exception:
                # It is owed an answer all the same.
                self._on_reply(Reply(request.call.id, Error.EXCEPTION_IN_SERVICE))
                raise
            self._on_reply(reply)

        self._background.begin(answer())

    async def _query_remote(self, request: QueryRemote) -> None:
        status = await remote_requests.query(self._remote)
        self._on_reply(Reply(request.call.id, Error.SUCCESS, status))

    async def _change_remote(self, request: ChangeRemote) -> None:
        error, detail = await remote_requests.change(self._remote, request.change)
        caller, what = request.call.caller, remote_requests.described(request.change)
        self._event_log.append_audit(caller.name, caller.origin, "remote", what, error)
        self._on_reply(Reply(request.call.id, error, detail))

    def service_deleted(self, service: ServiceId) -> None:
        """The record is gone: what it has written goes too."""
        self._background.begin(self._remove_logs(lambda logs: remove_log(logs, service)))

    async def remove_strays(self, services: Collection[ServiceId]) -> None:
        """Remove what records that are none of these have left."""
        await self._remove_logs(lambda logs: remove_strays(logs, services))

    async def _remove_logs(self, remove: Callable[[Path], None]) -> None:
        try:
            await asyncio.to_thread(remove, self._state / "logs")
        except OSError as error:
            log.warning("captured output of deleted services is still there: %s", error)

    def _log(self, request: ReadLog) -> tuple[int, bytes, int]:
        part = read_log(self._state / "logs", request.service, request.position, request.count)
        return part.start, part.data, part.next

    def _usage(self, process_id: int) -> bytes:
        return to_json(usage_of(process_id, instance_of(str(self._state))))

    def _events(self, request: ReadEvents) -> tuple[bytes, int]:
        return self._event_log.read(request.after, request.count, request.source)

    def _status(self) -> bytes:
        return to_json(
            {
                "keeper_pid": self._keeper_pid,
                "keeper_version": self._keeper_version,
                "manager_pid": os.getpid(),
                "version": __version__,
                "uptime_ms": int((time.monotonic() - self._began) * 1000),
                "counts": self._counts(),
                "end_points": [f"unix:{self._runtime / 'scm.sock'}", *self._remote.end_points()],
                "state": str(self._state),
                "runtime": str(self._runtime),
            }
        )
