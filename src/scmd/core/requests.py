"""The requests that a service process works through: starts and controls.

A process takes one at a time; others queue. Every request has a deadline; one that was sent
and not answered keeps the process busy, since its dispatcher thread has not come back, but
owes nothing any more. A process whose last request and last service are over is let go.

[MS-SCMR] 3.1.4.19 and 3.1.4.2 for the requests' time limits.
"""

from __future__ import annotations

from collections import deque

from scmd.core import attempts, launches, status
from scmd.core.control_table import STATUS_GIVEN_WITH, refusal
from scmd.core.event_ids import EventId
from scmd.core.messages import CallId, ServiceId
from scmd.core.messages.effects import SendControl, SendResync, SendStart
from scmd.core.messages.events import (
    ControlAnswered,
    HandlerRegistered,
    StartAnswered,
)
from scmd.core.records import (
    AttemptPhase,
    ControlRequest,
    Launch,
    LaunchPhase,
    ServiceRecord,
    StartAttempt,
    StartRequest,
)
from scmd.core.state import State
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control, ServiceState

_STOPPING = (Control.STOP, Control.SHUTDOWN, Control.PRESHUTDOWN)


def send_control(state: State, record: ServiceRecord, code: int, call: CallId | None) -> None:
    """Queue a control for the record's process and send it when its turn comes."""
    launch = record.launch
    assert launch is not None
    request = ControlRequest(state.new_control_id(), record, code, call)
    if code in _STOPPING:
        record.stop_asked = True
        state.touched[record.id] = record
    begin_limit(state, launch, request)
    launch.queue.append(request)
    pump(state, launch)


def pump(state: State, launch: Launch) -> None:
    """Send the next request, if the process is free; refuse those that make no sense any more."""
    while launch.queue and launch.current is None and launch.phase is LaunchPhase.READY:
        request = launch.queue.popleft()
        if isinstance(request, ControlRequest):
            _send_control(state, launch, request)
        else:
            _send_start(state, launch, request)


def start_request(state: State, launch: Launch, attempt: StartAttempt) -> StartRequest:
    request = StartRequest(attempt)
    if launch.phase is LaunchPhase.READY:
        begin_limit(state, launch, request)
    return request


def _send_control(state: State, launch: Launch, request: ControlRequest) -> None:
    # The service may have stopped, or changed what it accepts, while this one queued.
    record = request.record
    error = Error.SERVICE_NOT_ACTIVE
    if record.launch is launch:
        error = refusal(state, record, request.code, dependents=request.call is not None)
    if error:
        _refused(state, launch, request)
        if _is_notice(request) and record.notice is not None:
            record.notice.dropped = True
        _settle_control(state, request, error)
        return
    launch.current = request
    begin_limit(state, launch, request)
    state.emit(SendControl(launch.id, request.id, record.id, request.code))


def _send_start(state: State, launch: Launch, request: StartRequest) -> None:
    attempt, record = request.attempt, request.record
    if attempt is None:
        return
    own = launch.share_key is None
    if not own and record.key not in launch.table:
        cause = "its program does not implement it"
        _fail_start(state, launch, request, Error.SERVICE_NOT_IN_EXE, cause)
        end_if_unused(state, launch)
        return
    launch.current = request
    begin_limit(state, launch, request)
    launch.services[record.id] = record
    record.log_of = launch.owner.id
    status.starting(state, record, status.START_WAIT_HINT, "it has been asked to start")
    _expect_handler(state, launch, record)
    state.emit(send_start_effect(launch, attempt))


def send_start_effect(launch: Launch, attempt: StartAttempt) -> SendStart:
    record = attempt.record
    return SendStart(launch.id, record.id, (record.config.name, *attempt.arguments))


def begin_limit(state: State, launch: Launch, request: StartRequest | ControlRequest) -> None:
    """Give the request the pipe time-out from now on."""
    _disarm(request)
    request.deadline = state.after(
        state.settings.pipe_timeout, lambda: _late(state, launch, request), "a request's answer"
    )


