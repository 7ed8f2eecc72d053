"""How one call is served: steps between its request and its response.

An operation is a generator. It is given the decoded request, yields what it asks of the core
or of the host, is sent the `Reply` to each, and returns its response: the whole of an
operation reads from top to bottom in one function, however long the core takes to answer.

A reply that a handle is not of this association never reaches the generator; the session
answers the call with the fault the protocol has for it. `Fault` and `ForeignHandle` may be
raised for the same reason. Everything else is a Win32 result in the response.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, TypeVar

from scmd.core.messages import Call, HandleId
from scmd.core.messages.commands import Command
from scmd.core.messages.effects import Reply
from scmd.ndr.structure import ANSI, Structure
from scmd.ndr.values import ContextHandle
from scmd.server.handles import ContextHandles
from scmd.server.host_requests import HostRequest
from scmd.server.resume import ResumeIndexes

if TYPE_CHECKING:
    from scmd.rpc.interface import AnyOperation, Operation

Request = TypeVar("Request", bound=Structure)
Response = TypeVar("Response", bound=Structure)

Asked = Command | HostRequest
Steps = Generator[Asked, Reply, Response]


class Fault(Exception):
    """The call is answered with this fault instead of a response."""

    def __init__(self, status: int) -> None:
        super().__init__(f"0x{status:08X}")
        self.status = status


class Work:
    """What an operation knows of its call beside the request."""

    __slots__ = ("_handles", "ansi", "call", "resume")

    def __init__(
        self, call: Call, handles: ContextHandles, resume: ResumeIndexes, charset: int
    ) -> None:
        self.call = call
        self.ansi = charset == ANSI
        self.resume = resume
        self._handles = handles

    def handle(self, wire: ContextHandle) -> HandleId:
        """The core's number of a handle the client sent. ForeignHandle: not one of ours."""
        return self._handles.from_wire(wire)

    def wire(self, handle: HandleId) -> ContextHandle:
        """What the client is to send for this handle."""
        return self._handles.to_wire(handle)


class ServedOperation:
    """An operation and the function that serves it, their types already matched."""

    __slots__ = ("blocks", "charset", "operation", "perform")

    def __init__(
        self,
        operation: AnyOperation,
        perform: Callable[[Work, Structure], Steps[Structure]],
        blocks: bool,
    ) -> None:
        self.operation = operation
        self.charset = operation.charset
        self.perform = perform
        self.blocks = blocks
        """It waits for something that may never happen, and costs nothing while it does."""


def served(
    operation: Operation[Request, Response],
    perform: Callable[[Work, Request], Steps[Response]],
    *,
    blocks: bool = False,
) -> ServedOperation:
    """A table's entry; a function with other structures than the operation's is a type error."""
    return ServedOperation(operation, perform, blocks)  # type: ignore[arg-type] # erased after the check


def table(*entries: ServedOperation) -> dict[int, ServedOperation]:
    """The entries by operation number."""
    return {entry.operation.opnum: entry for entry in entries}
