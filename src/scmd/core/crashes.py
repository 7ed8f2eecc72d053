"""Crashes: what is told of a service that has failed.

A failure is an end that nobody asked for with something wrong about it: the process is
gone without a STOPPED report, or STOPPED came with a nonzero exit code, or a start failed
once its process existed. Counting failures and acting on them is done elsewhere; here they
are announced with all that the SCM knows, for whoever keeps it.
"""

from __future__ import annotations

from scmd.core.messages.effects import ServiceFailed
from scmd.core.records import Launch, LaunchPhase, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error

ASKED_FOR = (Error.SUCCESS, Error.SHUTDOWN_IN_PROGRESS, Error.REQUEST_ABORTED)
"""Results of an end that somebody asked for."""


def failed(state: State, record: ServiceRecord, launch: Launch | None, cause: str) -> None:
    """Announce a failure; the status says already how it ended.

    Nothing is announced when no process of the service ever ran, or somebody asked for it.
    """
    if launch is None or not launch.process_id or record.killed:
        return
    if record.status.win32_exit_code in ASKED_FOR:
        return
    if state.shutdown is not None and launch.phase is LaunchPhase.KILLED:
        return
    exit = launch.exit
    state.emit(
        ServiceFailed(
            launch.id,
            record.id,
            record.config.name,
            cause,
            record.status,
            launch.process_id,
            exit.exit_code if exit is not None else None,
            exit.signal if exit is not None else None,
            record.config,
            record.parameters,
            record.log_of,
        )
    )
