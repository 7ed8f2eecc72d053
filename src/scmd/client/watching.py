"""Watching services: `for change in scmd.watch("Web")`, and `async for` as well.

Against scmd this is its feed of changes: nothing is lost, nothing comes twice, and it goes on
when the manager was replaced. Who falls too far behind is told so: then each service comes once
as it is, with `gap` set. Other servers have no such feed.

A watcher has a connection of its own, which waits at the server. When the connection breaks it
connects again, for as long as it takes; a first connection that fails raises.
"""

from __future__ import annotations

from collections import deque
from threading import Event, Lock, Thread

from scmd.client.calls import Calls
from scmd.client.connection import ConnectionFailed
from scmd.scmd_interface.feed import FEED_BEGINNING, FeedEntry, WaitForChangesRequest, WatchedName
from scmd.scmd_interface.operations import WAIT_FOR_CHANGES
from scmd.vocabulary.service import ScmAccess, ServiceState
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.value import Value
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from scmd.ndr.values import ContextHandle
    from scmd.scmd_interface.feed import WaitForChangesResponse

KINDS = ("service", "status", "created", "delete_pending", "deleted", "config", "parameters")
"""By the numbers of RWaitForChanges."""
FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 2.0
_UNKNOWN = 0xFFFF_FFFF


class Change(Value):
    """What has happened to a service.

    `kind`: `status`, `created`, `delete_pending` (marked), `deleted`, `config`, `parameters`; or
    `service`, the service as it is, for whoever was behind or asked for it.
    """

    kind: str
    name: str
    status: ServiceStatus
    before: int = 0
    """Of a `status`, the state before, a `ServiceState`; it may be the same."""
    lasted_ms: int | None = None
    """How long that was; None: the state has not changed, or it is not known."""
    cause: str = ""
    """Why, for people."""
    actor: str = ""
    """Who had asked for it: a caller, `SCM`, or `service`."""
    origin: str = ""
    sequence: int = 0
    """Its number, one higher than that of the change before; 0: it has none."""
    gap: bool = False
    """States before this one may be missing."""

    @property
    def state(self) -> ServiceState:
        return ServiceState(self.status.state)


