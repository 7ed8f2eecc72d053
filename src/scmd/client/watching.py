"""Watching services: `for change in scmd.watch("Web")`, and `async for` as well.

Against scmd this is its feed of changes: nothing is lost, nothing comes twice, and it goes on
when the manager was replaced. Who falls too far behind is told so: then each service comes once
as it is, with `gap` set. At servers without a feed it is NotifyServiceStatusChange, and where
that is missing too, looking again and again: then each change is `sampled`.

A watcher has a connection of its own, which waits at the server. When the connection breaks it
connects again, for as long as it takes. A first connection that fails raises, and so does a later
one when the server refuses who asks.
"""

from __future__ import annotations

from collections import deque
from threading import Lock, Thread

from scmd.client.calls import Calls
from scmd.client.changes import Change as Change
from scmd.client.changes import Scope
from scmd.client.connection import ConnectionFailed
from scmd.client.feed_changes import FeedChanges
from scmd.client.notified_changes import NotifiedChanges
from scmd.client.polled_changes import PolledChanges
from scmd.client.reconnection import MOST_ATTEMPTS
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ScmAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable, Iterable
    from typing import Protocol, Self

    from scmd.ndr.values import ContextHandle
else:
    Protocol = object

FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 2.0
_LACKING = (Error.CALL_NOT_IMPLEMENTED, Error.RPC_PROCNUM_OUT_OF_RANGE)
"""Of a server that lacks the interface, or the operation."""


class Way(Protocol):
    """A way to find changes out, on one connection."""

    def next(self) -> list[Change]:
        """Wait for changes; perhaps none. The first time it takes the place and comes back."""

    def close(self) -> None:
        """Nobody waits any more."""


_WAYS: tuple[Callable[[Calls, ContextHandle, Scope], Way], ...] = (
    FeedChanges,
    NotifiedChanges,
    PolledChanges,
)
"""The best first."""


