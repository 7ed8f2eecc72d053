"""Starting: conditions, dependencies, then the process.

`begin` refuses at once what can be refused at once. From then on the attempt lives in
the record and is advanced from a queue: when the last service it waits for is up, or one will
not be, all its conditions are looked at again, for a dependency may have stopped while another
was awaited. Dependencies that are stopped are started, all at a time; an attempt that finds
one being started already waits for that. A dependency that this attempt has seen starting
and that is down again has failed, and the attempt with it (1068). [MS-SCMR] 3.1.4.19.
"""

from __future__ import annotations

from enum import Enum, auto

from scmd.core import attempts, boot, hosting, one_shots, processes, srvany, status
from scmd.core.dependencies import group_of, is_group
from scmd.core.essential import is_essential
from scmd.core.event_ids import EventId
from scmd.core.messages import SCM_ITSELF, Actor, CallId
from scmd.core.records import AttemptPhase, ServiceRecord, StartAttempt
from scmd.core.state import State
from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.errors import Error, Refused, error_text
from scmd.vocabulary.names import name_key
from scmd.vocabulary.service import ServiceState, StartType


def begin(
    state: State,
    record: ServiceRecord,
    call: CallId | None,
    arguments: tuple[str, ...] = (),
    *,
    actor: Actor = SCM_ITSELF,
) -> StartAttempt:
    """Begin to start the service; raises Refused, with nothing changed, when it cannot be."""
    error = _refusal(state, record)
    if not error and (record.attempt is not None or not record.is_stopped):
        error = Error.SERVICE_ALREADY_RUNNING
    if error:
        raise Refused(error)
    if record.key in state.cyclic:
        raise Refused(Error.CIRCULAR_DEPENDENCY)
    if call is not None:
        _check_dependencies(state, record)
    attempt = StartAttempt(record, call, arguments)
    record.attempt = attempt
    record.stop_asked = record.completed = False
    record.essential = is_essential(record.parameters)
    status.asked(state, record, actor)
    state.work.append(attempt)
    boot.asked(state, record)
    return attempt


def _refusal(state: State, record: ServiceRecord) -> Error:
    """Why the service may not be started now, whatever its state; SUCCESS: it may."""
    if state.shutdown is not None:
        return Error.SHUTDOWN_IN_PROGRESS
    if record.deleted or state.records.get(record.id) is not record:
        return Error.SERVICE_MARKED_FOR_DELETE
    if record.config.start_type == StartType.DISABLED:
        return Error.SERVICE_DISABLED
    if (record.is_driver or record.is_built_in) and record.is_stopped:
        # Nothing of it could be launched; those that run are the SCM's own.
        return Error.SERVICE_DISABLED
    return Error.SUCCESS


def _check_dependencies(state: State, record: ServiceRecord) -> None:
    """1075 for a direct one that is not there (any more); where nobody asks, the attempt fails."""
    for dependency in record.config.dependencies:
        if not is_group(dependency) and _is_missing(state, dependency):
            raise Refused(Error.SERVICE_DEPENDENCY_DELETED, dependency)


def _is_missing(state: State, name: str) -> bool:
    found = state.by_key.get(name_key(name))
    return found is None or (found.deleted and found.is_stopped)


def advance(state: State, attempt: StartAttempt) -> None:
    """Look at the attempt's conditions again, and launch when all are met."""
    if not attempts.is_alive(attempt) or attempt.phase is not AttemptPhase.WAITING:
        return
    record = attempt.record
    error = _refusal(state, record)
    if error:
        attempts.fail(state, attempt, error, error_text(error))
        return
    attempt.awaited.clear()
    verdicts = [_look(state, attempt, name) for name in record.config.dependencies]
    if not attempts.is_alive(attempt):
        return
    if _Verdict.WAIT in verdicts:
        hint = state.settings.pipe_timeout
        status.starting(state, record, hint, "waits for its dependencies")
        return
    boot.begun(state, record)
    try:
        _launch(state, attempt)
    except Refused as refused:
        attempts.fail(state, attempt, refused.error, refused.detail or refused.error.text)


def _launch(state: State, attempt: StartAttempt) -> None:
    image_path = attempt.record.config.image_path
    if srvany.is_hosted(image_path):
        hosting.start(state, attempt)
        return
    words = split_command_line(image_path)
    if not words or not words[0].startswith("/"):
        raise Refused(Error.FILE_NOT_FOUND, "the image path is not absolute")
    processes.start(state, attempt, words)


# Dependencies ---------------------------------------------------------------------------------


class _Verdict(Enum):
    MET = auto()
    WAIT = auto()
    FAILED = auto()


def _look(state: State, attempt: StartAttempt, dependency: str) -> _Verdict:
    """Whether a dependency is met; if it is not yet, see to it; if it cannot be, fail."""
    if not attempts.is_alive(attempt):
        return _Verdict.FAILED
    if is_group(dependency):
        return _look_at_group(state, attempt, dependency)
    target = state.by_key.get(name_key(dependency))
    if target is None or (target.deleted and target.is_stopped):
        name = attempt.record.config.display_name
        log = EventId.DEPENDENCY_MISSING, (name, dependency)
        cause = f"its dependency {dependency} does not exist"
        attempts.fail(state, attempt, Error.SERVICE_DEPENDENCY_DELETED, cause, log=log)
        return _Verdict.FAILED
    verdict = _look_at_service(state, attempt, target)
    if verdict is _Verdict.FAILED:
        _fail_for(state, attempt, target)
    return verdict


def _fail_for(state: State, attempt: StartAttempt, target: ServiceRecord) -> None:
    name, other = attempt.record.config.display_name, target.config.display_name
    reason = target.status.win32_exit_code or Error.SERVICE_START_HANG
    if target.is_stopped:
        # Never started since boot: nothing was tried, because it may not be.
        reason = _refusal(state, target) or reason
    log = EventId.DEPENDENCY_FAILED, (name, other, error_text(reason))
    cause = f"its dependency {target.config.name} did not start"
    attempts.fail(state, attempt, Error.SERVICE_DEPENDENCY_FAIL, cause, log=log)


def _look_at_service(state: State, attempt: StartAttempt, target: ServiceRecord) -> _Verdict:
    if target.is_up:
        return _Verdict.MET
    if target.attempt is None:
        if target.hung:
            return _Verdict.FAILED
        if target.is_stopped:
            if target.id in attempt.tried:
                return _Verdict.MET if one_shots.has_done(target) else _Verdict.FAILED
            try:
                needed = f"needed by {attempt.record.config.name}"
                begin(state, target, None, actor=Actor(SCM_ITSELF.name, needed))
            except Refused:
                return _Verdict.FAILED
    if target.status.state != ServiceState.STOP_PENDING:
        attempt.tried.add(target.id)
    attempts.ask_again(attempt, target)
    return _Verdict.WAIT


def _look_at_group(state: State, attempt: StartAttempt, dependency: str) -> _Verdict:
    """Met when one member is up after all have been tried; all down: 1068 and event 7002."""
    verdicts = [
        _look_at_service(state, attempt, member)
        for member in state.index.members(group_of(dependency))
        if member is not attempt.record
    ]
    if _Verdict.WAIT in verdicts:
        return _Verdict.WAIT
    if _Verdict.MET in verdicts:
        return _Verdict.MET
    name, group = attempt.record.config.display_name, group_of(dependency)
    log = EventId.DEPENDENCY_GROUP_FAILED, (name, group)
    cause = f"no service of the group {group} started"
    attempts.fail(state, attempt, Error.SERVICE_DEPENDENCY_FAIL, cause, log=log)
    return _Verdict.FAILED
