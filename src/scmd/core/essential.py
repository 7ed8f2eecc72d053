"""Essential services: when one of them ends for good, so does the SCM, with its exit status.

Only where the settings say so: under `scmd init`, the first process of a container. A
service is essential when its parameter `AppEssential` was not 0 as it was started. The exit
status is what a shell would say of the program: its exit code, or 128 and the signal that
ended it, asked for or not; of a service that speaks the control protocol the code that it
reported. A program that could not be run is 126 or 127.
"""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.messages import Parameters
from scmd.core.messages.events import ProcessExited
from scmd.core.records import Launch, LaunchKind, ServiceRecord
from scmd.core.state import State
from scmd.vocabulary.errors import Error

PARAMETER = "AppEssential"
SIGNALLED = 128

START_STATUSES: Mapping[int, int] = {
    Error.SUCCESS: 0,
    Error.SERVICE_NEVER_STARTED: 0,
    Error.SHUTDOWN_IN_PROGRESS: 0,
    Error.FILE_NOT_FOUND: 127,
    Error.PATH_NOT_FOUND: 127,
    Error.ACCESS_DENIED: 126,
    Error.BAD_EXE_FORMAT: 126,
}
"""Exit codes of a service without a process; 126 and 127 are the shells'."""


def is_essential(parameters: Parameters) -> bool:
    """Whether the Parameters say so; a value that is no number does not."""
    key = PARAMETER.upper()
    return any(
        name.upper() == key and value.data not in (0, "0") and isinstance(value.data, int | str)
        for name, value in parameters.items()
    )


def note_exit(launch: Launch, event: ProcessExited) -> None:
    """Remember how a process ended, for the services that it has not said are STOPPED."""
    ended = list(launch.services.values())
    if launch.kind is LaunchKind.PROGRAM and launch.owner.launch is launch:
        ended.append(launch.owner)
    code = 1 if event.exit_code is None else event.exit_code
    if event.signal is not None:
        code = SIGNALLED + event.signal
    for record in ended:
        record.process_exit = code


def has_ended(state: State, record: ServiceRecord) -> bool:
    """Whether this service has changed in such a way that the SCM is to end."""
    if not state.settings.ends_with_essential or not record.is_stopped:
        return False
    if not record.essential or record.attempt is not None or record.is_recovering:
        return False
    return record.status.win32_exit_code != Error.SERVICE_NEVER_STARTED


def exit_status(state: State, ended: ServiceRecord | None) -> int:
    """What the SCM ends with: after `ended`, else after the first essential service."""
    if not state.settings.ends_with_essential:
        return 0
    essential = (record for record in state.records.values() if record.essential)
    record = ended or next(essential, None)
    return 0 if record is None else _status_of(record)


def _status_of(record: ServiceRecord) -> int:
    if record.process_exit is not None:
        return record.process_exit
    code = record.status.win32_exit_code
    if code == Error.SERVICE_SPECIFIC_ERROR:
        return _in_a_byte(record.status.service_specific_exit_code)
    known = START_STATUSES.get(code)
    return _in_a_byte(code) if known is None else known


def _in_a_byte(code: int) -> int:
    """Never 0 for a code that is not."""
    return code & 0xFF or (1 if code else 0)