class Watch:
    """The changes of some services, or of all: an iterator, an async iterator, a context manager.

    `connect` gives a connection; `initial` and `after` are as for `watch`. `lossless`: only a feed
    will do, WinError 120 at a server without one.
    """

    def __init__(
        self,
        connect: Callable[[], Calls],
        names: Iterable[str] = (),
        *,
        initial: bool = False,
        after: str = "",
        lossless: bool = False,
    ) -> None:
        self._connect = connect
        self._scope = Scope(names, initial, after)
        self._ways = _WAYS[:1] if lossless else _WAYS
        self._way = 0
        self._ready: deque[Change] = deque()
        self._calls: Calls | None = None
        self._place = ""
        """Where it has connected."""
        self._scm: ContextHandle | None = None
        self._source: Way | None = None
        self._pause = 0.0
        self._fetches = Lock()
        self._fetching: dict[AbstractEventLoop, Future[None]] = {}
        """By event loops: for whom a thread is about it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, from any thread; whoever waits for a change gets the iteration's end."""
        self._scope.closed.set()
        calls = self._calls
        if calls is not None:
            calls.abort()
        # Who is fetching sees the connection's end, and does this then.
        if self._fetches.acquire(blocking=False):
            self._drop()
            self._fetches.release()

    def begin(self) -> Self:
        """Connect and take the place now; what changes from here on is told."""
        failures = 0
        while not self._scope.has_begun and not self._scope.closed.is_set():
            try:
                self._fetch()
            except ConnectionFailed as failed:
                # One that was made and broke: a manager has died, and the next one takes over.
                failures += 1
                if failed.winerror != Error.RPC_CALL_FAILED or failures == MOST_ATTEMPTS:
                    raise
        return self

    # Iteration ------------------------------------------------------------------------------

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        while (change := self._taken()) is None:
            if self._scope.closed.is_set():
                raise StopIteration
            self._fetch()
        return change

    def _taken(self) -> Change | None:
        """The next one that is there, if another thread has not taken it."""
        try:
            return self._ready.popleft()
        except IndexError:
            return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """A thread waits, so that a task that is cancelled neither blocks nor loses a change."""
        import asyncio

        loop = asyncio.get_running_loop()
        while (change := self._taken()) is None:
            if self._scope.closed.is_set():
                raise StopAsyncIteration
            if loop not in self._fetching:
                for over in [known for known in list(self._fetching) if known.is_closed()]:
                    self._fetching.pop(over, None)
                fetching = self._fetching[loop] = loop.create_future()
                fetching.add_done_callback(_retrieved)
                Thread(target=self._fetch_for, args=(loop, fetching), daemon=True).start()
            await asyncio.shield(self._fetching[loop])
        return change

    async def aclose(self) -> None:
        self.close()

    def _fetch_for(self, loop: AbstractEventLoop, fetching: Future[None]) -> None:
        failed: Exception | None = None
        try:
            self._fetch()
        except Exception as error:
            failed = error

        def tell() -> None:
            self._fetching.pop(loop, None)
            if fetching.cancelled():
                return
            if failed is None:
                fetching.set_result(None)
            else:
                fetching.set_exception(failed)

        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            self._fetching.pop(loop, None)  # The loop is over, and nobody waits.

    # Fetching -------------------------------------------------------------------------------

    def _fetch(self) -> None:
        """Wait for what comes next; there may be nothing yet when it returns."""
        try:
            with self._fetches:
                # Another thread may have fetched something, or closed it, meanwhile.
                if not self._ready and not self._scope.closed.is_set():
                    self._fetch_once()
        finally:
            if self._scope.closed.is_set():
                self._drop()

    def _fetch_once(self) -> None:
        try:
            if self._source is None:
                self._source = self._opened()
            self._ready.extend(self._scope.told(self._source.next()))
            self._scope.has_begun = True
            self._pause = 0.0
        except WinError as error:
            if error.winerror in _LACKING and self._way + 1 < len(self._ways):
                self._step_down()
                return
            self._drop()
            self._way = 0
            if self._scope.closed.is_set():
                return
            if not self._scope.has_begun or not _is_passing(error, self._place):
                raise
            self._scope.closed.wait(self._pause)
            self._pause = min(max(2 * self._pause, FIRST_PAUSE_S), LAST_PAUSE_S)

    def _step_down(self) -> None:
        self._way += 1
        self._source = None
        if self._calls is None or self._calls.is_closed:
            self._drop()

    def _opened(self) -> Way:
        if self._calls is None:
            # One that never connects again by itself: whoever has a handle has to know.
            self._calls = Calls(self._connect().connection)
            self._place = self._calls.connection.place
            access = ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE
            self._scm = self._calls.open_scm(access)
            if self._scope.closed.is_set():
                self._calls.abort()
        assert self._scm is not None
        return self._ways[self._way](self._calls, self._scm, self._scope)

    def _drop(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
        calls, self._calls = self._calls, None
        if calls is not None:
            calls.close()


def _is_passing(error: WinError, place: str) -> bool:
    """Whether to connect again and go on: a server that shuts down says so before it is gone.

    Credentials that are refused where they were good are not tried again: it may lock an account.
    """
    if isinstance(error, ConnectionFailed):
        return error.refused_at != place
    return error.winerror == Error.SHUTDOWN_IN_PROGRESS


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
    after: str = "",
) -> Watch:
    """The changes of these services, which need not exist yet, or of all, from now on.

    `host`, `user` and `password` are as for `scmd.connect`. It has connected when this returns:
    WinError as there, and 5 without the right to list services. With `initial` each service comes
    first as it is.

    `after`, the `place` of a change that another watch of the same services has told: on from
    there, nothing lost and nothing twice. If that is too long ago, or of another boot, each service
    comes once as it is, with `gap` set. ValueError: it is no such place.
    """
    from scmd.client.scm import connect

    def calls() -> Calls:
        return connect(host, user=user, password=password).calls

    return Watch(calls, names, initial=initial, after=after).begin()
