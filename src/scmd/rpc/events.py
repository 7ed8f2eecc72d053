"""What a server's connection tells its owner: the events of `server.ServerConnection`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.ndr.values import Guid
    from scmd.rpc.interface import Interface
    from scmd.rpc.security.protection import Protection
    from scmd.rpc.security.provider import Identity


class BindRequested:
    """A first bind: answer with `accept_bind(group)` or `refuse_bind(reason)`."""

    __slots__ = ("call_id", "group")

    def __init__(self, call_id: int, group: int) -> None:
        self.call_id = call_id
        self.group = group
        """The association group to join; 0: make one."""


class Authenticated:
    """A security context was established; calls made in it carry `context`."""

    __slots__ = ("context", "identity")

    def __init__(self, context: Protection, identity: Identity) -> None:
        self.context = context
        self.identity = identity


class Request:
    """A whole request. `form` is what the operation's codecs take, in both directions."""

    __slots__ = (
        "call_id",
        "context_id",
        "form",
        "interface",
        "object",
        "opnum",
        "security",
        "stub",
    )

    def __init__(
        self,
        call_id: int,
        context_id: int,
        interface: Interface,
        opnum: int,
        stub: bytes,
        form: int,
        object: Guid | None,
        security: Protection | None,
    ) -> None:
        self.call_id = call_id
        self.context_id = context_id
        self.interface = interface
        self.opnum = opnum
        self.stub = stub
        self.form = form
        self.object = object
        self.security = security
        """The context of an `Authenticated` event; None: whoever the transport says it is."""


class CallCancelled:
    """The client asks to cancel a call; `is_orphaned`: it will not read the answer either."""

    __slots__ = ("call_id", "is_orphaned")

    def __init__(self, call_id: int, is_orphaned: bool) -> None:
        self.call_id = call_id
        self.is_orphaned = is_orphaned


class AuthenticationRefused:
    """Somebody was not who they said, or did not prove it, or what came was not what they sent.

    For the audit. The connection ends, at once or with the first call that relies on a proof that
    failed; where none was tried, calls are denied.
    """

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


class ProtocolViolated:
    """The peer broke the protocol; the last event of a connection."""

    __slots__ = ("message",)

    def __init__(self, message: str) -> None:
        self.message = message


if TYPE_CHECKING:
    ServerEvent = (
        BindRequested
        | Authenticated
        | Request
        | CallCancelled
        | AuthenticationRefused
        | ProtocolViolated
    )
