"""Serving the scmd interface: Parameters through the core, logs and events from the host.

The core says who may: a log needs SERVICE_START (its operators'), the event log
SC_MANAGER_ENUMERATE_SERVICE, writing to it as a program SC_MANAGER_ALL_ACCESS, a history
SERVICE_QUERY_STATUS, a crash bundle what log and configuration need. What the host answers
stays within the sizes the interface declares; the host keeps to them.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import (
    CheckScmHandle,
    CloseHandle,
    Config2Value,
    ExplainService,
    FailureActionsChange,
    IdentifyService,
    KillService,
    OpenScm,
    PrepareService,
    QueryBoot,
    QueryParameters,
    QueryRecovery,
    QueryStatus,
    SetParameters,
)
from scmd.core.messages.effects import Reply
from scmd.core.recovery import Preview
from scmd.core.why import Explanation
from scmd.ndr.errors import NdrError
from scmd.scmd_interface.operations import (
    EXPLAIN,
    KILL_SERVICE,
    MAX_JSON_BYTES,
    PREPARE_SERVICE,
    QUERY_BOOT,
    QUERY_MANAGER_STATUS,
    QUERY_PARAMETERS,
    QUERY_RECOVERY,
    QUERY_SETTINGS,
    QUERY_USAGE,
    QUERY_VERSION,
    READ_CRASH,
    READ_EVENTS,
    READ_HISTORY,
    READ_LOG,
    REPLACE_MANAGER,
    REPORT_EVENT,
    SCMD,
    SET_PARAMETERS,
    SET_SETTINGS,
    WAIT_FOR_CHANGES,
    CheckedResponse,
    EmptyRequest,
    ErrorResponse,
    JsonResponse,
    PrepareServiceRequest,
    QueryBootRequest,
    QueryBootResponse,
    QueryParametersResponse,
    QueryVersionResponse,
    ReadCrashRequest,
    ReadEventsRequest,
    ReadEventsResponse,
    ReadLogRequest,
    ReadLogResponse,
    ReportEventRequest,
    ScmRequest,
    ServiceRequest,
    SetParametersRequest,
)
from scmd.scmd_interface.parameters import pack_parameters, unpack_parameters
from scmd.scmd_interface.remote import (
    CHANGE_REMOTE,
    QUERY_REMOTE,
    ChangeRemoteRequest,
)
from scmd.security.sid import LOCAL
from scmd.server.host_requests import (
    ChangeRemote,
    QueryManagerStatus,
    QueryRemote,
    QueryUsage,
    ReadCrash,
    ReadEvents,
    ReadHistory,
    ReadLog,
    ReplaceManager,
    ReportEvent,
)
from scmd.server.settings import change_response, changed_values, query_settings, set_settings
from scmd.server.steps import Steps, Work, served, table
from scmd.server.watching import wait_for_changes
from scmd.storage.documents import to_json
from scmd.vocabulary.configuration import FailureAction
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ActionType, ConfigLevel, ScmAccess, ServiceAccess
from scmd.vocabulary.status import ServiceStatus


def manager_status(work: Work, request: EmptyRequest) -> Steps[JsonResponse]:
    """There is no handle that would say what the caller may: one is opened and closed."""
    opened = yield OpenScm(work.call, None, int(ScmAccess.ENUMERATE_SERVICE))
    if opened.error:
        return JsonResponse(error=opened.error)
    assert isinstance(opened.result, int)
    yield CloseHandle(work.call, HandleId(opened.result))
    return _document((yield QueryManagerStatus(work.call)))


def _document(reply: Reply) -> JsonResponse:
    """The bytes that the host has answered with, or its error."""
    if reply.error:
        return JsonResponse(error=reply.error)
    assert isinstance(reply.result, bytes)
    return JsonResponse(document=reply.result, error=0)


def query_version(work: Work, request: EmptyRequest) -> Steps[QueryVersionResponse]:
    yield from ()  # Nobody has to be asked.
    return QueryVersionResponse(major=SCMD.major, minor=SCMD.minor, error=0)


def query_parameters(work: Work, request: ServiceRequest) -> Steps[QueryParametersResponse]:
    reply = yield QueryParameters(work.call, work.handle(request.service))
    if reply.error:
        return QueryParametersResponse(error=reply.error)
    assert isinstance(reply.result, Mapping)
    return QueryParametersResponse(parameters=pack_parameters(reply.result), error=0)


def set_parameters(work: Work, request: SetParametersRequest) -> Steps[CheckedResponse]:
    """Data that its type does not allow is error 87, and so is a value that is named twice."""
    service = work.handle(request.service)
    values = changed_values(request.changes)
    if values is None:
        reply = yield IdentifyService(work.call, service, ServiceAccess.CHANGE_CONFIG)
        return CheckedResponse(error=reply.error or Error.INVALID_PARAMETER)
    return change_response((yield SetParameters(work.call, service, values)))


def prepare_service(work: Work, request: PrepareServiceRequest) -> Steps[CheckedResponse]:
    """Values that mean nothing are error 87, as in RSetParameters."""
    scm = work.handle(request.scm)
    try:
        values, changes = unpack_parameters(request.values), _prepared_changes(request)
    except (NdrError, ValueError):
        reply = yield CheckScmHandle(work.call, scm, ScmAccess.CREATE_SERVICE)
        return CheckedResponse(error=reply.error or Error.INVALID_PARAMETER)
    reply = yield PrepareService(work.call, scm, request.image_path or "", values, changes)
    return change_response(reply)


def _prepared_changes(
    request: PrepareServiceRequest,
) -> tuple[tuple[ConfigLevel, Config2Value], ...]:
    """As RChangeServiceConfig2W would bring them. ValueError: an action without a meaning."""
    changes: list[tuple[ConfigLevel, Config2Value]] = []
    if request.description is not None:
        changes.append((ConfigLevel.DESCRIPTION, request.description))
    if request.delayed:
        changes.append((ConfigLevel.DELAYED_AUTO_START_INFO, True))
    if request.failure_actions_flag:
        changes.append((ConfigLevel.FAILURE_ACTIONS_FLAG, True))
    if request.actions:
        actions = tuple(
            FailureAction(type=ActionType(action.type), delay=action.delay)
            for action in request.actions
        )
        change = FailureActionsChange(request.reset_period, None, None, actions)
        changes.append((ConfigLevel.FAILURE_ACTIONS, change))
    return tuple(changes)


def read_log(work: Work, request: ReadLogRequest) -> Steps[ReadLogResponse]:
    service = work.handle(request.service)
    reply = yield IdentifyService(work.call, service, ServiceAccess.START)
    if not reply.error:
        assert isinstance(reply.result, int)
        identity = ServiceId(reply.result)
        reply = yield ReadLog(work.call, identity, request.position, request.count)
    if reply.error:
        return ReadLogResponse(start=0, data=b"", next_position=0, error=reply.error)
    assert isinstance(reply.result, tuple)
    start, data, following = reply.result
    return ReadLogResponse(start=start, data=data, next_position=following, error=0)


def read_events(work: Work, request: ReadEventsRequest) -> Steps[ReadEventsResponse]:
    scm = work.handle(request.scm)
    reply = yield CheckScmHandle(work.call, scm, ScmAccess.ENUMERATE_SERVICE)
    if not reply.error:
        reply = yield ReadEvents(work.call, request.after, request.count, request.source)
    if reply.error:
        return ReadEventsResponse(events=b"", next=0, error=reply.error)
    assert isinstance(reply.result, tuple)
    events, following = reply.result
    return ReadEventsResponse(events=events, next=following, error=0)


def report_event(work: Work, request: ReportEventRequest) -> Steps[ErrorResponse]:
    scm = work.handle(request.scm)
    reply = yield CheckScmHandle(work.call, scm, ScmAccess.ALL_ACCESS)
    if not reply.error:
        strings = tuple(string.text or "" for string in request.strings or ())
        reply = yield ReportEvent(
            work.call, request.source, request.type, request.event_id, strings
        )
    return ErrorResponse(error=reply.error)


def query_boot(work: Work, request: QueryBootRequest) -> Steps[QueryBootResponse]:
    """As many lines as fit into an answer."""
    reply = yield QueryBoot(work.call, work.handle(request.scm), request.after)
    if reply.error:
        return QueryBootResponse(starts=b"", next=0, error=reply.error)
    assert isinstance(reply.result, list)
    lines: list[bytes] = []
    size = last = 0
    for entry in reply.result:
        line = to_json(entry) + b"\n"
        size += len(line)
        if size > MAX_JSON_BYTES:
            return QueryBootResponse(starts=b"".join(lines), next=last, error=0)
        lines.append(line)
        last = entry.id
    return QueryBootResponse(starts=b"".join(lines), next=0, error=0)


def replace_manager(work: Work, request: ScmRequest) -> Steps[ErrorResponse]:
    reply = yield CheckScmHandle(work.call, work.handle(request.scm), ScmAccess.ALL_ACCESS)
    if not reply.error:
        reply = yield ReplaceManager(work.call)
    return ErrorResponse(error=reply.error)


def query_remote(work: Work, request: ScmRequest) -> Steps[JsonResponse]:
    reply = yield CheckScmHandle(work.call, work.handle(request.scm), ScmAccess.ALL_ACCESS)
    if not reply.error:
        reply = yield QueryRemote(work.call)
    return _document(reply)


def change_remote(work: Work, request: ChangeRemoteRequest) -> Steps[CheckedResponse]:
    """For local callers: what lets others in is said at the machine itself."""
    reply = yield CheckScmHandle(work.call, work.handle(request.scm), ScmAccess.ALL_ACCESS)
    if not reply.error and LOCAL not in work.call.caller.token.groups:
        return CheckedResponse(error=Error.ACCESS_DENIED)
    if not reply.error:
        reply = yield ChangeRemote(work.call, request.change)
    return change_response(reply)


def query_recovery(work: Work, request: ServiceRequest) -> Steps[JsonResponse]:
    reply = yield QueryRecovery(work.call, work.handle(request.service))
    if reply.error:
        return JsonResponse(error=reply.error)
    assert isinstance(reply.result, Preview)
    return JsonResponse(document=_as_json(reply.result), error=0)


def query_usage(work: Work, request: ServiceRequest) -> Steps[JsonResponse]:
    reply = yield QueryStatus(work.call, work.handle(request.service))
    if not reply.error:
        assert isinstance(reply.result, ServiceStatus)
        reply = yield QueryUsage(work.call, reply.result.process_id)
    return _document(reply)


def _as_json(seen: Preview) -> bytes:
    steps = [
        {"failure": step.failure, "action": step.action.name, "delay_ms": step.delay}
        for step in seen.schedule
    ]
    return to_json(
        {
            "failures": seen.failures,
            "failed": seen.failed,
            "pending_action": seen.pending.name,
            "due_in_ms": seen.due_in,
            "schedule": steps,
        }
    )


def read_history(work: Work, request: ServiceRequest) -> Steps[JsonResponse]:
    """As many of the newest transitions as there is room for."""
    service = work.handle(request.service)
    reply = yield IdentifyService(work.call, service, ServiceAccess.QUERY_STATUS)
    if not reply.error:
        assert isinstance(reply.result, int)
        reply = yield ReadHistory(work.call, ServiceId(reply.result))
    if reply.error:
        return JsonResponse(error=reply.error)
    assert isinstance(reply.result, bytes)
    history = reply.result
    if len(history) > MAX_JSON_BYTES:
        first = history.find(b"\n", len(history) - MAX_JSON_BYTES - 1) + 1
        history = history[first:]
    return JsonResponse(document=history, error=0)


def explain(work: Work, request: ServiceRequest) -> Steps[JsonResponse]:
    reply = yield ExplainService(work.call, work.handle(request.service))
    if reply.error:
        return JsonResponse(error=reply.error)
    assert isinstance(reply.result, Explanation)
    return JsonResponse(document=to_json(reply.result), error=0)


def read_crash(work: Work, request: ReadCrashRequest) -> Steps[JsonResponse]:
    """The bundle has captured output and the configuration: it takes both rights."""
    service = work.handle(request.service)
    access = ServiceAccess.START | ServiceAccess.QUERY_CONFIG
    reply = yield IdentifyService(work.call, service, access)
    if not reply.error:
        assert isinstance(reply.result, int)
        reply = yield ReadCrash(work.call, ServiceId(reply.result), request.age)
    return _document(reply)


def kill_service(work: Work, request: ServiceRequest) -> Steps[ErrorResponse]:
    reply = yield KillService(work.call, work.handle(request.service))
    return ErrorResponse(error=reply.error)


SCMD_OPERATIONS = table(
    served(QUERY_SETTINGS, query_settings),
    served(SET_SETTINGS, set_settings),
    served(QUERY_MANAGER_STATUS, manager_status),
    served(QUERY_PARAMETERS, query_parameters),
    served(SET_PARAMETERS, set_parameters),
    served(READ_LOG, read_log),
    served(READ_EVENTS, read_events),
    served(REPORT_EVENT, report_event),
    served(QUERY_VERSION, query_version),
    served(QUERY_BOOT, query_boot),
    served(REPLACE_MANAGER, replace_manager),
    served(QUERY_REMOTE, query_remote),
    served(CHANGE_REMOTE, change_remote),
    served(QUERY_RECOVERY, query_recovery),
    served(QUERY_USAGE, query_usage),
    served(READ_HISTORY, read_history),
    served(EXPLAIN, explain),
    served(READ_CRASH, read_crash),
    served(KILL_SERVICE, kill_service),
    served(PREPARE_SERVICE, prepare_service),
    served(WAIT_FOR_CHANGES, wait_for_changes, blocks=True),
)
