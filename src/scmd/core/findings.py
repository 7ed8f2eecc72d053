"""Findings: what is to be said of one service's present state, for people.

Each is a sentence and a code. They say what a service waits for and until when, why it is
down, what would keep it from stopping, and which rules its reports have broken. Following
the blame to other services is `why`'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

from scmd.core import instances, recovery, schedules, status
from scmd.core.deadlines import Deadline
from scmd.core.dependencies import group_of, is_group
from scmd.core.hosted_runs import HostedRun, Stage
from scmd.core.records import AttemptPhase, Launch, LaunchPhase, ServiceRecord, StartRequest
from scmd.core.reloads import Reload
from scmd.core.state import State
from scmd.vocabulary.durations import span
from scmd.vocabulary.errors import Error, error_text
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ActionType, ControlsAccepted, ServiceState, StartType

_S = ServiceState


class Code(StrEnum):
    """What a finding is about; programs go by these, people by the text."""

    NEVER_STARTED = "never_started"
    DISABLED = "disabled"
    WAITS_FOR_AUTO_START = "waits_for_auto_start"
    STOPPED = "stopped"
    STOPPED_WITH_ERROR = "stopped_with_error"
    DEPENDENCY_DOWN = "dependency_down"
    DEPENDENCY_MISSING = "dependency_missing"
    DEPENDENCY_CYCLE = "dependency_cycle"
    FAILED_BEFORE = "failed_before"
    WAITS_FOR_FAILURE_ACTION = "waits_for_failure_action"
    LEFT_FAILED = "left_failed"
    LEFT_STOPPED = "left_stopped"
    NEXT_FAILURE = "next_failure"
    WAITS_FOR_SERVICE = "waits_for_service"
    WAITS_FOR_GROUP = "waits_for_group"
    WAITS_FOR_PROCESS = "waits_for_process"
    WAITS_FOR_CONNECTION = "waits_for_connection"
    WAITS_FOR_ITS_TURN = "waits_for_its_turn"
    WAITS_FOR_ANSWER = "waits_for_answer"
    WAITS_FOR_HOOK = "waits_for_hook"
    SETTLES = "settles"
    WAITS_FOR_READINESS = "waits_for_readiness"
    WAITS_FOR_REPORT = "waits_for_report"
    OVERDUE = "overdue"
    HUNG = "hung"
    STOPPING = "stopping"
    BEING_KILLED = "being_killed"
    TAKES_NO_STOP = "takes_no_stop"
    STOP_IGNORED = "stop_ignored"
    DEPENDENT_ACTIVE = "dependent_active"
    SHUTTING_DOWN = "shutting_down"
    MARKED_FOR_DELETE = "marked_for_delete"
    ODD_REPORT = "odd_report"
    LIMIT_MISSING = "limit_missing"
    RELOADING = "reloading"
    NEXT_RUN = "next_run"
    WORKS = "works"
    WORK_DONE = "work_done"
    WAITS_FOR_PID_FILE = "waits_for_pid_file"
    SAYS = "says"


class Finding(Struct, frozen=True):
    code: Code
    service: str
    """Whom it is about: a key name."""
    text: str
    """A sentence about that service, without its name."""
    depth: int = 0
    """How many steps away from the service that was asked about."""
    error: int = 0
    left: int | None = None
    """Milliseconds until what the text speaks of: the end of a limit, a restart, a run."""
    other: str = ""
    """The key name of the service that the text speaks of, or a group's."""


def examine(state: State, record: ServiceRecord) -> Iterator[Finding]:
    """What is to be said of the service's present state, the service itself first."""
    current, failures = record.status.state, recovery.preview(state, record)
    if current == _S.STOPPED:
        yield from _stopped(state, record, failures)
    elif current == _S.START_PENDING:
        yield from _starting(state, record)
    elif current == _S.STOP_PENDING:
        yield from _stopping(state, record)
    elif current in (_S.PAUSE_PENDING, _S.CONTINUE_PENDING):
        yield from _awaited_report(state, record)
    else:
        yield from _obstacles_to_a_stop(state, record)
    yield from _next_run(state, record)
    yield from _oddities(record)
    yield from _schedule(record, failures)


