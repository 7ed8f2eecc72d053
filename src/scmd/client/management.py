"""What scmd has beyond svcctl: Parameters, logs, the event log, the manager's own state.

The operations of the scmd interface as functions over `Calls`. Other servers do not speak it;
there every function raises WinError 120 (ERROR_CALL_NOT_IMPLEMENTED).
"""

from __future__ import annotations

from scmd.client.connection import bad_answers
from scmd.ndr.errors import NdrError
from scmd.scmd_interface import operations as scmd
from scmd.scmd_interface.parameters import pack_changes, pack_parameters, unpack_parameters
from scmd.vocabulary.errors import Error
from scmd.vocabulary.value import Value
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.configuration import FailureAction
    from scmd.vocabulary.registry import RegistryValue

LOG_END = scmd.LOG_END
LATEST_EVENTS = scmd.LATEST_EVENTS
MAX_EVENTS = scmd.MAX_EVENTS


class LogPart(Value):
    """Captured output: `data` begins at position `start`; ask for `next` next."""

    start: int
    data: bytes
    next: int


class EventsPart(Value):
    """Event records as JSON lines, oldest first; ask for those after `next` next."""

    lines: bytes
    next: int


def manager_status(calls: Calls) -> bytes:
    """A JSON object in UTF-8: keeper_pid, manager_pid, version, uptime_ms, counts, end_points."""
    return calls.call(scmd.QUERY_MANAGER_STATUS, scmd.EmptyRequest()).document


def query_remote(calls: Calls, scm: ContextHandle) -> bytes:
    """End points for other machines, and their users; needs SC_MANAGER_ALL_ACCESS.

    A JSON object in UTF-8: settings, listening, failed, connections, users.
    """
    from scmd.scmd_interface.remote import QUERY_REMOTE

    return calls.call(QUERY_REMOTE, scmd.ScmRequest(scm=scm)).document


def change_remote(calls: Calls, scm: ContextHandle, change: bytes) -> None:
    """One change of these (docs/scmd-interface.md); the caller must be on the same machine.

    WinError: its text says what was wrong and what was expected.
    """
    from scmd.scmd_interface.remote import CHANGE_REMOTE, ChangeRemoteRequest

    request = ChangeRemoteRequest(scm=scm, change=change)
    allowed = (Error.INVALID_PARAMETER, Error.WRITE_FAULT)
    response = calls.call(CHANGE_REMOTE, request, allowed=allowed)
    if response.error:
        raise WinError(response.error, "ChangeRemote", response.detail or None)


def replace_manager(calls: Calls, scm: ContextHandle) -> None:
    """A new manager and logger from what is installed now; needs SC_MANAGER_ALL_ACCESS."""
    calls.call(scmd.REPLACE_MANAGER, scmd.ScmRequest(scm=scm))


def query_parameters(calls: Calls, service: ContextHandle) -> dict[str, RegistryValue]:
    """The service's own values by name; needs SERVICE_QUERY_CONFIG."""
    response = calls.call(scmd.QUERY_PARAMETERS, scmd.ServiceRequest(service=service))
    with bad_answers("QueryParameters"):
        return unpack_parameters(response.parameters)


def set_parameters(
    calls: Calls, service: ContextHandle, values: Mapping[str, RegistryValue | None]
) -> None:
    """Change all of these values or none; None deletes one. Needs SERVICE_CHANGE_CONFIG.

    WinError 87: its text names the value that was refused and says what was expected.
    """
    changes = _packed(values, "SetParameters")
    request = scmd.SetParametersRequest(service=service, changes=changes)
    response = calls.call(scmd.SET_PARAMETERS, request, allowed=(Error.INVALID_PARAMETER,))
    if response.error:
        raise WinError(response.error, "SetParameters", response.detail or None)


def _packed(
    values: Mapping[str, RegistryValue | None], function: str
) -> tuple[scmd.ParameterChange, ...]:
    try:
        return pack_changes(values)
    except NdrError as error:
        raise WinError(Error.INVALID_PARAMETER, function, str(error)) from error


def prepare_service(
    calls: Calls,
    scm: ContextHandle,
    image_path: str,
    values: Mapping[str, RegistryValue],
    *,
    description: str = "",
    delayed: bool = False,
    failure_actions_flag: bool = False,
    reset_period_s: int = 0,
    actions: Sequence[FailureAction] = (),
) -> None:
    """What the next service that is created with this SCM handle is to have besides, at once.

    Needs SC_MANAGER_CREATE_SERVICE. WinError 87 as by `set_parameters`.
    """
    try:
        packed = pack_parameters(values)
    except NdrError as error:
        raise WinError(Error.INVALID_PARAMETER, "SetParameters", str(error)) from error
    packed_actions = tuple(
        scmd.PreparedAction(type=action.type, delay=action.delay) for action in actions
    )
    request = scmd.PrepareServiceRequest(
        scm=scm,
        image_path=image_path,
        description=description or None,
        delayed=int(delayed),
        failure_actions_flag=int(failure_actions_flag),
        reset_period=reset_period_s,
        actions=packed_actions or None,
        values=packed or None,
    )

    def again(fresh: ContextHandle) -> None:
        calls.connection.call(scmd.PREPARE_SERVICE, request.replace(scm=fresh))

    response = calls.call(
        scmd.PREPARE_SERVICE,
        request,
        allowed=(Error.INVALID_PARAMETER,),
        opened=lambda _: calls.prepared(scm, again),
    )
    if response.error:
        raise WinError(response.error, "SetParameters", response.detail or None)