class Watch:
    """The changes of some services, or of all: an iterator, an async iterator, a context manager.

    `connect` gives a connection; `initial`: each service comes first, as it is.
    """

    def __init__(
        self, connect: Callable[[], Calls], names: Iterable[str] = (), *, initial: bool = False
    ) -> None:
        self._connect = connect
        self._names = tuple(names)
        self._initial = initial
        self._ready: deque[Change] = deque()
        self._calls: Calls | None = None
        self._scm: ContextHandle | None = None
        self._place = (0, FEED_BEGINNING)
        self._covered: dict[str, int] = {}
        """Services of a large picture's later parts: their changes up to a number are in it."""
        self._has_begun = False
        self._closed = Event()
        self._fetches = Lock()
        self._fetching: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, from any thread; whoever waits for a change gets the iteration's end."""
        self._closed.set()
        calls = self._calls
        if calls is not None:
            calls.abort()
        # Who is fetching sees the connection's end, and does this then.
        if self._fetches.acquire(blocking=False):
            self._drop()
            self._fetches.release()

    def begin(self) -> Self:
        """Connect and take the place now; what changes from here on is told."""
        while not self._has_begun and not self._closed.is_set():
            self._fetch()
        return self

    # Iteration ------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        while not self._ready:
            if self._closed.is_set():
                raise StopIteration
            self._fetch()
        return self._ready.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """A thread waits, so that a task that is cancelled neither blocks nor loses a change."""
        import asyncio

        while not self._ready:
            if self._closed.is_set():
                raise StopAsyncIteration
            if self._fetching is None:
                loop = asyncio.get_running_loop()
                self._fetching = loop.create_future()
                self._fetching.add_done_callback(_retrieved)
                Thread(target=self._fetch_for, args=(loop, self._fetching), daemon=True).start()
            await asyncio.shield(self._fetching)
        return self._ready.popleft()

    async def aclose(self) -> None:
        self.close()

    def _fetch_for(self, loop: AbstractEventLoop, fetching: Future[None]) -> None:
        failed: Exception | None = None
        try:
            self._fetch()
        except Exception as error:
            failed = error

        def tell() -> None:
            self._fetching = None
            if fetching.cancelled():
                return
            if failed is None:
                fetching.set_result(None)
            else:
                fetching.set_exception(failed)

        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            return  # The loop is over, and nobody waits.

    # The feed -------------------------------------------------------------------------------

    def _fetch(self) -> None:
        """Wait for what comes next; there may be nothing yet when it returns."""
        try:
            with self._fetches:
                self._fetch_once()
        finally:
            if self._closed.is_set():
                self._drop()

    def _fetch_once(self) -> None:
        try:
            if self._calls is None:
                self._open()
            self._take(self._ask(0))
        except ConnectionFailed:
            self._drop()
            if self._closed.is_set():
                return
            if not self._has_begun:
                raise
            self._reconnect()
        except WinError:
            self._drop()
            if not self._closed.is_set():
                raise

    def _open(self) -> None:
        self._calls = calls = self._connect()
        self._scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
        if self._closed.is_set():
            calls.abort()

    def _drop(self) -> None:
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.close()

    def _reconnect(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._closed.is_set():
            try:
                self._open()
            except ConnectionFailed:
                self._drop()
                self._closed.wait(pause)
                pause = min(2 * pause, LAST_PAUSE_S)
            else:
                return

    def _ask(self, resume: int) -> WaitForChangesResponse:
        assert self._calls is not None
        assert self._scm is not None
        epoch, after = self._place
        request = WaitForChangesRequest(
            handle=self._scm,
            epoch=epoch,
            after=after,
            resume=resume,
            names=tuple(WatchedName(text=name) for name in self._names) or None,
        )
        return self._calls.call(WAIT_FOR_CHANGES, request)

    def _take(self, answer: WaitForChangesResponse) -> None:
        place = answer.epoch, answer.number
        if answer.behind:
            self._take_picture(answer)
        else:
            for entry in answer.entries or ():
                if entry.number > self._covered.get(entry.name or "", 0):
                    self._ready.append(_change(entry))
            if self._covered and place[1] >= max(self._covered.values()):
                self._covered.clear()
        self._place = place
        self._has_begun = True

    def _take_picture(self, answer: WaitForChangesResponse) -> None:
        """All its parts; what has changed since the first one comes as changes then."""
        self._covered.clear()
        wanted = self._initial or self._has_begun
        parts = [answer]
        while parts[-1].resume:
            parts.append(self._ask(parts[-1].resume))
        gap = self._has_begun
        for part in parts:
            for entry in part.entries or ():
                if part.number > answer.number:
                    self._covered[entry.name or ""] = part.number
                if wanted:
                    self._ready.append(_change(entry, gap))


def _change(entry: FeedEntry, gap: bool = False) -> Change:
    kind = KINDS[entry.kind] if entry.kind < len(KINDS) else "service"
    return Change(
        kind=kind,
        name=entry.name or "",
        status=entry.status,
        before=entry.before,
        lasted_ms=None if entry.lasted == _UNKNOWN else entry.lasted,
        cause=entry.cause or "",
        actor=entry.actor or "",
        origin=entry.origin or "",
        sequence=entry.number,
        gap=gap,
    )


def _retrieved(fetching: Future[None]) -> None:
    """An error that nobody waits for any more is nobody's."""
    if not fetching.cancelled():
        fetching.exception()


def watch(
    *names: str,
    host: str | None = None,
    user: str | None = None,
    password: str | None = None,
    initial: bool = False,
) -> Watch:
    """The changes of these services, which need not exist yet, or of all, from now on.

    It has connected when this returns: WinError when that fails, 5 without the right to list
    services, 120 at a server that has no feed. With `initial` each service comes first as it is.
    """
    from scmd.client.scm import connect

    def calls() -> Calls:
        return connect(host, user=user, password=password).calls

    return Watch(calls, names, initial=initial).begin()