# Not running ----------------------------------------------------------------------------------


def _stopped(state: State, record: ServiceRecord, failures: recovery.Preview) -> Iterator[Finding]:
    name, error = record.config.name, record.status.win32_exit_code
    if record.config.start_type == StartType.DISABLED and not record.deleted:
        yield Finding(Code.DISABLED, name, "is disabled, so it cannot be started")
    if error == Error.SERVICE_NEVER_STARTED:
        yield from _never_started(state, record)
        yield from _missing(state, record)
    elif not error:
        yield Finding(Code.STOPPED, name, f"stopped without an error: {record.cause}")
    elif error in (Error.SERVICE_DEPENDENCY_FAIL, Error.SERVICE_DEPENDENCY_DELETED):
        yield from _dependency_failed(state, record)
    else:
        text = f"stopped with {_error(record)}: {record.cause}"
        yield Finding(Code.STOPPED_WITH_ERROR, name, text, error=error)
    yield from _failures(record, failures)
    if record.key in state.cyclic:
        yield Finding(Code.DEPENDENCY_CYCLE, name, "depends on itself by way of others")
    if state.shutdown is not None:
        yield Finding(Code.SHUTTING_DOWN, name, "cannot be started while the SCM shuts down")


def _failures(record: ServiceRecord, preview: recovery.Preview) -> Iterator[Finding]:
    """What the SCM does about its failures."""
    name = record.config.name
    if preview.failures:
        times = "once" if preview.failures == 1 else f"{preview.failures} times"
        yield Finding(Code.FAILED_BEFORE, name, f"has failed {times}")
    if preview.pending != ActionType.NONE:
        action = recovery.WORDS[preview.pending]
        text = f"has a failure action to come: {action}, in {span(preview.due_in)}"
        yield Finding(Code.WAITS_FOR_FAILURE_ACTION, name, text, left=preview.due_in)
    elif preview.failed and record.config.failure_actions.actions:
        text = "is left as it is: no failure action brings it back"
        yield Finding(Code.LEFT_FAILED, name, text)
    elif preview.schedule and record.stop_asked and record.status.win32_exit_code:
        yield Finding(Code.LEFT_STOPPED, name, "was asked to stop: no failure action follows")


def _schedule(record: ServiceRecord, preview: recovery.Preview) -> Iterator[Finding]:
    """What the failures to come would lead to; the last one stands for all after it."""
    steps = preview.schedule
    for step in steps:
        action = recovery.WORDS.get(step.action, "do nothing")
        later = " and each after it" if step is steps[-1] else ""
        text = f"would, after failure {step.failure}{later}, {action}"
        if step.action != ActionType.NONE:
            text += f" in {span(step.delay)}"
        if step.throttle:
            text += f", later if it has run for less than {span(step.throttle)}"
        yield Finding(Code.NEXT_FAILURE, record.config.name, text, left=step.delay)


def _error(record: ServiceRecord) -> str:
    current = record.status
    if current.win32_exit_code == Error.SERVICE_SPECIFIC_ERROR:
        return f"its own error {current.service_specific_exit_code}"
    return f"error {current.win32_exit_code} ({error_text(current.win32_exit_code).rstrip('.')})"


def _never_started(state: State, record: ServiceRecord) -> Iterator[Finding]:
    name, run = record.config.name, state.auto_start
    text = "has not been started since the SCM began"
    is_scheduled = schedules.next_run(state, record) is not None
    if record.config.start_type == StartType.DEMAND_START and not is_scheduled:
        text += "; it starts on demand only"
    yield Finding(Code.NEVER_STARTED, name, text)
    if record.config.start_type != StartType.AUTO_START or state.shutdown is not None:
        return
    if run is None:
        text = "waits for the automatic starts, which have not begun"
        yield Finding(Code.WAITS_FOR_AUTO_START, name, text)
    elif record in run.delayed:
        left = _left(state, run.deadline)
        text = f"waits for the delayed automatic starts{_due(left)}"
        yield Finding(Code.WAITS_FOR_AUTO_START, name, text, left=left)
    elif any(record in batch for batch in run.batches):
        waiting = next(iter(run.outstanding.values()), None)
        first = f", {waiting.config.name} among them" if waiting is not None else ""
        text = f"waits until the load-order groups before its own are up{first}"
        yield Finding(Code.WAITS_FOR_AUTO_START, name, text)


