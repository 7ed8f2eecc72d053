"""A new connection in place of one that broke, with the same handles open on it.

The manager may die or be replaced at any time; connections and handles end with it, and the
next one answers at the same place. What was opened is remembered, and opened again on the new
connection; a caller's handle goes on to stand for it. A call is made again only when that is
safe: it was not sent whole, or it asks and changes nothing.
"""

from __future__ import annotations

from _thread import allocate_lock

from scmd.client.connection import Connection, ConnectionFailed, function_name
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self, TypeVar

    from scmd.ndr.structure import Structure
    from scmd.ndr.values import ContextHandle
    from scmd.rpc.client import Response
    from scmd.rpc.interface import Operation

    Req = TypeVar("Req", bound=Structure)
    Resp = TypeVar("Resp", bound=Structure)
    Reopen = Callable[["OpenHandles"], ContextHandle]

MOST_ATTEMPTS = 4
"""Connections that may break, one after the other, before the handles are open again."""
_ASKING = ("RQuery", "REnum", "ROpen", "RGet", "RRead")
_HANDLE_FIELDS = ("service", "scm", "handle")


class Reconnecting:
    """A connection, the handles on it, and the way of a call over it, or over the next one.

    Given a connection instead of a function that makes one, it never connects again.
    """

    def __init__(self, connection: Connection | Callable[[], Connection]) -> None:
        self._connection = connection if isinstance(connection, Connection) else None
        self._connect = connection if callable(connection) else None
        self._handles = OpenHandles()
        self._turn = allocate_lock()
        """Held for a call, with all that connecting again takes: the handles then fit."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connect = None
        if self._connection is not None:
            self._connection.close()

    def another_connection(self) -> Connection:
        """One more to the same SCM; it is the caller's to close."""
        return self._connector()()

    def _connector(self) -> Callable[[], Connection]:
        if self._connect is None:
            closed = "the connection is closed"
            raise ConnectionFailed(Error.RPC_CALL_FAILED, "OpenSCManager", closed)
        return self._connect

    def abort(self) -> None:
        """End it for good from another thread: a call that is under way fails."""
        self._connect = None
        if self._connection is not None:
            self._connection.abort()

    @property
    def is_closed(self) -> bool:
        return self._connection is not None and self._connection.is_closed

    @property
    def is_busy(self) -> bool:
        """A call is under way, of this thread or another one."""
        connection = self._connection
        return self._turn.locked() or (connection is not None and connection.is_busy)

    @property
    def connection(self) -> Connection:
        """The connection, made now if it is the first use."""
        if self._connection is None:
            self._connection = self._connector()()
        return self._connection

    def call(
        self,
        operation: Operation[Req, Resp],
        request: Req,
        allowed: tuple[int, ...] = (),
        unfit: Error = Error.INVALID_PARAMETER,
        opened: Callable[[Resp], object] | None = None,
    ) -> Resp:
        """Any operation; WinError for a result that is neither 0 nor in `allowed`.

        `opened` takes the answer of a success, and remembers what there is to open again.
        """
        with self._turn:
            connection = self.connection
            try:
                response = connection.call(operation, self._handles.in_request(request), unfit)
            except ConnectionFailed as failed:
                renewed = self._renewed(operation.name, failed)
                response = renewed.call(operation, self._handles.in_request(request), unfit)
            error: int = getattr(response, "error", 0)
            if opened is not None and not error:
                opened(response)
        if error and error not in allowed:
            raise WinError(error, function_name(operation.name))
        return response

    def _exchange(self, opnum: int, service: ContextHandle, tail: bytes, name: str) -> Response:
        """A call of svcctl whose request is a handle and constant bytes."""
        with self._turn:
            connection = self.connection
            try:
                stub = self._handles.present(service) + tail
                return connection.exchange(SVCCTL, opnum, stub, name)
            except ConnectionFailed as failed:
                renewed = self._renewed(name, failed)
                stub = self._handles.present(service) + tail
                return renewed.exchange(SVCCTL, opnum, stub, name)

    def _renewed(self, name: str, failed: ConnectionFailed) -> Connection:
        """The connection to make the call on again; raises `failed` when there is none."""
        connect = self._connect
        if connect is None or not may_repeat(name, failed):
            raise failed
        self._connect_anew(connect)
        return self.connection

    def _connect_anew(self, connect: Callable[[], Connection]) -> None:
        """The next manager may die soon, too; each further one is waited for while it begins."""
        for left in reversed(range(MOST_ATTEMPTS)):
            try:
                self._connection = connect()
                self._handles.renew()
                return
            except ConnectionFailed as failed:
                if not left or failed.winerror != Error.RPC_CALL_FAILED:
                    raise


def may_repeat(operation: str, failed: ConnectionFailed) -> bool:
    """Whether a call that failed so may be made again on another connection."""
    if failed.winerror != Error.RPC_CALL_FAILED:
        return False
    return not failed.sent or operation.startswith(_ASKING)


class OpenHandles:
    """The handles of one `Reconnecting`, each with the way to open it again."""

    def __init__(self) -> None:
        self._reopen: dict[ContextHandle, Reopen] = {}
        self._present: dict[ContextHandle, ContextHandle] = {}
        """What stands for a handle of an earlier connection."""

    def opened(self, handle: ContextHandle, reopen: Reopen) -> None:
        self._reopen[handle] = reopen

    def opened_with(self, handle: ContextHandle, prepare: Callable[[ContextHandle], None]) -> None:
        """Opened again, it is no use without this."""
        reopen = self._reopen[handle]

        def both(handles: OpenHandles) -> ContextHandle:
            fresh = reopen(handles)
            prepare(fresh)
            return fresh

        self._reopen[handle] = both

    def closed(self, handle: ContextHandle) -> None:
        self._reopen.pop(handle, None)
        self._present.pop(handle, None)

    def present(self, handle: ContextHandle) -> ContextHandle:
        """What the server calls the handle now."""
        return self._present.get(handle, handle)

    def in_request(self, request: Req) -> Req:
        """The request with handles that the server knows."""
        if not self._present:
            return request
        changes = {}
        for field in _HANDLE_FIELDS:
            handle = getattr(request, field, None)
            if handle is not None and handle in self._present:
                changes[field] = self._present[handle]
        return request.replace(**changes) if changes else request

    def renew(self) -> None:
        """Open all again, in the order they were opened in: an SCM before its services.

        One that cannot be opened any more, since the service is gone or the right was taken,
        stays what it was, which the new manager does not know: error 6.
        """
        self._present.clear()
        for handle, reopen in list(self._reopen.items()):
            try:
                self._present[handle] = reopen(self)
            except ConnectionFailed:
                raise
            except WinError:
                continue
