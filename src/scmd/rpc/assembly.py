"""Requests of several fragments: what of them has come so far.

All fragments of a call say the same of it ([C706] 12.6.4.9), and come in the same security
context: nobody adds to what somebody else has begun.
"""

from __future__ import annotations

from scmd.rpc.errors import RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.ndr.values import Guid
    from scmd.rpc.security.protection import Protection


class Partial:
    """What a request's fragments say of it, and the stub as far as it is there."""

    __slots__ = ("context_id", "object", "opnum", "security", "stub")

    def __init__(
        self, context_id: int, opnum: int, object: Guid | None, security: Protection | None
    ) -> None:
        self.context_id = context_id
        self.opnum = opnum
        self.object = object
        self.security = security
        self.stub = bytearray()


class Assemblies:
    """The unfinished requests of a connection, by call id."""

    def __init__(self) -> None:
        self.size = 0
        """Bytes of stub of all of them."""
        self.by_call: dict[int, Partial] = {}

    def __contains__(self, call_id: int) -> bool:
        return call_id in self.by_call

    def __len__(self) -> int:
        return len(self.by_call)

    def begin(self, call_id: int, partial: Partial) -> None:
        self.by_call[call_id] = partial

    def add(self, call_id: int, fragment: Partial, stub: bytes) -> None:
        """Take a fragment of a call that has begun; RpcError: it says something else."""
        partial = self.by_call[call_id]
        if (fragment.context_id, fragment.opnum) != (partial.context_id, partial.opnum) or (
            fragment.security is not partial.security
        ):
            raise RpcError(f"the fragments of call {call_id} differ", call_id)
        partial.stub += stub
        self.size += len(stub)

    def take(self, call_id: int) -> Partial | None:
        """The call is complete, or given up."""
        partial = self.by_call.pop(call_id, None)
        if partial is not None:
            self.size -= len(partial.stub)
        return partial

    def clear(self) -> None:
        self.by_call.clear()
        self.size = 0
