"""One connection to an SCM: interfaces are bound, calls made, faults become `WinError`.

Blocking: a call is one send and, as a rule, one receive. Calls of several threads take turns. After
anything but an answer or a fault the connection is closed, since what comes next is not known.
"""

from __future__ import annotations

from _thread import allocate_lock
from os import getpid

from scmd.ndr.errors import NdrError
from scmd.rpc.binds import NAK_AUTHENTICATION_TYPE, NAK_INVALID_CHECKSUM
from scmd.rpc.client import BindRefused, ClientConnection, Fault, Response
from scmd.rpc.errors import RpcError, win32_error
from scmd.svcctl.interface import SVCCTL
from scmd.transport.blocking import RECEIVE_BYTES, BlockingSocket
from scmd.transport.places import PlaceError, runtime_directory, socket_path
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, TypeVar

    from scmd.ndr.structure import Structure
    from scmd.rpc.client import ClientEvent
    from scmd.rpc.interface import Interface, Operation
    from scmd.rpc.security.initiation import Initiation
    from scmd.transport.blocking import Stream

    Req = TypeVar("Req", bound=Structure)
    Resp = TypeVar("Resp", bound=Structure)


class ExplainedError(WinError):
    """A `WinError` of which `detail` tells a person more than the system's message does."""

    def __init__(self, error: int, funcname: str, detail: str) -> None:
        super().__init__(error, funcname)
        self.detail = detail

    def __str__(self) -> str:
        return f"{super().__str__()}: {self.detail}"


class ConnectionFailed(ExplainedError):
    """The SCM cannot be reached, or the connection broke; `detail` says where and what to do."""

    def __init__(
        self,
        error: Error,
        funcname: str,
        detail: str,
        *,
        sent: bool = True,
        refused_at: str | None = None,
    ) -> None:
        super().__init__(error, funcname, detail)
        self.sent = sent
        """Whether the server may have seen the whole call."""
        self.refused_at = refused_at
        """The `Connection.place` that it would have had, if the server refused the credentials."""


class Connection:
    """A bound connection over a stream that is open; it becomes the connection's to close."""

    def __init__(self, socket: Stream, security: Initiation | None = None) -> None:
        """Bind svcctl; ConnectionFailed: the server refuses it or is no RPC server."""
        self._socket = socket
        self._rpc = ClientConnection(security=security)
        self._lock = allocate_lock()
        self._process = getpid()
        self._bound = {SVCCTL}
        self.place = ""
        """Where the other end is, for what is said of its refusals; "": this machine."""
        self.is_closed = False
        try:
            first = self._rpc.bind([SVCCTL])
        except RpcError as error:
            # The security context cannot be begun, without a ticket for instance.
            self.close()
            raise ConnectionFailed(Error.ACCESS_DENIED, "OpenSCManager", str(error)) from error
        self._bind(SVCCTL, first)

    def close(self) -> None:
        """May be called again. The server closes all handles of the connection."""
        self.is_closed = True
        self._socket.close()

    @property
    def is_busy(self) -> bool:
        """A call is under way, of this thread or another one."""
        return self._lock.locked()

    def abort(self) -> None:
        """End it from another thread: a call that is under way fails."""
        if self._process != getpid():
            self.close()  # A child that was forked: its parent has the other end of it.
            return
        # Where a stream cannot be shut down while somebody waits on it, its end must do.
        end: Callable[[], None] = getattr(self._socket, "shut_down", self._socket.close)
        end()

    def concealed(self, secret: bytes) -> bytes:
        """A secret that a call has among its arguments, in the form that what carries it wants."""
        conceal: Callable[[bytes], bytes] = getattr(self._socket, "concealed", bytes)
        return conceal(secret)

    def call(
        self,
        operation: Operation[Req, Resp],
        request: Req,
        unfit: Error = Error.INVALID_PARAMETER,
    ) -> Resp:
        """One call. WinError: a fault, or `unfit` where an argument does not fit the wire."""
        try:
            stub = operation.encode_request(request)
        except NdrError as error:
            raise WinError(unfit, function_name(operation.name)) from error
        response = self.exchange(operation.interface, operation.opnum, stub, operation.name)
        try:
            return operation.decode_response(response.stub, response.form)
        except NdrError as error:
            self.close()
            raise ConnectionFailed(
                Error.RPC_CALL_FAILED, function_name(operation.name), str(error)
            ) from error

    def exchange(self, interface: Interface, opnum: int, stub: bytes, name: str) -> Response:
        """Send a request's stub and wait for the response's; `name` is for errors."""
        with self._lock:
            if self.is_closed:
                self._broken(name, "the connection is closed", sent=False)
            if interface not in self._bound:
                self._bind(interface, self._rpc.alter_context([interface]))
            call_id, data = self._rpc.call(interface, opnum, stub)
            event = self._round_trip(data, call_id, name)
        if isinstance(event, Response):
            return event
        assert isinstance(event, Fault)
        raise _fault(win32_error(event.status), function_name(name), self.place)

    # For `multiplexing`, which has it for itself ----------------------------------------------

    @property
    def descriptor(self) -> int:
        """What becomes readable when something has come; -1: there is none, or it is closed."""
        fileno: Callable[[], int] | None = getattr(self._socket, "fileno", None)
        return -1 if fileno is None else fileno()

    def without_limit(self) -> None:
        """From now on what is waited for may never happen."""
        self._socket.set_timeout(None)

    def encode_call(
        self, interface: Interface, opnum: int, stub: bytes, name: str
    ) -> tuple[int, bytes]:
        """A call's number, and what is to be sent for it."""
        try:
            return self._rpc.call(interface, opnum, stub)
        except RpcError as error:
            raise _failed(name, str(error)) from error

    def send_some(self, data: bytearray, name: str) -> int:
        """How many bytes were taken; where that cannot be known it waits, and all of them are.

        When that fails the connection stays as it is: whoever reads it will find its end.
        """
        some: Callable[[bytearray], int] | None = getattr(self._socket, "send_some", None)
        try:
            if some is not None:
                return some(data)
            self._socket.send(bytes(data))
        except OSError as error:
            raise _failed(name, reason(error)) from error
        return len(data)

    def receive_events(self) -> list[ClientEvent]:
        """Wait for answers, whichever come; ConnectionFailed at the connection's end."""
        try:
            received = self._socket.receive(RECEIVE_BYTES)
            events = self._rpc.receive_data(received) if received else []
        except (OSError, RpcError) as error:
            self._broken("RGetNotifyResults", reason(error))
        if not received:
            self._broken("RGetNotifyResults", "the SCM closed the connection")
        return events

    def _bind(self, interface: Interface, data: bytes) -> None:
        event = self._round_trip(data, 0, "ROpenSCManagerW")
        if isinstance(event, BindRefused):
            if interface is not SVCCTL:
                # Not in so many words, and what the server makes of the connection is not known.
                self.close()
                raise WinError(Error.CALL_NOT_IMPLEMENTED, interface.name)
            self._refused(event)
        if interface in getattr(event, "refused", ()):
            if interface is SVCCTL:
                self._broken("ROpenSCManagerW", "the server does not speak svcctl")
            text = "the server is not scmd, which alone can answer this; sc and net work there"
            raise ExplainedError(Error.CALL_NOT_IMPLEMENTED, interface.name, text)
        self._bound.add(interface)

    def _round_trip(self, data: bytes, call_id: int, name: str) -> ClientEvent:
        """Send, and receive until the answer to this call (0: to a bind) is there."""
        socket, rpc = self._socket, self._rpc
        sent = False
        try:
            socket.send(data)
            sent = True
            while True:
                received = socket.receive(RECEIVE_BYTES)
                if not received:
                    self._broken(name, "the SCM closed the connection")
                events = rpc.receive_data(received)
                more = rpc.data_to_send()
                if more:
                    socket.send(more)
                for event in events:
                    if getattr(event, "call_id", 0) == call_id:
                        return event
        except TimeoutError as error:
            self.close()
            raise ConnectionFailed(
                Error.WAIT_TIMEOUT, function_name(name), "the SCM does not answer"
            ) from error
        except (OSError, RpcError) as error:
            self.close()
            raise ConnectionFailed(
                Error.RPC_CALL_FAILED, function_name(name), reason(error), sent=sent
            ) from error
        except BaseException:
            self.close()
            raise

    def _refused(self, refused: BindRefused) -> NoReturn:
        if refused.status or refused.reason in (NAK_AUTHENTICATION_TYPE, NAK_INVALID_CHECKSUM):
            self.close()
            text = "the server refuses the credentials, or how they are given"
            raise ConnectionFailed(
                Error.ACCESS_DENIED, "OpenSCManager", text, refused_at=self.place
            )
        text = f"the server refuses to bind (reason {refused.reason})"
        self._broken("ROpenSCManagerW", text)

    def _broken(self, name: str, detail: str, *, sent: bool = True) -> NoReturn:
        self.close()
        raise _failed(name, detail, sent=sent)


