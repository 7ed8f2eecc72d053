"""The operations that open, query, start and control services, one method each.

Vocabulary values come out, `WinError` with the Win32 function's name is raised; buffers grow as
the server asks, enumerations are paged. What reads and writes configurations is in
`configuration`, what is scmd's own in `management`: both build on `Calls`, and a short command
imports only what it uses.
"""

from __future__ import annotations

from struct import Struct

from scmd.client.connection import (
    Connection,
    ConnectionFailed,
    bad_answers,
    connect_to,
    function_name,
    local_path,
)
from scmd.client.entries import EntriesPart as EntriesPart
from scmd.client.entries import Entry as Entry
from scmd.client.reconnection import OpenHandles, Reconnecting
from scmd.svcctl import control, opening
from scmd.svcctl.interface import HandleResponse
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import HANDLE_CLOSED, LAST_HANDLE_CLOSED, ScmAccess, ServiceState
from scmd.vocabulary.status import ServiceStatus
from scmd.vocabulary.winerror import BufferTooSmall, WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scmd.client.credentials import Credentials
    from scmd.ndr.values import ContextHandle
    from scmd.rpc.interface import Operation

FIRST_ENUM_BYTES = 65_536
MAX_ENUM_BYTES = 262_144
_MAX_NAME = 4096
_STATES = {int(state): state for state in ServiceState}
# RQueryServiceStatusEx: what follows the handle (level 0, 36 bytes), and the answer: the array's
# count, SERVICE_STATUS_PROCESS, bytes needed, result.
_STATUS_EX_TAIL = bytes([0, 0, 0, 0, 36, 0, 0, 0])
_STATUS_EX_ANSWER = Struct("<12I")
_STATUS_ANSWER = Struct("<8I")


