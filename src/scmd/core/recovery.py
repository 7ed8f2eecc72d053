"""Recovery: counting failures, choosing what to do about them, and doing it in time.

A failure is an exit without a STOPPED report or, when the record asks for it, a STOPPED
report with a nonzero exit code ([MS-SCMR] 2.2.41). The Nth failure takes the Nth action;
further ones repeat the last ([MS-SCMR] 2.2.40). The reset period without a failure sets
the count to 0. The action waits for its delay:

    RESTART      the service is started, its dependencies with it; nothing happens when it
                 has been started, or asked to stop, meanwhile
    RUN_COMMAND  its command runs under its account; `%1%` is the count
    REBOOT       the machine's own command for that runs as LocalSystem

A service that was asked to stop is never restarted. A start that fails is no failure, on
Windows either: its caller has been told. But a *restart* that fails is one more failure, since
nobody else would see to it.

Beyond the documentation: AppRestartDelay and AppThrottle make restarts wait, longer after
each quick failure or failed restart, and a crash loop (too many failures in too short a
time) ends with the service STOPPED, its last exit codes, and event 8002. Events: 7031 an
action follows, 7034 none does, 7032 one has failed.
"""

from __future__ import annotations

from msgspec import Struct

from scmd.core import identities, instances, launches, starting
from scmd.core.deadlines import Deadline
from scmd.core.event_ids import EventId
from scmd.core.messages import Actor
from scmd.core.messages.effects import LaunchSpec
from scmd.core.messages.events import ProcessExited
from scmd.core.parameter_readers import read_milliseconds, read_or
from scmd.core.records import Failure, Launch, LaunchKind, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.command_line import split_command_line
from scmd.vocabulary.configuration import LOCAL_SYSTEM, FailureAction
from scmd.vocabulary.errors import Error, Refused, error_text
from scmd.vocabulary.service import INFINITE, ActionType

COMMAND_TIME = 600_000
"""Milliseconds a recovery command may take before it is killed."""
FIRST_BACKOFF = 1_000
LAST_BACKOFF = 256_000
"""Milliseconds after the first quick failure and at most; each one in a row doubles it."""

ACTOR = Actor("SCM", "failure action")
COUNT_TOKEN = "%1%"
WORDS = {
    ActionType.RESTART: "restart the service",
    ActionType.REBOOT: "restart the machine",
    ActionType.RUN_COMMAND: "run the recovery command",
}
_FINAL = (Error.SHUTDOWN_IN_PROGRESS, Error.SERVICE_DISABLED, Error.SERVICE_MARKED_FOR_DELETE)
"""Why a restart may fail that no further restart would help."""
_NO_FAILURE = (Error.SUCCESS, Error.SERVICE_NEVER_STARTED)