def _late(state: State, launch: Launch, request: StartRequest | ControlRequest) -> None:
    limit = str(state.settings.pipe_timeout)
    state.log(
        EventId.TRANSACTION_TIMEOUT, request.record, limit, request.record.config.display_name
    )
    request.deadline = None
    sent = launch.current is request
    if not sent and not (isinstance(request, ControlRequest) and request.call is None):
        # What the SCM itself has to say waits on: the process may yet come back to hear it.
        launch.queue.remove(request)
    if isinstance(request, ControlRequest):
        call, request.call = request.call, None
        state.reply(call, Error.SERVICE_REQUEST_TIMEOUT)
    else:
        _late_start(state, launch, request, sent)


def _late_start(state: State, launch: Launch, request: StartRequest, sent: bool) -> None:
    attempt = request.attempt
    if attempt is None:
        return
    others = any(record is not request.record for record in launch.services.values())
    cause = "its process did not answer the start request in time"
    if sent and others:
        # The process lives on for the others, and may still start this one: not STOPPED.
        request.attempt = None
        record = request.record
        record.attempt = None
        record.hung = True
        state.changed.append(record)
        state.reply(attempt.call, Error.SERVICE_REQUEST_TIMEOUT)
        return
    _fail_start(state, launch, request, Error.SERVICE_REQUEST_TIMEOUT, cause)
    if sent:
        kill(state, launch, Error.SERVICE_REQUEST_TIMEOUT, cause)
    else:
        end_if_unused(state, launch)


def _expect_handler(state: State, launch: Launch, record: ServiceRecord) -> None:
    def late() -> None:
        del launch.registering[record.id]
        limit = str(state.settings.register_warning)
        state.log(EventId.HANDLER_LATE, record, record.config.display_name, limit)

    _handler_seen(launch, record.id)
    launch.registering[record.id] = state.after(
        state.settings.register_warning, late, "a handler to be registered"
    )


def handler_registered(launch: Launch, event: HandlerRegistered) -> None:
    _handler_seen(launch, event.service)


def _handler_seen(launch: Launch, service: ServiceId) -> None:
    deadline = launch.registering.pop(service, None)
    if deadline is not None:
        deadline.cancel()


def start_answered(state: State, launch: Launch, event: StartAnswered) -> None:
    request = launch.current
    if not isinstance(request, StartRequest) or request.record.id != event.service:
        return
    _done(launch, request)
    attempt, record = request.attempt, request.record
    if event.error and event.error != Error.SERVICE_ALREADY_RUNNING:
        cause = "its process could not start it"
        if attempt is not None:
            _fail_start(state, launch, request, event.error, cause)
        elif record.launch is launch:
            record.launch = None
            leave(launch, record)
            status.stopped(state, record, event.error, cause)
        end_if_unused(state, launch)
    elif attempt is not None:
        if event.error:
            # An earlier manager has started it and did not live to see the answer.
            state.emit(SendResync(launch.id))
        request.attempt = None
        attempts.succeed(state, attempt)
    pump(state, launch)


def control_answered(state: State, launch: Launch, event: ControlAnswered) -> None:
    request = launch.current
    if not isinstance(request, ControlRequest) or request.id != event.control:
        return
    _done(launch, request)
    notice = request.record.notice
    if notice is not None and notice.control == request.code:
        notice.answered = True
        state.touched[request.record.id] = request.record
    if event.error:
        _refused(state, launch, request)
    _settle_control(state, request, event.error)
    pump(state, launch)


def _refused(state: State, launch: Launch, request: ControlRequest) -> None:
    """The service goes on as if it had not been asked, unless it was by another one, too."""
    record = request.record
    if request.code not in _STOPPING or record.launch is not launch:
        return
    if record.status.state != ServiceState.STOP_PENDING and not _is_asked(launch, record):
        record.stop_asked = False
        state.touched[record.id] = record


def _is_asked(launch: Launch, record: ServiceRecord) -> bool:
    """Whether a control that stops it waits for its turn or for its answer."""
    return any(
        isinstance(request, ControlRequest)
        and request.record is record
        and request.code in _STOPPING
        for request in (launch.current, *launch.queue)
    )


def _is_notice(request: StartRequest | ControlRequest) -> bool:
    """Whether this is what tells the service of the shutdown."""
    notice = request.record.notice
    if notice is None or not isinstance(request, ControlRequest):
        return False
    return notice.control == request.code


