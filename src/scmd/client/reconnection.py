"""A new connection in place of one that broke, with the same handles open on it.

The manager may die or be replaced at any time; connections and handles end with it, and the
next one answers at the same place. What was opened is remembered, and opened again on the new
connection; a caller's handle goes on to stand for it. A call is made again only when that is
safe: it was not sent whole, or it asks and changes nothing.
"""

from __future__ import annotations

from scmd.vocabulary.errors import Error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from scmd.client.connection import ConnectionFailed
    from scmd.ndr.structure import Structure
    from scmd.ndr.values import ContextHandle

    Req = TypeVar("Req", bound=Structure)
    Reopen = Callable[["OpenHandles"], ContextHandle]

_ASKING = ("RQuery", "REnum", "ROpen", "RGet", "RRead")
_HANDLE_FIELDS = ("service", "scm", "handle")


def may_repeat(operation: str, failed: ConnectionFailed) -> bool:
    """Whether a call that failed so may be made again on another connection."""
    if failed.winerror != Error.RPC_CALL_FAILED:
        return False
    return not failed.sent or operation.startswith(_ASKING)


class OpenHandles:
    """The handles of one `Calls`, each with the way to open it again."""

    def __init__(self) -> None:
        self._reopen: dict[ContextHandle, Reopen] = {}
        self._present: dict[ContextHandle, ContextHandle] = {}
        """What stands for a handle of an earlier connection."""

    def opened(self, handle: ContextHandle, reopen: Reopen) -> ContextHandle:
        self._reopen[handle] = reopen
        return handle

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
        from scmd.client.connection import ConnectionFailed
        from scmd.vocabulary.winerror import WinError

        self._present.clear()
        for handle, reopen in list(self._reopen.items()):
            try:
                self._present[handle] = reopen(self)
            except ConnectionFailed:
                raise
            except WinError:
                continue
