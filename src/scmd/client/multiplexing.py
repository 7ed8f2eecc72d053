"""Many calls at a time on one connection: whoever waits receives, whoever asked is told.

For calls that the server answers when something happens. What comes is read by the threads that
`wait` for something of it. Who wants to be told at other times too has it read in the background,
by a thread, and so is a connection that has no descriptor to watch. At the connection's end
everybody who waits for an answer is told that it broke.
"""

from __future__ import annotations

from threading import Lock, Thread

from scmd.client.connection import ConnectionFailed, function_name
from scmd.client.waits import Source, look_again, wait
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


class Multiplexed(Source):
    """Takes a connection over; nobody else may use it from then on."""

    def __init__(self, connection: Connection, *, in_background: bool = False) -> None:
        self._connection = connection
        self._lock = Lock()
        self._answered: dict[int, Callable[[ClientEvent | None], None]] = {}
        self._unsent = bytearray()
        self.handles = 0
        """How many have requests on it, as `notifications` counts them."""
        connection.without_limit()
        self.descriptor = connection.descriptor
        self.is_taken = self.descriptor < 0
        if self.is_taken or in_background:
            Thread(target=self._read_all, name="scmd notifications", daemon=True).start()

    @property
    def is_busy(self) -> bool:
        """It is being asked or read, by this thread or another one."""
        return self._lock.locked()

    def has_ended(self) -> bool:
        """Whether it is over, perhaps unnoticed as nobody was reading; reads what has come."""
        wait(lambda: self.is_over or None, (self,), 0)
        return self.is_over

    def close(self) -> None:
        """End it. Who waits is told, by this thread or the one that reads."""
        self._connection.abort()
        if self.take():
            self._end()
            self.release()

    def begin(
        self,
        operation: Operation[Req, Resp],
        request: Req,
        done: Done[Resp],
        *,
        is_urgent: bool = True,
    ) -> None:
        """Ask; `done` gets the response or an error, in the thread that reads: be quick there.

        Never waits for the server to take it. What is not urgent is sent with what is asked
        next, or when somebody waits. ConnectionFailed: it could not be asked, and `done` will
        not be called.
        """
        stub = operation.encode_request(request)

        def answered(event: ClientEvent | None) -> None:
            done(_outcome(operation, event))

        with self._lock:
            if self.is_over:
                raise _broken(operation.name)
            call_id, data = self._connection.encode_call(
                operation.interface, operation.opnum, stub, operation.name
            )
            self._unsent += data
            self._answered[call_id] = answered
            self.has_unsent = True
            if not is_urgent and self.descriptor >= 0:
                return
            try:
                self._flush(operation.name)
            except WinError:
                del self._answered[call_id]
                raise
        if self.has_unsent:
            look_again()

    def call(self, operation: Operation[Req, Resp], request: Req) -> Resp:
        """Ask and wait; WinError for a result that is not 0."""
        answers: list[Resp | WinError] = []
        self.begin(operation, request, answers.append)
        wait(lambda: answers or None, (self,))
        answer = answers[0]
        if isinstance(answer, WinError):
            raise answer
        error: int = getattr(answer, "error", 0)
        if error:
            raise WinError(error, function_name(operation.name))
        return answer

    def _flush(self, name: str) -> None:
        del self._unsent[: self._connection.send_some(self._unsent, name)]
        self.has_unsent = bool(self._unsent)

    def send_more(self) -> None:
        with self._lock:
            try:
                self._flush("RGetNotifyResults")
            except WinError:
                # What is read next will be the connection's end.
                self._unsent.clear()
                self.has_unsent = False

    def read(self) -> None:
        try:
            for event in self._connection.receive_events():
                with self._lock:
                    answered = self._answered.pop(getattr(event, "call_id", 0), None)
                if answered is not None:
                    answered(event)
        except WinError:
            self._end()
        except BaseException:
            # Somebody has interrupted the thread, in the midst of an answer perhaps.
            self._end()
            raise

    def _read_all(self) -> None:
        """The thread in the background."""
        if self.descriptor >= 0:
            wait(lambda: self.is_over or None, (self,))
        while not self.is_over:
            self.read()
            self.read_was_done()

    def _end(self) -> None:
        """For the thread that has taken it."""
        with self._lock:
            self.is_over = True
            waiting, self._answered = self._answered, {}
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