def _done(launch: Launch, request: StartRequest | ControlRequest) -> None:
    launch.current = None
    _disarm(request)


def _disarm(request: StartRequest | ControlRequest) -> None:
    """Its deadline counts no more."""
    if request.deadline is not None:
        request.deadline.cancel()
        request.deadline = None


def _settle_control(state: State, request: ControlRequest, error: int) -> None:
    _disarm(request)
    call, request.call = request.call, None
    filled = request.record.status if error in STATUS_GIVEN_WITH else None
    state.reply(call, error, filled)


def _fail_start(
    state: State, launch: Launch, request: StartRequest, error: int, cause: str
) -> None:
    _disarm(request)
    attempt, request.attempt = request.attempt, None
    if attempt is not None:
        leave(launch, request.record)
        attempts.fail(state, attempt, error, cause)


def fail_queued(
    state: State, launch: Launch, attempt: StartAttempt, error: int, cause: str
) -> None:
    """Fail a start that queues for this process; a process that nobody needs any more is killed."""
    for request in launch.queue:
        if isinstance(request, StartRequest) and request.attempt is attempt:
            launch.queue.remove(request)
            _fail_start(state, launch, request, error, cause)
            end_if_unused(state, launch)
            return


def fail_starts(state: State, launch: Launch, error: int, cause: str) -> None:
    """Every start that waits for this process fails; sent or not."""
    requests = [launch.current, *launch.queue]
    for request in requests:
        if isinstance(request, StartRequest):
            _fail_start(state, launch, request, error, cause)
    launch.queue = deque(r for r in launch.queue if isinstance(r, ControlRequest))


def kill(state: State, launch: Launch, error: int, cause: str) -> None:
    """Kill the process; every start that waits for it fails."""
    fail_starts(state, launch, error, cause)
    launches.kill(state, launch, cause)


def answer_all(state: State, launch: Launch, cause: str) -> None:
    """Answer every request: the process will not."""
    current, launch.current = launch.current, None
    if isinstance(current, ControlRequest):
        stopped = current.record.status.state == ServiceState.STOPPED
        _settle_control(state, current, 0 if stopped else Error.SERVICE_REQUEST_TIMEOUT)
    elif current is not None:
        _unanswered_start(state, launch, current, cause)
    requests = list(launch.queue)
    launch.queue.clear()
    for request in requests:
        if isinstance(request, ControlRequest):
            active = request.record.launch is launch
            error = Error.SERVICE_REQUEST_TIMEOUT if active else Error.SERVICE_NOT_ACTIVE
            _settle_control(state, request, error)
        else:
            _unanswered_start(state, launch, request, cause)


def _unanswered_start(state: State, launch: Launch, request: StartRequest, cause: str) -> None:
    attempt = request.attempt
    _disarm(request)
    if attempt is not None and launch.drained and not attempt.retried:
        # Its dispatcher returned because the last service had stopped, just as this start came.
        attempt.retried = True
        request.attempt = None
        leave(launch, request.record)
        _try_elsewhere(state, attempt)
    else:
        _fail_start(state, launch, request, Error.SERVICE_REQUEST_TIMEOUT, cause)


def leave(launch: Launch, record: ServiceRecord) -> None:
    launch.services.pop(record.id, None)
    _handler_seen(launch, record.id)


def end_if_unused(state: State, launch: Launch) -> None:
    """Let a process without services go; starts that still queued for it get another one."""
    if launch.services or not launches.is_live(launch):
        return
    if launch.queue and not launch.drained:
        return
    launches.close(state, launch)
    _move_starts(state, launch)
    if launch.drained:
        launches.end(state, launch, state.settings.pipe_timeout, "its last service has stopped")
    else:
        launches.kill(state, launch, "no service was started in it")


def _move_starts(state: State, launch: Launch) -> None:
    for request in launch.queue:
        _disarm(request)
        if isinstance(request, ControlRequest):
            _settle_control(state, request, Error.SERVICE_NOT_ACTIVE)
        elif request.attempt is not None:
            _try_elsewhere(state, request.attempt)
    launch.queue.clear()


def _try_elsewhere(state: State, attempt: StartAttempt) -> None:
    attempt.record.launch = None
    attempt.phase = AttemptPhase.WAITING
    state.work.append(attempt)
