"""Reloading: a hosted program reads its configuration again, and the service stays RUNNING.

PARAMCHANGE asks for it. With AppReloadCommand the command's end is the answer: 0, 1066 when
it has failed, 1053 when it is late. With AppReloadSignal the answer is that the signal was
sent; a program whose AppReady is notify-reload says RELOADING=1 and later READY=1, and that
READY is the answer. MONOTONIC_USEC tells a reload that had begun before it was asked for.
A program may reload without having been asked; that too is seen, bounded and logged.
"""

from __future__ import annotations

from scmd.core import hooks, launches
from scmd.core.deadlines import Deadline
from scmd.core.event_ids import EventId
from scmd.core.messages import CallId
from scmd.core.messages.effects import SignalProcess
from scmd.core.records import Launch, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error, error_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.core.hosted_runs import HostedRun


class Reload:
    """One reload under way."""

    __slots__ = ("asked", "begun", "call", "deadline", "hook", "since")

    def __init__(self, since: int, call: CallId | None, *, asked: bool) -> None:
        self.since = since
        self.call = call
        """Who is to be told of its end; None: nobody, or nobody any more."""
        self.asked = asked
        self.begun = not asked
        """It has said RELOADING=1 since then."""
        self.deadline: Deadline | None = None
        """None once it has passed."""
        self.hook: Launch | None = None

    def abandon(self, state: State) -> None:
        """The program stops or is gone, and with it the reload: 1235."""
        state.reply(self.call, Error.REQUEST_ABORTED)
        self.call = None
        self._disarm()
        if self.hook is not None:
            self.hook.done = None
            launches.kill(state, self.hook, "what it is to reload stops")

    def end(self, state: State, record: ServiceRecord, error: int) -> None:
        """It is over: the caller is told, and the event log."""
        self._disarm()
        name = record.config.display_name
        if error:
            state.log(EventId.RELOAD_FAILED, record, name, error_text(error).rstrip("."))
        else:
            state.log(EventId.RELOADED, record, name)
        call, self.call = self.call, None
        state.reply(call, error, None if error else record.status)

    def _disarm(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


def is_possible(run: HostedRun) -> bool:
    """Whether the program can be told: it accepts PARAMCHANGE."""
    if run.is_template:
        return False
    signal = run.plan.reload_signal is not None and run.launch is not None
    return signal or run.plan.reload_command is not None


def ask(state: State, run: HostedRun, call: CallId) -> None:
    """Have the program reload; 1061 while a reload is under way, 1115 in a shutdown."""
    present = run.reload
    if state.shutdown is not None:
        state.reply(call, Error.SHUTDOWN_IN_PROGRESS, run.record.status)
    elif present is not None and (present.deadline is not None or present.hook is not None):
        state.reply(call, Error.SERVICE_CANNOT_ACCEPT_CTRL, run.record.status)
    elif run.plan.reload_command is not None:
        _run_command(state, run, call)
    elif run.plan.reload_signal is not None and run.launch is not None:
        _signal(state, run, run.plan.reload_signal, call)
    else:
        state.reply(call, Error.INVALID_SERVICE_CONTROL, run.record.status)


def _run_command(state: State, run: HostedRun, call: CallId) -> None:
    assert run.plan.reload_command is not None
    reload = run.reload = Reload(state.now, call, asked=True)

    def done(error: int, _: int) -> None:
        reload.hook = None
        run.reload = None
        reload.end(state, run.record, error)

    reload.hook = hooks.run(state, run.record, run.plan.reload_command, done)


def _signal(state: State, run: HostedRun, number: int, call: CallId) -> None:
    assert run.launch is not None
    state.emit(SignalProcess(run.launch.id, number))
    if not run.watch.plan.says_when_reloaded:
        state.reply(call, Error.SUCCESS, run.record.status)
        return
    run.reload = Reload(state.now, call, asked=True)
    _limit(state, run, run.reload, state.settings.pipe_timeout)


def announced(state: State, run: HostedRun, monotonic: int | None) -> None:
    """RELOADING=1. `monotonic`: when it began, in the milliseconds of `now`, if it said so."""
    state.touched[run.record.id] = run.record
    reload = run.reload
    if reload is not None and reload.hook is None and reload.deadline is not None:
        if monotonic is None or monotonic >= reload.since:
            reload.begun = True
    elif reload is None or reload.hook is None:
        restore(state, run, state.now)


def ready(state: State, run: HostedRun) -> None:
    """READY=1 of a program that runs: a reload that has begun has ended."""
    reload = run.reload
    if reload is not None and reload.begun:
        run.reload = None
        state.touched[run.record.id] = run.record
        reload.end(state, run.record, Error.SUCCESS)


def extend(state: State, run: HostedRun, span: int) -> None:
    """It needs so much time from now; its limit never comes sooner for that."""
    reload = run.reload
    if reload is None or reload.deadline is None or reload.deadline.at is None:
        return
    if state.now + span > reload.deadline.at:
        reload.deadline.cancel()
        _limit(state, run, reload, span)


def restore(state: State, run: HostedRun, since: int) -> None:
    """A reload that nobody here has asked for: the program's own, or an earlier manager's."""
    run.reload = Reload(since, None, asked=False)
    _limit(state, run, run.reload, run.watch.plan.ready_time)


def since(run: HostedRun | None) -> int | None:
    """Since when the program reloads by its own word; what a new manager has to know."""
    reload = None if run is None else run.reload
    return None if reload is None or reload.hook is not None else reload.since


def _limit(state: State, run: HostedRun, reload: Reload, span: int) -> None:
    def late() -> None:
        """It may still say so: only nobody waits any longer."""
        reload.deadline = None
        state.touched[run.record.id] = run.record
        reload.end(state, run.record, Error.SERVICE_REQUEST_TIMEOUT)

    reload.deadline = state.after(span, late, "a program to have reloaded")