class Calls(Reconnecting):
    """The calls on one connection; a context manager that closes it, and with it every handle.

    Given a function instead of a connection, it connects with the first call, and again when
    the connection has broken (`reconnection` says what becomes of handles and calls).
    """

    def another(self) -> Calls:
        """The same, on a connection of its own; it is the caller's to close."""
        return Calls(self._connector())

    # Handles --------------------------------------------------------------------------------

    def open_scm(
        self, access: int = ScmAccess.CONNECT, database: str | None = None
    ) -> ContextHandle:
        """A handle to the SCM with these rights; 5 when the caller may not have them."""
        request = opening.OpenScManagerRequest(database=database, desired_access=access)

        def reopen(_: OpenHandles) -> ContextHandle:
            answer = self.connection.call(opening.OPEN_SC_MANAGER_W, request)
            return _opened(answer, "OpenSCManager")

        return self.call(
            opening.OPEN_SC_MANAGER_W,
            request,
            unfit=Error.INVALID_NAME,
            opened=lambda answer: self._handles.opened(answer.handle, reopen),
        ).handle

    def open_service(self, scm: ContextHandle, name: str, access: int) -> ContextHandle:
        """A handle to the service with this key name; 1060, 123, 5."""
        if "\0" in name:
            raise WinError(Error.INVALID_NAME, "OpenService")
        request = opening.OpenServiceRequest(scm=scm, name=name, desired_access=access)
        return self.call(
            opening.OPEN_SERVICE_W,
            request,
            unfit=Error.INVALID_NAME,
            opened=lambda answer: self.opened_service(answer.handle, request),
        ).handle

    def opened_service(self, handle: ContextHandle, request: opening.OpenServiceRequest) -> None:
        """Remember, in a call's `opened`, how to open again what this handle stands for."""

        def reopen(handles: OpenHandles) -> ContextHandle:
            again = handles.in_request(request)
            return _opened(self.connection.call(opening.OPEN_SERVICE_W, again), "OpenService")

        self._handles.opened(handle, reopen)

    def prepared(self, handle: ContextHandle, prepare: Callable[[ContextHandle], None]) -> None:
        """Remember, in a call's `opened`, what else to do when this handle is opened again."""
        self._handles.opened_with(handle, prepare)

    def close_handle(self, handle: ContextHandle) -> None:
        """Any handle; 6 when it is none (any more). One of a broken connection is closed."""
        with self._turn:
            present = self._handles.present(handle)
            self._handles.closed(handle)
            if self._connect is not None and self.is_closed:
                return
            request = opening.CloseServiceHandleRequest(handle=present)
            try:
                answer = self.connection.call(opening.CLOSE_SERVICE_HANDLE, request)
            except ConnectionFailed as failed:
                if self._connect is None or failed.winerror != Error.RPC_CALL_FAILED:
                    raise
                return
        if answer.error not in (Error.SUCCESS, HANDLE_CLOSED, LAST_HANDLE_CLOSED):
            raise WinError(answer.error, "CloseServiceHandle")

    # Status ---------------------------------------------------------------------------------

    def query_status(self, service: ContextHandle) -> ServiceStatus:
        """QueryServiceStatusEx: all nine fields."""
        answer = self._exchange(40, service, _STATUS_EX_TAIL, "RQueryServiceStatusEx")
        if answer.form or len(answer.stub) != _STATUS_EX_ANSWER.size:
            raise WinError(Error.RPC_CALL_FAILED, "QueryServiceStatusEx")
        _, *fields, _, error = _STATUS_EX_ANSWER.unpack(answer.stub)
        if error:
            raise WinError(error, "QueryServiceStatusEx")
        return _status(*fields)

    def query_basic_status(self, service: ContextHandle) -> ServiceStatus:
        """QueryServiceStatus: the first seven fields; process id and flags are 0."""
        answer = self._exchange(6, service, b"", "RQueryServiceStatus")
        if answer.form or len(answer.stub) < _STATUS_ANSWER.size:
            raise WinError(Error.RPC_CALL_FAILED, "QueryServiceStatus")
        *fields, error = _STATUS_ANSWER.unpack_from(answer.stub)
        if error:
            raise WinError(error, "QueryServiceStatus")
        return _status(*fields)

    # Start and control ----------------------------------------------------------------------

    def start_service(self, service: ContextHandle, arguments: Sequence[str]) -> None:
        """Answered when ServiceMain runs; `arguments` follow argv[0], the service name."""
        texts = tuple(control.Argument(text=argument) for argument in arguments)
        request = control.StartServiceRequest(service=service, arguments=texts or None)
        self.call(control.START_SERVICE_W, request)

    def control_service(self, service: ContextHandle, code: int) -> ServiceStatus:
        """Send a control; the status after it, without process id."""
        request = control.ControlServiceRequest(service=service, control=code)
        return named_state(self.call(control.CONTROL_SERVICE, request).status)

    def control_service_ex(
        self, service: ContextHandle, code: int, reason: int, comment: str | None = None
    ) -> ServiceStatus:
        """ControlServiceEx: a stop with a reason (SERVICE_STOP_REASON_*) and a comment."""
        parameters = control.ControlReasonIn(reason=reason, comment=comment)
        request = control.ControlServiceExRequest(
            service=service, control=code, parameters=parameters
        )
        answer = self.call(control.CONTROL_SERVICE_EX_W, request).parameters
        if answer is None:
            raise WinError(Error.RPC_CALL_FAILED, "ControlServiceEx")
        return named_state(answer.status)

    # Enumerations ---------------------------------------------------------------------------

    def enum_services(
        self,
        scm: ContextHandle,
        type_mask: int,
        state_mask: int,
        group: str | None = None,
        resume: int = 0,
    ) -> list[Entry]:
        """Everything that matches, in as many parts as it takes."""
        entries: list[Entry] = []
        size = FIRST_ENUM_BYTES
        while True:
            part = self.enum_services_part(scm, type_mask, state_mask, group, resume, size)
            entries += part.entries
            if not part.is_cut:
                return entries
            resume, size = part.resume, MAX_ENUM_BYTES

    def enum_services_part(
        self,
        scm: ContextHandle,
        type_mask: int,
        state_mask: int,
        group: str | None,
        resume: int,
        size: int,
    ) -> EntriesPart:
        """EnumServicesStatusEx once: as many whole entries as `size` bytes hold.

        Of a server that lacks it, `substitutes` gets them: process ids are 0 then.
        """
        request = control.EnumServicesStatusExRequest(
            scm=scm,
            type=type_mask,
            state=state_mask,
            buffer_size=size,
            resume_index=resume,
            group=group,
        )
        try:
            answer = self.call(
                control.ENUM_SERVICES_STATUS_EX_W,
                request,
                allowed=(Error.MORE_DATA,),
                unfit=Error.INVALID_NAME,
            )
            entries = unpacked_entries(answer.buffer, answer.returned, True)
        except WinError as error:
            if error.winerror != Error.RPC_PROCNUM_OUT_OF_RANGE or group is not None:
                raise
            from scmd.client.substitutes import enum_services_basic

            answer, entries = enum_services_basic(self, scm, type_mask, state_mask, resume, size)
        is_cut = answer.error == Error.MORE_DATA
        next_index = (answer.resume_index or 0) if is_cut else 0
        if is_cut and next_index == resume and (answer.returned or size >= MAX_ENUM_BYTES):
            # A server that says "more" and does not move on would be asked for ever.
            raise WinError(Error.MORE_DATA, "EnumServicesStatusEx")
        return EntriesPart(
            entries=entries, needed=answer.bytes_needed, resume=next_index, is_cut=is_cut
        )

    def enum_dependents(self, service: ContextHandle, state_mask: int) -> list[Entry]:
        """Those that depend on the service, in stop order."""
        for size in (FIRST_ENUM_BYTES, MAX_ENUM_BYTES):
            part = self.enum_dependents_part(service, state_mask, size)
            if not part.needed:
                return part.entries
        raise BufferTooSmall(Error.MORE_DATA, "EnumDependentServices", part.needed)

    def enum_dependents_part(
        self, service: ContextHandle, state_mask: int, size: int
    ) -> EntriesPart:
        """EnumDependentServices once: `needed` is 0 when `size` bytes held them all."""
        request = control.EnumDependentServicesRequest(
            service=service, state=state_mask, buffer_size=size
        )
        operation = control.ENUM_DEPENDENT_SERVICES_W
        answer = self.call(operation, request, allowed=(Error.MORE_DATA,))
        entries = unpacked_entries(answer.buffer, answer.returned, False)
        needed = answer.bytes_needed if answer.error else 0
        return EntriesPart(entries=entries, needed=needed, resume=0, is_cut=bool(needed))

    # Names ----------------------------------------------------------------------------------

    def display_name(self, scm: ContextHandle, name: str, size: int | None = None) -> str:
        """The display name of a key name; 1060, 123. `size` in characters: BufferTooSmall."""
        return self._name(control.GET_SERVICE_DISPLAY_NAME_W, scm, name, size)

    def key_name(self, scm: ContextHandle, display_name: str, size: int | None = None) -> str:
        """The key name of a display name; otherwise as `display_name`."""
        return self._name(control.GET_SERVICE_KEY_NAME_W, scm, display_name, size)

    def _name(
        self,
        operation: Operation[control.NameRequest, control.NameResponse],
        scm: ContextHandle,
        name: str,
        size: int | None,
    ) -> str:
        room = _MAX_NAME if size is None else min(size, _MAX_NAME)
        request = control.NameRequest(scm=scm, name=name, buffer_size=room)
        small = Error.INSUFFICIENT_BUFFER
        try:
            answer = self.call(operation, request, allowed=(small,), unfit=Error.INVALID_NAME)
        except WinError as error:
            if error.winerror != Error.RPC_BAD_STUB_DATA:
                raise
            from scmd.client.substitutes import other_name

            return other_name(self, operation, name, size)
        if answer.error:
            # The length leaves out the NUL that needs room too.
            raise BufferTooSmall(small, function_name(operation.name), answer.length + 1)
        return answer.name