def read_log(
    calls: Calls, service: ContextHandle, position: int = LOG_END, count: int = scmd.MAX_LOG_BYTES
) -> LogPart:
    """Captured output from a position, at most `count` bytes; needs SERVICE_START.

    0 is the beginning of what is kept, others are from earlier answers. LOG_END asks for
    the last bytes of the newest file. `start` is later than asked for when rotation has
    dropped what was there.
    """
    response = calls.call(
        scmd.READ_LOG, scmd.ReadLogRequest(service=service, position=position, count=count)
    )
    return LogPart(start=response.start, data=response.data, next=response.next_position)


def query_recovery(calls: Calls, service: ContextHandle) -> bytes:
    """Where its failure actions stand; needs SERVICE_QUERY_STATUS. A JSON object in UTF-8:

    failures, failed, pending_action, due_in_ms, schedule (failure, action, delay_ms).
    """
    request = scmd.ServiceRequest(service=service)
    return calls.call(scmd.QUERY_RECOVERY, request).document


def query_settings(calls: Calls, scm: ContextHandle) -> bytes:
    """The SCM-wide values in force; needs SC_MANAGER_ENUMERATE_SERVICE. UTF-8 JSON lines:

    name, value, default, unit, meaning.
    """
    return calls.call(scmd.QUERY_SETTINGS, scmd.ScmRequest(scm=scm)).document


def set_settings(
    calls: Calls, scm: ContextHandle, values: Mapping[str, RegistryValue | None]
) -> None:
    """Change all of these SCM-wide values or none; None takes the default.

    Needs SC_MANAGER_ALL_ACCESS. WinError 87: its text names the value that was refused.
    """
    request = scmd.SetSettingsRequest(scm=scm, changes=_packed(values, "SetSettings"))
    response = calls.call(scmd.SET_SETTINGS, request, allowed=(Error.INVALID_PARAMETER,))
    if response.error:
        raise WinError(response.error, "SetSettings", response.detail or None)


def query_usage(calls: Calls, service: ContextHandle) -> bytes:
    """What its processes use; needs SERVICE_QUERY_STATUS. A JSON object in UTF-8:

    processes, cpu_ms, memory_bytes.
    """
    return calls.call(scmd.QUERY_USAGE, scmd.ServiceRequest(service=service)).document


def query_boot(calls: Calls, scm: ContextHandle) -> bytes:
    """How each start of this boot went, as JSON lines; needs SC_MANAGER_ENUMERATE_SERVICE.

    id, name, group, dependencies, delayed; asked, begun, ended in milliseconds since the
    automatic starts began, null when it has not come to that; error: 0 or why it failed.
    """
    lines, after = b"", 0
    while True:
        request = scmd.QueryBootRequest(scm=scm, after=after)
        response = calls.call(scmd.QUERY_BOOT, request)
        lines, after = lines + response.starts, response.next
        if not after:
            return lines


def read_history(calls: Calls, service: ContextHandle) -> list[bytes]:
    """A service's newest transitions, a JSON object each; needs SERVICE_QUERY_STATUS."""
    request = scmd.ServiceRequest(service=service)
    return calls.call(scmd.READ_HISTORY, request).document.splitlines()


def explain(calls: Calls, service: ContextHandle) -> bytes:
    """Why it is in its state, as a JSON object; needs SERVICE_QUERY_STATUS."""
    return calls.call(scmd.EXPLAIN, scmd.ServiceRequest(service=service)).document


def read_crash(calls: Calls, service: ContextHandle, age: int = 0) -> bytes:
    """The newest crash bundle as JSON, or the one `age` before it; empty when there is none.

    Needs SERVICE_START and SERVICE_QUERY_CONFIG.
    """
    return calls.call(scmd.READ_CRASH, scmd.ReadCrashRequest(service=service, age=age)).document


def kill_service(calls: Calls, service: ContextHandle) -> None:
    """Kill the process tree the service runs in; 1062, and needs SERVICE_STOP."""
    calls.call(scmd.KILL_SERVICE, scmd.ServiceRequest(service=service))


def read_events(
    calls: Calls,
    scm: ContextHandle,
    after: int = 0,
    count: int = 1000,
    source: str | None = None,
) -> EventsPart:
    """Events with a record number above `after`; needs SC_MANAGER_ENUMERATE_SERVICE.

    LATEST_EVENTS asks for the last `count` of them, or as many of these as fit into an answer.
    `count` is at most MAX_EVENTS.
    """
    response = calls.call(
        scmd.READ_EVENTS,
        scmd.ReadEventsRequest(scm=scm, after=after, count=count, source=source),
    )
    return EventsPart(lines=response.events, next=response.next)
