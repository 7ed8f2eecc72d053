"""Controls on their way: a client's control checked, answered or handed to the process."""

from __future__ import annotations

from scmd.core import (
    attempts,
    handles,
    hosting,
    launches,
    processes,
    recovery,
    reloads,
    requests,
    status,
)
from scmd.core.control_table import CONTROLS, refusal
from scmd.core.event_ids import EventId
from scmd.core.messages import Actor, Call
from scmd.core.messages.commands import ControlService, KillService, SetStatus
from scmd.core.messages.events import StatusReported
from scmd.core.records import LaunchKind, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_text
from scmd.vocabulary.service import MAX_COMMENT_UNITS, Control, ServiceAccess, ServiceState
from scmd.vocabulary.status import illegal
from scmd.vocabulary.stop_reasons import is_stop_reason, stop_reason_text


def control_service(state: State, command: ControlService) -> None:
    """Deliver a client's control, or say why not."""
    rule = CONTROLS.get(command.control)
    handles.service(state, command.call, command.service)
    if rule is None or (command.comment is not None and command.control != Control.STOP):
        raise Refused(Error.INVALID_PARAMETER)
    if command.comment is not None:
        check_text(command.comment, MAX_COMMENT_UNITS, Error.INVALID_PARAMETER)
    if command.control == Control.STOP and command.reason and not is_stop_reason(command.reason):
        raise Refused(Error.INVALID_PARAMETER)
    record = handles.service(state, command.call, command.service, rule.right)
    is_starting = record.status.state == ServiceState.START_PENDING
    if command.control == Control.INTERROGATE and command.is_extended and is_starting:
        state.reply(command.call.id, Error.SUCCESS, record.status)
        return
    error = refusal(state, record, command.control)
    if error:
        if error == Error.SERVICE_NOT_ACTIVE and command.control == Control.STOP:
            recovery.stop_asked(state, record)
        state.reply(command.call.id, error, record.status)
        return
    if command.control == Control.STOP and (command.reason or command.comment):
        _log_reason(state, record, command)
    if command.control in (Control.STOP, Control.PAUSE, Control.CONTINUE):
        status.asked(state, record, _actor_with_reason(command))
    if record.run is not None:
        if command.control == Control.PARAMCHANGE:
            reloads.ask(state, record.run, command.call.id)
            return
        if command.control == Control.STOP:
            hosting.stop(state, record)
        state.reply(command.call.id, Error.SUCCESS, record.status)
    elif record.is_built_in:
        state.reply(command.call.id, Error.SUCCESS, record.status)
    elif record.launch is None or not launches.is_live(record.launch):
        state.reply(command.call.id, Error.SERVICE_CANNOT_ACCEPT_CTRL, record.status)
    else:
        requests.send_control(state, record, command.control, command.call.id)


def actor_of(call: Call) -> Actor:
    return Actor(call.caller.name, call.caller.origin)


def _actor_with_reason(command: ControlService) -> Actor:
    """Who asked, from where, and for a stop why: the service's history keeps it."""
    actor = actor_of(command.call)
    if command.control != Control.STOP or not command.reason:
        return actor
    reason = stop_reason_text(command.reason)
    why = f"{reason}: {command.comment}" if command.comment else reason
    return Actor(actor.name, f"{actor.origin}; {why}")


def kill_service(state: State, command: KillService) -> None:
    """Kill what the service runs in, or break off a start that has no process yet.

    A shared process takes its other services with it. It is no failure: nobody restarts it.
    """
    right = int(ServiceAccess.STOP)
    record = handles.service(state, command.call, command.service, right)
    launch, attempt, run = record.launch, record.attempt, record.run
    if record.is_built_in and not record.is_stopped:
        raise Refused(Error.INVALID_SERVICE_CONTROL, "it runs in the SCM's own process")
    if record.is_stopped and attempt is None:
        recovery.stop_asked(state, record)
        state.reply(command.call.id, Error.SERVICE_NOT_ACTIVE)
        return
    actor = actor_of(command.call)
    status.asked(state, record, actor)
    record.killed = record.stop_asked = True
    if record.recovery is not None:
        record.recovery.withdraw_restart()
    who = f"{actor.name}, {actor.origin}"
    cause = f"killed by {who}"
    state.log(EventId.KILLED, record, record.config.display_name, who)
    if run is not None:
        hosting.kill(state, record, cause)
    elif launch is not None:
        requests.kill(state, launch, Error.REQUEST_ABORTED, cause)
    elif attempt is not None:
        attempts.fail(state, attempt, Error.REQUEST_ABORTED, cause)
    state.reply(command.call.id, Error.SUCCESS)


def set_status(state: State, command: SetStatus) -> None:
    """A report by a client that was given SERVICE_SET_STATUS ([MS-SCMR] 3.1.4.8)."""
    record = handles.service(state, command.call, command.service)
    granted = handles.lookup(state, command.call, command.service).granted
    if not granted & ServiceAccess.SET_STATUS:
        raise Refused(Error.INVALID_HANDLE)
    if illegal(command.status):
        raise Refused(Error.INVALID_DATA)
    launch = record.launch
    if launch is None or launch.kind is not LaunchKind.PROTOCOL:
        raise Refused(Error.INVALID_HANDLE, "no process speaks for the service")
    if launch.services.get(record.id) is not record:
        raise Refused(Error.INVALID_HANDLE, "its process has not begun it")
    processes.reported(state, launch, StatusReported(launch.id, record.id, command.status))
    state.reply(command.call.id, Error.SUCCESS)


def _log_reason(state: State, record: ServiceRecord, command: ControlService) -> None:
    state.log(
        EventId.STOP_WITH_REASON,
        record,
        record.config.display_name,
        stop_reason_text(command.reason),
        command.comment or "",
        command.call.caller.name,
    )
