"""Service processes that speak the control protocol: launched, connected, adopted, ended.

A launch is LAUNCHING until the process exists, CONNECTING until StartServiceCtrlDispatcher
is called, READY while services run in it; `requests` has what it is asked. When the last
service has STOPPED the launch is ENDING: it may clean up for a while and is killed if it
does not exit. A process that has closed its channel can not be controlled and goes the same
way.
"""

from __future__ import annotations

from scmd.core import attempts, crashes, identities, launches, limits, requests, status
from scmd.core.essential import is_essential
from scmd.core.event_ids import EventId
from scmd.core.messages import ServiceId
from scmd.core.messages.effects import ForgetLaunch, LaunchSpec, SendResync
from scmd.core.messages.events import (
    DispatcherConnected,
    HeldLaunch,
    ProcessExited,
    StatusReported,
)
from scmd.core.records import (
    AttemptPhase,
    Launch,
    LaunchKind,
    LaunchPhase,
    ServiceRecord,
    StartAttempt,
    StartRequest,
)
from scmd.core.state import State
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, ServiceType

SERVICE_TYPE_VARIABLE = "SCMD_SERVICE_TYPE"
"""As in `control_pipe.packets`, which the core does without."""
CHANNEL_GRACE = 5_000
"""Milliseconds from the end of the channel to the kill."""


def start(state: State, attempt: StartAttempt, words: list[str]) -> None:
    """Start the service in a process: its own, a new shared one, or one that runs already.

    Raises Refused: 1079 when the shared process runs under another account.
    """
    record = attempt.record
    launch = _running_share(state, record)
    if launch is None:
        launch = _new(state, record, words)
    attempt.phase = AttemptPhase.LAUNCHING
    record.launch = launch
    hint = state.settings.pipe_timeout
    status.starting(state, record, hint, "its process is being started")
    launch.queue.append(requests.start_request(state, launch, attempt))
    requests.pump(state, launch)


def _running_share(state: State, record: ServiceRecord) -> Launch | None:
    if not record.config.type & ServiceType.WIN32_SHARE_PROCESS:
        return None
    launch = state.shared.get(record.config.image_path)
    if launch is not None and launch.account != name_key(record.config.account):
        raise Refused(Error.DIFFERENT_SERVICE_ACCOUNT)
    return launch


def _new(state: State, record: ServiceRecord, words: list[str]) -> Launch:
    config = record.config
    is_shared = bool(config.type & ServiceType.WIN32_SHARE_PROCESS)
    kind = ServiceType.WIN32_SHARE_PROCESS if is_shared else ServiceType.WIN32_OWN_PROCESS
    bounds = limits.of(record.parameters)
    identity = identities.of_process(state, record)
    spec = LaunchSpec(
        service=record.id,
        name=config.name,
        argv=tuple(words),
        account=config.account,
        control_channel=True,
        extra_environment=((SERVICE_TYPE_VARIABLE, str(int(kind))),),
        uid=identity.uid,
        groups=identity.groups,
        capabilities=identity.capabilities,
        limits=bounds.limits,
        shares=bounds.shares,
        essential=is_essential(record.parameters),
    )
    launch = launches.begin(state, LaunchKind.PROTOCOL, spec, record)
    launch.account = name_key(config.account)
    if is_shared:
        launch.share_key = config.image_path
        state.shared[config.image_path] = launch
    launch.deadline = state.after(
        state.settings.pipe_timeout, lambda: _not_connected(state, launch), "a process to connect"
    )
    return launch


def started(state: State, launch: Launch, process_id: int) -> None:
    if launch.phase is LaunchPhase.LAUNCHING:
        launch.phase = LaunchPhase.CONNECTING
    launch.process_id = process_id
    for request in launch.queue:
        if isinstance(request, StartRequest) and request.attempt is not None:
            status.starting(
                state, request.record, state.settings.pipe_timeout, "its process has been started"
            )