class Recovery:
    """What is known of a service that has failed."""

    __slots__ = ("action", "deadline", "failed_at", "quick", "window", "window_count")

    def __init__(self) -> None:
        self.failed_at = 0
        self.action = ActionType.NONE
        """The action that is waited for, or was taken last."""
        self.deadline: Deadline | None = None
        """When the action is due; None: nothing is waited for."""
        self.quick = 0
        """How many failures in a row came sooner than AppThrottle, or were failed restarts."""
        self.window = 0
        """When the present count of failures towards a crash loop began."""
        self.window_count = 0

    @property
    def due(self) -> int | None:
        return None if self.deadline is None else self.deadline.at

    @property
    def restart_waits(self) -> bool:
        return self.deadline is not None and self.action == ActionType.RESTART

    def withdraw_restart(self) -> None:
        """Somebody else has seen to the service."""
        if self.restart_waits:
            self.withdraw()

    def withdraw(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def next_action(actions: tuple[FailureAction, ...], count: int) -> FailureAction | None:
    """The action for the `count`th failure, from 1; the last one repeats; None without any."""
    return actions[min(count, len(actions)) - 1] if actions else None


def failure_count(record: ServiceRecord, now: int) -> int:
    """Failures since boot, or since the reset period was over without one."""
    configured, known = record.config.failure_actions, record.recovery
    if known is None or not configured.actions or configured.reset_period_s == INFINITE:
        return record.failures
    quiet = now - known.failed_at
    return record.failures if quiet < configured.reset_period_s * 1_000 else 0


def is_failed(record: ServiceRecord) -> bool:
    """It is STOPPED with an error, nobody wanted it so, and the SCM will not start it again."""
    if not record.is_stopped or record.attempt is not None or record.stop_asked:
        return False
    return record.status.win32_exit_code not in _NO_FAILURE and not record.is_recovering


# Failing --------------------------------------------------------------------------------------


def look(state: State, record: ServiceRecord, failure: Failure) -> None:
    """A service has failed: count it, choose the action, let its delay begin."""
    if failure is Failure.NOT_RESTARTED and state.shutdown is not None:
        return
    known = record.recovery
    if known is None:
        known = record.recovery = Recovery()
    known.withdraw()
    record.failures = failure_count(record, state.now) + 1
    known.failed_at = state.now
    _measure(state, record, known, failure)
    state.touched[record.id] = record
    if failure is Failure.NOT_RESTARTED:
        error = record.status.win32_exit_code
        _log_failed(state, record, ActionType.RESTART, error)
        if error in _FINAL:
            return
    action = _chosen(state, record, known)
    if action is not None:
        _begin(state, record, known, action)
    elif failure is Failure.DIED:
        name = record.config.display_name
        state.log(EventId.DIED, record, name, str(record.failures))


def _measure(state: State, record: ServiceRecord, known: Recovery, failure: Failure) -> None:
    """How quick the failures come."""
    lived = state.now - record.started_at
    quick = failure is Failure.NOT_RESTARTED or lived < _number(state, record, "AppThrottle", 0)
    known.quick = known.quick + 1 if quick else 0
    if state.now - known.window >= state.settings.crash_loop_period:
        known.window, known.window_count = state.now, 0
    known.window_count += 1


def _chosen(state: State, record: ServiceRecord, known: Recovery) -> FailureAction | None:
    """The action, with its whole delay; None when there is none to be taken."""
    action = next_action(record.config.failure_actions.actions, record.failures)
    if action is None or action.type == ActionType.NONE:
        return None
    if record.stop_asked or record.deleted or state.shutdown is not None:
        return None
    if instances.is_scattered(state, record):
        return None
    if action.type != ActionType.RESTART:
        return action
    limit = _number(state, record, "AppRestartLimit", state.settings.crash_loop_limit)
    if limit and known.window_count > limit:
        seconds = f"{state.settings.crash_loop_period // 1_000}"
        name = record.config.display_name
        state.log(EventId.CRASH_LOOP, record, name, str(known.window_count), seconds)
        return None
    return FailureAction(type=action.type, delay=_restart_delay(state, record, known, action))


def _restart_delay(
    state: State, record: ServiceRecord, known: Recovery, action: FailureAction
) -> int:
    backoff = 0
    if known.quick:
        backoff = min(FIRST_BACKOFF << min(known.quick - 1, 20), LAST_BACKOFF)
    return max(action.delay, backoff, _number(state, record, "AppRestartDelay", 0))


def _number(state: State, record: ServiceRecord, name: str, default: int) -> int:
    return read_or(default, instances.parameters_of(state, record), name, read_milliseconds)


def _begin(state: State, record: ServiceRecord, known: Recovery, action: FailureAction) -> None:
    known.action = ActionType(action.type)
    name, count = record.config.display_name, str(record.failures)
    words = WORDS[known.action]
    message = record.config.failure_actions.reboot_message
    if action.type == ActionType.REBOOT and message:
        words += f" ({message})"
    state.log(EventId.DIED_ACTION_FOLLOWS, record, name, count, str(action.delay), words)
    if action.delay:
        _wait(state, record, known, action.delay)
    else:
        _act(state, record, known)


def _wait(state: State, record: ServiceRecord, known: Recovery, delay: int) -> None:
    known.deadline = state.after(delay, lambda: _act(state, record, known), "a failure action")


# Acting ---------------------------------------------------------------------------------------


def _act(state: State, record: ServiceRecord, known: Recovery) -> None:
    """The action's time has come; what has happened meanwhile counts."""
    known.deadline = None
    state.touched[record.id] = record
    if state.shutdown is not None or state.records.get(record.id) is not record:
        return
    if known.action == ActionType.RESTART:
        _restart(state, record)
        return
    try:
        _run_command(state, record, known.action)
    except Refused as refused:
        _log_failed(state, record, known.action, refused.error)


def _restart(state: State, record: ServiceRecord) -> None:
    if record.attempt is not None:
        record.attempt.restart = True
        return
    try:
        starting.begin(state, record, None, actor=ACTOR).restart = True
    except Refused as refused:
        # Who waited for its restart waits no more.
        state.changed.append(record)
        if refused.error != Error.SERVICE_ALREADY_RUNNING:
            _log_failed(state, record, ActionType.RESTART, refused.error)


def _run_command(state: State, record: ServiceRecord, action: ActionType) -> None:
    """Launch the service's or the machine's command; Refused: 1082 none, 2 no absolute path."""
    config, identity = record.config, identities.Identity(LOCAL_SYSTEM)
    command = state.settings.reboot_command
    if action == ActionType.RUN_COMMAND:
        command, identity = config.failure_actions.command, identities.of(config)
    count = str(record.failures)
    words = [word.replace(COUNT_TOKEN, count) for word in split_command_line(command)]
    if not words:
        raise Refused(Error.NO_RECOVERY_PROGRAM)
    if not words[0].startswith("/"):
        raise Refused(Error.FILE_NOT_FOUND)
    spec = LaunchSpec(
        service=record.id,
        name=config.name,
        argv=tuple(words),
        account=identity.account,
        control_channel=False,
        uid=identity.uid,
        groups=identity.groups,
        capabilities=identity.capabilities,
        hook=True,
    )
    resume_command(state, launches.begin(state, LaunchKind.COMMAND, spec, record))


def resume_command(state: State, launch: Launch) -> None:
    """Wait for a command to end; its time begins now."""

    def late() -> None:
        launches.kill(state, launch, f"the recovery command took more than {COMMAND_TIME} ms")
        _command_failed(state, launch, Error.SERVICE_REQUEST_TIMEOUT)

    launch.deadline = state.after(COMMAND_TIME, late, "a recovery command to end")


def repeat_command(state: State, record: ServiceRecord) -> None:
    """An earlier manager's command was never begun."""
    if record.recovery is not None:
        _act(state, record, record.recovery)


def command_not_run(state: State, launch: Launch, error: Error) -> None:
    launches.drop(state, launch)
    _command_failed(state, launch, error)


def command_exited(state: State, launch: Launch, event: ProcessExited) -> None:
    """The command is over; 7032 unless it has succeeded, or was killed for being late."""
    launches.forget(state, launch)
    if event.exit_code != 0 and not launch.cause:
        error = Error.PROCESS_ABORTED if event.exit_code is None else Error.SERVICE_SPECIFIC_ERROR
        _command_failed(state, launch, error)


def _command_failed(state: State, launch: Launch, error: Error) -> None:
    known = launch.owner.recovery
    if known is not None:
        _log_failed(state, launch.owner, known.action, error)


def _log_failed(state: State, record: ServiceRecord, action: ActionType, error: int) -> None:
    name, text = record.config.display_name, error_text(error)
    number = str(int(action))
    state.log(EventId.ACTION_FAILED, record, number, WORDS.get(action, ""), name, text)


# Ending it ------------------------------------------------------------------------------------


def stop_asked(state: State, record: ServiceRecord) -> None:
    """A client wants a service stopped that has failed and waits for its restart: it does not."""
    if record.recovery is not None and record.recovery.restart_waits:
        record.recovery.withdraw()
        record.stop_asked = True
        state.changed.append(record)
        state.touched[record.id] = record


def cancel(state: State) -> None:
    """No action is taken any more, and who waited for a restart does not wait."""
    for record in state.records.values():
        if record.recovery is not None and record.recovery.deadline is not None:
            record.recovery.withdraw()
            state.changed.append(record)


# For a new manager, and for people ------------------------------------------------------------


class RecoveryMemory(Struct, frozen=True):
    """What a new manager has to know; see `memory`. Instants, milliseconds."""

    failed_at: int
    action: int
    due: int | None
    quick: int
    window: int
    window_count: int


def memory(record: ServiceRecord) -> RecoveryMemory | None:
    known = record.recovery
    if known is None:
        return None
    return RecoveryMemory(
        known.failed_at, int(known.action), known.due, known.quick, known.window, known.window_count
    )


def restore(state: State, record: ServiceRecord, remembered: RecoveryMemory) -> None:
    """Go on where an earlier manager was; an action that is overdue is due now."""
    known = record.recovery = Recovery()
    known.failed_at, known.quick = remembered.failed_at, remembered.quick
    known.action = ActionType(remembered.action)
    known.window, known.window_count = remembered.window, remembered.window_count
    if remembered.due is not None:
        _wait(state, record, known, max(0, remembered.due - state.now))


class Step(Struct, frozen=True):
    """What a failure to come would lead to."""

    failure: int
    """Its number."""
    action: ActionType
    delay: int
    """Milliseconds, AppRestartDelay included; `throttle` may make a restart wait longer."""
    throttle: int = 0
    """A run shorter than this many milliseconds makes a restart wait longer, each time."""


class Preview(Struct, frozen=True):
    """Where a service's recovery stands, and what would come next."""

    failures: int
    failed: bool
    """STOPPED with an error and left so: the failed mark."""
    pending: ActionType
    """The action that is waited for; NONE: none."""
    due_in: int
    """Milliseconds until then."""
    schedule: tuple[Step, ...]
    """The failures to come, in their order; the last one stands for all after it."""


def preview(state: State, record: ServiceRecord) -> Preview:
    """For `why`, `status` and the like."""
    count, known = failure_count(record, state.now), record.recovery
    actions = record.config.failure_actions.actions
    numbers = range(count + 1, max(len(actions), count + 1) + 1) if actions else ()
    steps = []
    for number in numbers:
        action = next_action(actions, number)
        assert action is not None
        steps.append(_step(state, record, number, action))
    pending, due_in = ActionType.NONE, 0
    if known is not None and known.due is not None:
        pending, due_in = known.action, max(0, known.due - state.now)
    return Preview(count, is_failed(record), pending, due_in, tuple(steps))


def _step(state: State, record: ServiceRecord, number: int, action: FailureAction) -> Step:
    kind = ActionType(action.type)
    if kind != ActionType.RESTART:
        return Step(number, kind, action.delay)
    delay = max(action.delay, _number(state, record, "AppRestartDelay", 0))
    throttle = _number(state, record, "AppThrottle", 0)
    return Step(number, kind, delay, throttle)