def _dependency_failed(state: State, record: ServiceRecord) -> Iterator[Finding]:
    name, error = record.config.name, record.status.win32_exit_code
    text = f"stopped with {_error(record)}: {record.cause}"
    yield Finding(Code.STOPPED_WITH_ERROR, name, text, error=error)
    yield from _missing(state, record)
    for target, _ in _unmet(state, record):
        if target is not None and target.is_stopped:
            other = target.config.name
            text = f"needs {other}, which is STOPPED"
            yield Finding(Code.DEPENDENCY_DOWN, name, text, other=other)


def _missing(state: State, record: ServiceRecord) -> Iterator[Finding]:
    for target, missing in _unmet(state, record):
        if target is None:
            text = f"needs {missing}, which does not exist"
            yield Finding(Code.DEPENDENCY_MISSING, record.config.name, text, other=missing)


def _unmet(state: State, record: ServiceRecord) -> Iterator[tuple[ServiceRecord | None, str]]:
    """Services that are named as dependencies and are not up, or are not there at all."""
    for dependency in record.config.dependencies:
        if is_group(dependency):
            continue
        target = state.by_key.get(name_key(dependency))
        tried = record.attempt.tried if record.attempt is not None else ()
        met = target is not None and target.id in tried and target.completed
        if not met and (target is None or not target.is_up):
            yield target, dependency


# Not starting ---------------------------------------------------------------------------------


def _starting(state: State, record: ServiceRecord) -> Iterator[Finding]:
    attempt = record.attempt
    if attempt is not None and attempt.phase is AttemptPhase.WAITING:
        yield from _awaited_dependencies(state, record)
    elif record.run is not None:
        yield from _hosted(state, record, record.run)
    elif attempt is not None and record.launch is not None:
        yield _awaited_process(state, record, record.launch)
    else:
        yield from _awaited_report(state, record)


def _awaited_dependencies(state: State, record: ServiceRecord) -> Iterator[Finding]:
    name = record.config.name
    for target, _ in _unmet(state, record):
        if target is not None:
            yield _waits_for(record, target)
    for dependency in filter(is_group, record.config.dependencies):
        group = group_of(dependency)
        members = [m for m in state.index.members(group) if m is not record]
        if not any(member.is_up for member in members) or any(map(_is_pending, members)):
            # One member is enough, but each gets its chance first.
            text = f"waits for the services of the group {group}"
            yield Finding(Code.WAITS_FOR_GROUP, name, text, other=group)


def _waits_for(record: ServiceRecord, target: ServiceRecord) -> Finding:
    other, its = target.config.name, _S(target.status.state).name
    text = f"waits for {other}, which {'hangs in' if target.hung else 'is'} {its}"
    return Finding(Code.WAITS_FOR_SERVICE, record.config.name, text, other=other)


def _is_pending(record: ServiceRecord) -> bool:
    return not record.is_up and not record.is_stopped


def _awaited_process(state: State, record: ServiceRecord, launch: Launch) -> Finding:
    name, left = record.config.name, _left(state, launch.deadline)
    if launch.phase is LaunchPhase.LAUNCHING:
        text = f"waits for its process to be made{_due(left)}"
        return Finding(Code.WAITS_FOR_PROCESS, name, text, left=left)
    if launch.phase is LaunchPhase.CONNECTING:
        text = (
            f"waits for process {launch.process_id} to call StartServiceCtrlDispatcher{_due(left)}"
        )
        return Finding(Code.WAITS_FOR_CONNECTION, name, text, left=left)
    current = launch.current
    if current is not None and current.record is not record:
        left, other = _left(state, current.deadline), current.record.config.name
        what = "start" if isinstance(current, StartRequest) else "answer a control"
        text = f"waits for its turn: process {launch.process_id} has to {what} {other} first"
        return Finding(Code.WAITS_FOR_ITS_TURN, name, text, left=left, other=other)
    left = None if current is None else _left(state, current.deadline)
    text = f"waits for process {launch.process_id} to call ServiceMain{_due(left)}"
    return Finding(Code.WAITS_FOR_ANSWER, name, text, left=left)


