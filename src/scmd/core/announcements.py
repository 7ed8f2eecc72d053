"""Announcements: what follows from what a hosted program says of itself; [sd_notify(3)].

Only a program that is to be heard is, and only while it may say such a thing: the stage of its
run decides. Reading the datagram is `notifications`'.
"""

from __future__ import annotations

from collections.abc import Callable

from scmd.core import hosting, mains, reloads
from scmd.core.hosted_runs import HostedRun, Stage, arm, cancel, current, disarm, show
from scmd.core.notifications import ProcessNotified
from scmd.core.records import LaunchPhase
from scmd.core.state import State
from scmd.vocabulary.service import ServiceState

_MAY_NAME = (Stage.FORKING, Stage.SETTLING, Stage.READYING, Stage.RUNNING)


def notified(state: State, event: ProcessNotified) -> None:
    """What the program says of itself, if it is to be heard."""
    launch = state.launches.get(event.launch)
    run = None if launch is None else current(launch)
    if launch is None or run is None or launch.phase is not LaunchPhase.READY:
        return
    if not run.watch.plan.listens:
        return
    if event.text is not None:
        run.watch.text = event.text
    if event.errno is not None:
        run.watch.errno = event.errno
    if event.main is not None and run.stage in _MAY_NAME:
        mains.name(state, run, event.main)
    match run.stage:
        case Stage.READYING | Stage.RUNNING if event.stopping:
            _leave(state, run)
        case Stage.READYING:
            _notified_before_ready(state, run, event)
        case Stage.RUNNING if event.in_trouble:
            hosting.give_up(state, run, "it asked its watchdog to end it")
        case Stage.RUNNING:
            _notified_while_running(state, run, event)
        case Stage.STOPPING | Stage.LEAVING if event.extend is not None:
            _extend(state, run, event.extend, hosting.stop_limit)


def _notified_while_running(state: State, run: HostedRun, event: ProcessNotified) -> None:
    if event.alive or event.watchdog is not None:
        run.watch.beat(state, lambda why: hosting.give_up(state, run, why), event.watchdog)
    if event.reloading:
        reloads.announced(state, run, event.monotonic)
    elif event.ready:
        reloads.ready(state, run)
    if event.extend is not None:
        reloads.extend(state, run, event.extend)


def _notified_before_ready(state: State, run: HostedRun, event: ProcessNotified) -> None:
    if event.watchdog is not None:
        run.watch.period = event.watchdog
    if event.ready and run.watch.plan.says_when_ready:
        hosting.becomes_ready(state, run)
    elif event.extend is not None:
        _extend(state, run, event.extend, hosting.not_ready)
    elif event.text is not None:
        _progress(state, run, run.record.status.wait_hint)


def _extend(
    state: State, run: HostedRun, span: int, action: Callable[[State, HostedRun], None]
) -> None:
    """It needs so much time from now; its limit never comes sooner for that."""
    deadline = run.deadline
    left = 0 if deadline is None or deadline.at is None else deadline.at - state.now
    if span > left:
        cancel(run)
        arm(state, run, span, action, "a program that asked for more time")
    _progress(state, run, max(span, left))


def _progress(state: State, run: HostedRun, wait_hint: int) -> None:
    """A new check point, for those who wait and watch it."""
    status = run.record.status
    cause = f"it says: {run.watch.text}" if run.watch.text else "it asked for more time"
    point = status.check_point + 1
    show(state, run, ServiceState(status.state), wait_hint, cause, check_point=point)


def _leave(state: State, run: HostedRun) -> None:
    """It stops by itself; its exit is judged as one that nobody asked for."""
    disarm(state, run)
    run.stage = Stage.LEAVING
    limit = run.plan.stop_time
    show(state, run, ServiceState.STOP_PENDING, limit, "it says that it stops")
    arm(state, run, limit, hosting.stop_limit, "a program to stop")
