"""Changes of servers that tell nothing, such as Samba: all services are looked at, now and then."""

from __future__ import annotations

from scmd.client.changes import Known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.client.calls import Calls
    from scmd.client.changes import Change, Scope
    from scmd.ndr.values import ContextHandle

POLL_S = 0.5


class PolledChanges:
    def __init__(self, calls: Calls, scm: ContextHandle, scope: Scope) -> None:
        self._calls = calls
        self._scm = scm
        self._scope = scope
        self._known: Known | None = None

    def close(self) -> None:
        """The connection is the watch's."""

    def next(self) -> list[Change]:
        """What is different after a while, which may be nothing; the first look is at once."""
        if self._known is None:
            self._known = Known(self._scope, self._calls, self._scm)
            return self._known.picture()
        self._scope.closed.wait(POLL_S)
        return self._known.look_again(self._calls, self._scm)