def _hosted(state: State, record: ServiceRecord, run: HostedRun) -> Iterator[Finding]:
    name, left = record.config.name, _left(state, run.deadline)
    hook_left = None if run.hook is None else _left(state, run.hook.deadline)
    match run.stage:
        case Stage.PRE_HOOK:
            text = f"waits for its hook before the start to end{_due(hook_left)}"
            yield Finding(Code.WAITS_FOR_HOOK, name, text, left=hook_left)
        case Stage.STOP_HOOK:
            text = f"waits for its hook before the stop to end{_due(hook_left)}"
            yield Finding(Code.WAITS_FOR_HOOK, name, text, left=hook_left)
        case Stage.LAUNCHING:
            text = f"waits for its program to be started{_due(left)}"
            yield Finding(Code.WAITS_FOR_PROCESS, name, text, left=left)
        case Stage.FORKING:
            why = f" ({run.watch.problem})" if run.watch.problem else ""
            text = f"runs, and {run.plan.pid_file} does not name its process yet{why}{_due(left)}"
            yield Finding(Code.WAITS_FOR_PID_FILE, name, text, left=left)
        case Stage.GATHERING | Stage.SCATTERING:
            if record.hung:
                text = "hangs, as long as one of its instances does: nobody waits for it any more"
                yield Finding(Code.HUNG, name, text)
            for member in instances.members(state, record):
                if not (member.is_stopped if run.stage is Stage.SCATTERING else member.is_up):
                    yield _waits_for(record, member)
        case Stage.WORKING:
            limit = _due(left) or "; there is no limit"
            text = f"works, and counts as started when it has exited with 0{limit}"
            yield Finding(Code.WORKS, name, text, left=left)
        case Stage.SETTLING:
            text = (
                f"runs, and counts as started when it has lived through its settle time{_due(left)}"
            )
            yield Finding(Code.SETTLES, name, text, left=left)
        case Stage.READYING:
            said = f"; it says: {run.watch.text}" if run.watch.text else ""
            text = f"runs, and is not ready yet{_due(left)}{said}"
            yield Finding(Code.WAITS_FOR_READINESS, name, text, left=left)
        case Stage.STOPPING | Stage.LEAVING:
            yield _awaited_exit(record, run.launch, left)
        case _:
            return


# Pending and not stopping ---------------------------------------------------------------------


def _stopping(state: State, record: ServiceRecord) -> Iterator[Finding]:
    if record.run is not None:
        yield from _hosted(state, record, record.run)
        return
    launch = record.launch
    if launch is not None and launch.phase in (LaunchPhase.ENDING, LaunchPhase.KILLED):
        yield _awaited_exit(record, launch, _left(state, launch.deadline))
        return
    yield from _awaited_report(state, record)


def _awaited_exit(record: ServiceRecord, launch: Launch | None, left: int | None) -> Finding:
    name = record.config.name
    process = launch.process_id if launch is not None else 0
    if launch is not None and launch.phase is LaunchPhase.KILLED:
        text = f"waits for process {process} to be gone; it was killed: {launch.cause}"
        return Finding(Code.BEING_KILLED, name, text, left=left)
    text = f"waits for process {process} to exit; it is killed{_due(left) or ' in the end'}"
    return Finding(Code.STOPPING, name, text, left=left)


def _awaited_report(state: State, record: ServiceRecord) -> Iterator[Finding]:
    """A pending state that the service itself has to end."""
    name, current = record.config.name, record.status
    launch = record.launch
    process = f"process {launch.process_id}" if launch is not None else "its process"
    late, left = status.overdue(record, state.now), _left(state, record.hang)
    said = f"check point {current.check_point}, wait hint {span(current.wait_hint)}"
    if record.hung:
        text = f"hangs: {process} has made no progress for too long ({said})"
        yield Finding(Code.HUNG, name, text)
    elif late:
        text = f"is overdue by {span(late)}: {process} has not kept its promise ({said})"
        yield Finding(Code.OVERDUE, name, text, left=left)
    else:
        text = f"waits for the next status report of {process} ({said})"
        yield Finding(Code.WAITS_FOR_REPORT, name, text, left=left)
    yield from _unanswered(state, record)


