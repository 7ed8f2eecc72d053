"""Many calls at a time on one connection: a thread receives, whoever asked is told.

For calls that the server answers when something happens. The thread ends with the connection;
then everybody who waits is told that it broke.
"""

from __future__ import annotations

from threading import Event, Lock, Thread

from scmd.client.connection import ConnectionFailed, function_name
from scmd.ndr.errors import NdrError
from scmd.rpc.client import Fault, Response
from scmd.rpc.errors import win32_error
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from scmd.client.connection import Connection
    from scmd.ndr.structure import Structure
    from scmd.rpc.client import ClientEvent
    from scmd.rpc.interface import Operation

    Req = TypeVar("Req", bound=Structure)
    Resp = TypeVar("Resp", bound=Structure)
    Done = Callable[[Resp | WinError], None]


class Multiplexed:
    """Takes a connection over; nobody else may use it from then on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = Lock()
        self._waiting: dict[int, Callable[[ClientEvent | None], None]] = {}
        self._is_over = False
        self._thread = Thread(target=self._receive, name="scmd notifications", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; who waits is told, from the thread that receives."""
        self._connection.abort()

    @property
    def is_over(self) -> bool:
        return self._is_over

    def begin(self, operation: Operation[Req, Resp], request: Req, done: Done[Resp]) -> None:
        """Ask; `done` gets the response or an error, in the thread that receives: be quick there.

        ConnectionFailed: it could not be asked, and `done` will not be called.
        """
        stub = operation.encode_request(request)

        def answered(event: ClientEvent | None) -> None:
            done(_outcome(operation, event))

        with self._lock:
            if self._is_over:
                raise _broken(operation.name)
            call_id = self._connection.send_call(
                operation.interface, operation.opnum, stub, operation.name
            )
            self._waiting[call_id] = answered

    def call(self, operation: Operation[Req, Resp], request: Req) -> Resp:
        """Ask and wait; WinError for a result that is not 0."""
        come = Event()
        answers: list[Resp | WinError] = []

        def done(answer: Resp | WinError) -> None:
            answers.append(answer)
            come.set()

        self.begin(operation, request, done)
        come.wait()
        answer = answers[0]
        if isinstance(answer, WinError):
            raise answer
        error: int = getattr(answer, "error", 0)
        if error:
            raise WinError(error, function_name(operation.name))
        return answer

    def _receive(self) -> None:
        try:
            while True:
                for event in self._connection.receive_events():
                    with self._lock:
                        answered = self._waiting.pop(getattr(event, "call_id", 0), None)
                    if answered is not None:
                        answered(event)
        except WinError:
            pass  # What follows tells everybody.
        with self._lock:
            self._is_over = True
            waiting, self._waiting = self._waiting, {}
        self._connection.close()
        for answered in waiting.values():
            answered(None)


def _outcome(operation: Operation[Req, Resp], event: ClientEvent | None) -> Resp | WinError:
    if isinstance(event, Response):
        try:
            return operation.decode_response(event.stub, event.form)
        except NdrError:
            return WinError(Error.RPC_CALL_FAILED, function_name(operation.name))
    if isinstance(event, Fault):
        return WinError(win32_error(event.status), function_name(operation.name))
    return _broken(operation.name)


def _broken(name: str) -> ConnectionFailed:
    detail = "the connection broke"
    return ConnectionFailed(Error.RPC_CALL_FAILED, function_name(name), detail)