def connected(state: State, launch: Launch, event: DispatcherConnected) -> None:
    if launch.phase not in (LaunchPhase.LAUNCHING, LaunchPhase.CONNECTING):
        return
    launch.phase = LaunchPhase.READY
    launch.table = frozenset(name_key(name) for name in event.table)
    launches.disarm(launch)
    for request in launch.queue:
        requests.begin_limit(state, launch, request)
    requests.pump(state, launch)


def _not_connected(state: State, launch: Launch) -> None:
    name = launch.owner.config.display_name
    limit = str(state.settings.pipe_timeout)
    state.log(EventId.CONNECT_TIMEOUT, launch.owner, limit, name)
    cause = "its process did not connect in time"
    requests.fail_starts(state, launch, Error.SERVICE_REQUEST_TIMEOUT, cause)
    launches.kill(state, launch, cause)


def launch_failed(state: State, launch: Launch, error: Error, detail: str) -> None:
    """The program could not be executed: whoever waited for it fails with the reason."""
    cause = f"its program could not be run: {detail}" if detail else "its program could not be run"
    launches.drop(state, launch)
    requests.fail_starts(state, launch, error, cause)


def resume(
    state: State,
    launch: Launch,
    held: HeldLaunch,
    starts: list[StartAttempt],
    starting: ServiceId,
) -> None:
    """A new manager goes on with a process: limits begin anew, starts are asked for again.

    `starting` is the service whose start had been sent and not answered.
    """
    if launch.phase is LaunchPhase.ENDING:
        launches.resume_end(state, launch, ended=held.ended)
        return
    if launch.share_key is not None and not held.ended:
        state.shared[launch.share_key] = launch
    for attempt in starts:
        request = requests.start_request(state, launch, attempt)
        if attempt.record.id == starting and launch.phase is LaunchPhase.READY:
            launch.current = request
            state.emit(requests.send_start_effect(launch, attempt))
        else:
            launch.queue.append(request)
    if launch.phase is not LaunchPhase.READY:
        started(state, launch, held.process_id)
        launch.deadline = state.after(
            state.settings.pipe_timeout,
            lambda: _not_connected(state, launch),
            "a process to connect",
        )
    if held.ended:
        return
    # After a start, whose answer it must not overtake: it says what came of an earlier one.
    state.emit(SendResync(launch.id))
    requests.pump(state, launch)
    if launch.phase is LaunchPhase.READY:
        requests.end_if_unused(state, launch)


def reported(state: State, launch: Launch, event: StatusReported) -> None:
    """A status report; the first STOPPED ends the service's run in this process."""
    record = launch.services.get(event.service)
    if record is None:
        return
    status.report(state, record, event.status)
    if record.status.state != ServiceState.STOPPED:
        return
    launch.drained = True
    requests.leave(launch, record)
    record.launch = None
    attempt = record.attempt
    if attempt is not None:
        # It was quicker than the answer to its start: ServiceMain has run, so it has started.
        request = launch.current
        if isinstance(request, StartRequest) and request.attempt is attempt:
            request.attempt = None
        attempts.succeed(state, attempt)
    requests.end_if_unused(state, launch)


def channel_closed(state: State, launch: Launch) -> None:
    """The process can not be controlled any more."""
    if not launches.is_live(launch):
        return
    if launch.phase is not LaunchPhase.READY:
        cause = "its process closed the control channel"
        requests.fail_starts(state, launch, Error.SERVICE_REQUEST_TIMEOUT, cause)
        launches.kill(state, launch, cause)
        return
    launches.end(state, launch, CHANNEL_GRACE, "its process closed the control channel")
    requests.answer_all(state, launch, launch.cause)


def exited(state: State, launch: Launch, event: ProcessExited) -> None:
    """The process is gone: what it still owed is answered, its services are STOPPED."""
    launches.drop(state, launch)
    cause = f"its process {launches.describe_exit(event)}"
    if launch.cause:
        cause += f", after: {launch.cause}"
    requests.answer_all(state, launch, cause)
    for record in list(launch.services.values()):
        requests.leave(launch, record)
        record.launch = None
        status.died(state, record, cause)
        crashes.failed(state, record, launch, cause)
    state.emit(ForgetLaunch(launch.id))