def _unanswered(state: State, record: ServiceRecord) -> Iterator[Finding]:
    launch = record.launch
    if launch is None or launch.current is None or launch.current.record is not record:
        return
    left = _left(state, launch.current.deadline)
    text = f"has not answered the request that process {launch.process_id} was sent{_due(left)}"
    yield Finding(Code.WAITS_FOR_ANSWER, record.config.name, text, left=left)


def _obstacles_to_a_stop(state: State, record: ServiceRecord) -> Iterator[Finding]:
    name = record.config.name
    run = record.run
    if run is not None and run.reload is not None:
        yield _reloading(state, record, run.reload)
    if run is not None and run.stage is Stage.DONE:
        text = "has done its work, and stays RUNNING without a process until it is stopped"
        yield Finding(Code.WORK_DONE, name, text)
    if run is not None and run.watch.text:
        yield Finding(Code.SAYS, name, f"says: {run.watch.text}")
    if record.stop_asked:
        text = "was asked to stop, has taken the control and has not said that it stops"
        yield Finding(Code.STOP_IGNORED, name, text)
    yield from _unanswered(state, record)
    if not record.status.controls_accepted & ControlsAccepted.STOP:
        text = "does not accept STOP: a stop would be refused with error 1052"
        yield Finding(Code.TAKES_NO_STOP, name, text, error=int(Error.INVALID_SERVICE_CONTROL))
    for dependent in state.index.direct_dependents(record):
        if not dependent.is_stopped:
            other, its = dependent.config.name, _S(dependent.status.state).name
            text = f"cannot be stopped before {other}, which needs it and is {its}"
            error = int(Error.DEPENDENT_SERVICES_RUNNING)
            yield Finding(Code.DEPENDENT_ACTIVE, name, text, error=error, other=other)


def _reloading(state: State, record: ServiceRecord, reload: Reload) -> Finding:
    deadline = reload.hook.deadline if reload.hook is not None else reload.deadline
    left, so_far = _left(state, deadline), span(state.now - reload.since)
    late = _due(left) or "; nobody waits for that any longer"
    text = f"reloads its configuration, for {so_far} by now, and has not said that it is done{late}"
    return Finding(Code.RELOADING, record.config.name, text, left=left)


def _next_run(state: State, record: ServiceRecord) -> Iterator[Finding]:
    upcoming = schedules.next_run(state, record)
    if upcoming is not None:
        at, left = upcoming
        when = f"at {at}, " if at else ""
        text = f"is started by its schedule {when}in {span(left)}"
        yield Finding(Code.NEXT_RUN, record.config.name, text, left=left)


# Whatever the state ---------------------------------------------------------------------------


def _oddities(record: ServiceRecord) -> Iterator[Finding]:
    """Where this run is not what the rules say, and the SCM let it be all the same."""
    for limit in record.launch.without if record.launch is not None else ():
        text = f"runs without its limit {limit}"
        yield Finding(Code.LIMIT_MISSING, record.config.name, text)
    for (before, after), said in (record.noted or {}).items():
        if (before, after) == status.INVALID:
            rule = "[MS-SCMR] 3.1.4.8 has no such value, so the report was ignored"
        elif (before, after) == status.FLOOD:
            rule = "what was too much is not in the event log"
        elif (before, after) == status.NOT_ITS_OWN:
            rule = "only a living process of its own can be that"
        else:
            expected = sorted(s.name for s in status.EXPECTED[_S(before)] if s != before)
            rule = f"after {_S(before).name} comes {' or '.join(expected) or 'nothing'}"
        text = f"broke a rule: {said}; {rule}"
        yield Finding(Code.ODD_REPORT, record.config.name, text)


def _left(state: State, deadline: Deadline | None) -> int | None:
    if deadline is None or deadline.at is None:
        return None
    return max(0, deadline.at - state.now)


def _due(left: int | None) -> str:
    return "" if left is None else f", in {span(left)} at the latest"
