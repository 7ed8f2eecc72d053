"""Controls on their way: a client's control checked, answered or handed to the process."""

from __future__ import annotations

from scmd.core import handles, hosting, launches, processes, recovery
from scmd.core.control_table import CONTROLS, refusal
from scmd.core.event_ids import EventId
from scmd.core.messages import ControlService
from scmd.core.records import ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_text
from scmd.vocabulary.service import MAX_COMMENT_UNITS, Control
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
    error = refusal(state, record, command.control)
    if error:
        if error == Error.SERVICE_NOT_ACTIVE and command.control == Control.STOP:
            recovery.stop_asked(state, record)
        state.reply(command.call.id, error, record.status)
        return
    if command.control == Control.STOP and (command.reason or command.comment):
        _log_reason(state, record, command)
    if record.run is not None:
        if command.control == Control.STOP:
            hosting.stop(state, record)
        state.reply(command.call.id, Error.SUCCESS, record.status)
    elif record.launch is None or not launches.is_live(record.launch):
        state.reply(command.call.id, Error.SERVICE_CANNOT_ACCEPT_CTRL, record.status)
    else:
        processes.send_control(state, record, command.control, command.call.id)


def _log_reason(state: State, record: ServiceRecord, command: ControlService) -> None:
    state.log(
        EventId.STOP_WITH_REASON,
        record,
        record.config.display_name,
        stop_reason_text(command.reason),
        command.comment or "",
        command.call.caller.name,
    )