def _failed(name: str, detail: str, *, sent: bool = True) -> ConnectionFailed:
    return ConnectionFailed(Error.RPC_CALL_FAILED, function_name(name), detail, sent=sent)


def _fault(error: int, funcname: str, place: str) -> WinError:
    """A fault is RPC's answer; what svcctl itself refuses comes as a result."""
    if error == Error.RPC_PROCNUM_OUT_OF_RANGE:
        return ExplainedError(error, funcname, f"the server does not have {funcname}")
    if error == Error.ACCESS_DENIED:
        text = "the server refuses the credentials, or how the calls are protected"
        return ExplainedError(error, funcname, f"{place}: {text}" if place else text)
    return WinError(error, funcname)


def reason(error: Exception) -> str:
    """What it says, without the number of a system's error."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def function_name(operation: str) -> str:
    """The Win32 function that an operation's IDL name stands for: ROpenServiceW is OpenService."""
    return operation.removeprefix("R").removesuffix("W")


class bad_answers:
    """Makes an answer that cannot be decoded a `WinError`, as any other failure of a call."""

    def __init__(self, funcname: str) -> None:
        self._funcname = funcname

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, NdrError):
            raise WinError(Error.RPC_CALL_FAILED, self._funcname) from error


def local_path() -> str:
    """Where this machine's SCM listens; ConnectionFailed: the place cannot be used."""
    try:
        return socket_path(runtime_directory())
    except PlaceError as error:
        raise ConnectionFailed(Error.RPC_SERVER_UNAVAILABLE, "OpenSCManager", str(error)) from error


def connect_to(path: str, timeout: float | None = None) -> Connection:
    """Connect to the SCM that listens at a unix socket's path."""
    try:
        socket = BlockingSocket(path, timeout)
    except PermissionError as error:
        raise ConnectionFailed(
            Error.ACCESS_DENIED, "OpenSCManager", f"{path} is closed to this user"
        ) from error
    except OSError as error:
        raise ConnectionFailed(
            Error.RPC_SERVER_UNAVAILABLE,
            "OpenSCManager",
            f"no SCM listens at {path} ({error.strerror or error}); "
            "start one with `scmd run`, or set SCMD_RUNTIME to where one runs",
        ) from error
    try:
        return Connection(socket)
    except BaseException:
        socket.close()
        raise