def open_calls(
    host: str | None = None,
    timeout: float | None = None,
    *,
    credentials: Credentials | None = None,
    at_once: bool = True,
) -> Calls:
    """Calls on this machine's SCM or a HOST's; unless `at_once`, the first call connects.

    ConnectionFailed says which step failed; 87 for a `host` that is none (`hosts`).
    """
    if host is None:
        connect = _local_connector(timeout)
    else:
        from scmd.client.remote import connector

        connect = connector(host, credentials, timeout)
    calls = Calls(connect)
    if at_once:
        calls.connection  # noqa: B018 # connects
    return calls


def _local_connector(timeout: float | None) -> Callable[[], Connection]:
    place: list[str] = []

    def connect() -> Connection:
        # Where it was found once it is found again, whatever the environment says by then.
        if not place:
            place.append(local_path())
        return connect_to(place[0], timeout)

    return connect


def _opened(answer: HandleResponse, funcname: str) -> ContextHandle:
    if answer.error:
        raise WinError(answer.error, funcname)
    return answer.handle


def _status(
    type_: int,
    state: int,
    accepted: int,
    win32_exit_code: int,
    specific: int,
    check_point: int,
    wait_hint: int,
    process_id: int = 0,
    flags: int = 0,
) -> ServiceStatus:
    return ServiceStatus(
        type=type_,
        state=_STATES.get(state, state),
        controls_accepted=accepted,
        win32_exit_code=win32_exit_code,
        service_specific_exit_code=specific,
        check_point=check_point,
        wait_hint=wait_hint,
        process_id=process_id,
        service_flags=flags,
    )


def named_state(status: ServiceStatus) -> ServiceStatus:
    """From the wire the state is a number; it becomes a `ServiceState`."""
    return status.replace(state=_STATES.get(status.state, status.state))


def unpacked_entries(buffer: bytes, count: int, with_process: bool) -> list[Entry]:
    """The `count` services of an enumeration's buffer."""
    from scmd.svcctl.buffers import unpack_services

    with bad_answers("EnumServicesStatus"):
        found = unpack_services(buffer, count, with_process=with_process)
    return [
        Entry(name=name, display_name=display_name, status=named_state(status))
        for name, display_name, status in found
    ]
