"""One operation between a canned core and its own bytes: what is asked, what is answered."""

from __future__ import annotations

from typing import TypeVar

from scmd.core.messages import AssociationId, Call, Caller, CallId, HandleId
from scmd.core.messages.effects import Reply
from scmd.ndr.structure import BIG_ENDIAN, NDR, NDR64, Structure
from scmd.ndr.values import ContextHandle
from scmd.rpc.interface import Operation
from scmd.security.token import Token
from scmd.server.handles import ContextHandles
from scmd.server.resume import ResumeIndexes
from scmd.server.scmd_server import SCMD_OPERATIONS
from scmd.server.steps import Asked, Work
from scmd.server.svcctl_server import SVCCTL_OPERATIONS
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.status import ServiceStatus

Request = TypeVar("Request", bound=Structure)
Response = TypeVar("Response", bound=Structure)

HANDLES = ContextHandles(b"exchange")
CALLER = Caller(
    token=Token(user="S-1-22-1-1000", groups=frozenset(), privileges=frozenset()),
    name="ann",
    origin="test",
)
CALL = Call(CallId(7), AssociationId(3), CALLER)
SCM = HandleId(1)
SERVICE = HandleId(2)
WIRE_SCM = HANDLES.to_wire(SCM)
WIRE_SERVICE = HANDLES.to_wire(SERVICE)
FOREIGN = ContextHandle.of(b"somebody else's.")
FORMS = [NDR, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN]
RUNNING = ServiceStatus(
    type=0x10, state=4, controls_accepted=5, check_point=1, wait_hint=2000, process_id=4711
)


class Exchange:
    """Serves `request` with the results given in turn; an int is an error, a pair both."""

    def __init__(
        self, form: int = NDR, resume: ResumeIndexes | None = None, call: Call = CALL
    ) -> None:
        self.form = form
        self.call = call
        self.resume = resume or ResumeIndexes()
        self.asked: list[Asked] = []

    def run(
        self, operation: Operation[Request, Response], request: Request, *replies: Reply
    ) -> Response:
        """The response, encoded and decoded. The core must be asked as often as it replies."""
        tables = SVCCTL_OPERATIONS if operation.interface is SVCCTL else SCMD_OPERATIONS
        entry = tables[operation.opnum]
        work = Work(self.call, HANDLES, self.resume, operation.charset)
        decoded = operation.decode_request(operation.encode_request(request, self.form), self.form)
        steps = entry.perform(work, decoded)
        answers = iter(replies)
        try:
            asked = next(steps)
            while True:
                self.asked.append(asked)
                asked = steps.send(next(answers))
        except StopIteration as stop:
            assert next(answers, None) is None, "fewer questions than replies"
            stub = operation.encode_response(stop.value, self.form)
            return operation.decode_response(stub, self.form)


def ok(result: object = None) -> Reply:
    return Reply(CALL.id, 0, result)


def error(number: int, result: object = None) -> Reply:
    return Reply(CALL.id, number, result)
