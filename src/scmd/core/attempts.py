"""The end of a start attempt: it succeeds or fails, once, and whoever waits is told.

How an attempt gets there is `starting`'s, `processes`' and `hosting`'s.
"""

from __future__ import annotations

from scmd.core import boot, crashes, status
from scmd.core.event_ids import EventId
from scmd.core.records import Failure, Launch, ServiceRecord, StartAttempt
from scmd.core.state import State
from scmd.vocabulary.errors import Error, error_text


def is_alive(attempt: StartAttempt) -> bool:
    return attempt.record.attempt is attempt


def succeed(state: State, attempt: StartAttempt) -> None:
    """The service has been started: the caller gets the status as it is now."""
    assert is_alive(attempt)
    record = attempt.record
    record.attempt = None
    record.started_at = state.now
    if record.recovery is not None:
        record.recovery.withdraw_restart()
    state.reply(attempt.call, Error.SUCCESS, record.status)
    state.changed.append(record)


def fail(
    state: State,
    attempt: StartAttempt,
    error: int,
    cause: str,
    *,
    specific: int = 0,
    launch: Launch | None = None,
    log: tuple[EventId, tuple[str, ...]] | None = None,
) -> None:
    """The service has not been started and is STOPPED with this error.

    Event 7000 is logged, or what `log` says instead. The record lets go of its launch;
    what becomes of the process is the caller's. `launch`: what failed, if not that one.
    """
    assert is_alive(attempt)
    record = attempt.record
    launch = launch or record.launch
    record.attempt = None
    record.launch = None
    record.run = None
    status.stopped(state, record, error, cause, specific, failed=True)
    # When it was STOPPED with this error before, nothing has changed but the reason.
    record.cause, record.actor = cause, None
    crashes.failed(state, record, launch, cause)
    state.reply(attempt.call, error)
    name = record.config.display_name
    if log is None:
        log = EventId.START_FAILED, (name, error_text(error))
    if not boot.is_silent(state, record):
        state.log(log[0], record, *log[1])
    state.changed.append(record)
    if attempt.restart and not record.killed:
        state.failures.append((record, Failure.NOT_RESTARTED))


def ask_again(attempt: StartAttempt, record: ServiceRecord) -> None:
    """Advance the attempt again when the record is not on its way any more."""
    if record.waiters is None:
        record.waiters = {}
    record.waiters[attempt.record.id] = attempt
    attempt.awaited.add(record.id)


def wake(state: State, record: ServiceRecord) -> None:
    """Put the attempts that wait for this record up for another look.

    Of many that are awaited each one that comes up would have all the others looked at again, only
    to find that they are awaited still: it is the last one that counts.
    """
    waiters = record.waiters
    if not waiters or _is_coming(record):
        return
    record.waiters = None
    for attempt in waiters.values():
        attempt.awaited.discard(record.id)
        if not record.is_up or not attempt.awaited:
            state.work.append(attempt)


def _is_coming(record: ServiceRecord) -> bool:
    """Whether it is on its way up, or down first; what has come of it is to be waited for."""
    if record.attempt is not None:
        return not record.is_up
    return not (record.is_up or record.is_stopped or record.hung)
