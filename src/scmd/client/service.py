"""An installed service as an object: its status, configuration and control, and waiting for it.

A `Service` keeps no handle between calls, so that holding one never keeps a deleted record alive.
Waiting honours check points and wait hints (`waiting`); the server says what has changed
(`statuses`).
"""

from __future__ import annotations

import time

from scmd.client import configuration
from scmd.client.statuses import Statuses
from scmd.client.waiting import Progress
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    FIRST_USER_CONTROL,
    Control,
    ServiceAccess,
    ServiceState,
    StateMask,
)
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from scmd.client.calls import Calls, Entry
    from scmd.client.parameters import ServiceParameters
    from scmd.client.scm import Scm
    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.configuration import ServiceConfig
    from scmd.vocabulary.status import ServiceStatus

STATE_WORDS: Mapping[str, StateMask] = {
    "active": StateMask.ACTIVE,
    "inactive": StateMask.INACTIVE,
    "all": StateMask.ALL,
}
DEFAULT_WAIT_S = 30.0


class WaitFailed(WinError):
    """The service did not come to the state waited for; `status` is its last one."""

    def __init__(self, error: int, text: str, status: ServiceStatus) -> None:
        super().__init__(error, "", text)
        self.status = status


class Service:
    """An installed service, by its key name. Cheap to make; each use asks the SCM."""

    def __init__(self, scm: Scm, name: str, entry: Entry | None = None) -> None:
        self.scm = scm
        self.name = name
        self._entry = entry

    def __repr__(self) -> str:
        return f"<scmd service {self.name!r}>"

    def opened(self, access: int) -> Opened:
        """A context that gives a handle with these rights and closes it at the end."""
        calls = self.scm.calls
        return Opened(calls, calls.open_service(self.scm.handle, self.name, access))

    @property
    def last_status(self) -> ServiceStatus:
        """The status the enumeration that found this service gave; else the status now."""
        return self.status if self._entry is None else self._entry.status

    @property
    def status(self) -> ServiceStatus:
        """The status now; `.state` is a `ServiceState`."""
        with self.opened(ServiceAccess.QUERY_STATUS) as handle:
            return self.scm.calls.query_status(handle)

    @property
    def config(self) -> ServiceConfig:
        """The whole record, with what ChangeServiceConfig2 sets."""
        with self.opened(ServiceAccess.QUERY_CONFIG) as handle:
            return configuration.query_whole_config(self.scm.calls, handle, self.name)

    @property
    def display_name(self) -> str:
        if self._entry is not None:
            return self._entry.display_name
        return self.scm.calls.display_name(self.scm.handle, self.name)

    @property
    def parameters(self) -> ServiceParameters:
        """The service's own values, like a dictionary; each use reads or writes the SCM's."""
        from scmd.client.parameters import ServiceParameters

        return ServiceParameters(self)

    def start(self, *arguments: str, wait: float | bool = DEFAULT_WAIT_S) -> ServiceStatus:
        """Start it; `wait` says how long to wait for RUNNING: seconds, True, or False.

        A one-shot service that is to stop when it is done is waited for until then.
        True waits as long as the service keeps its promises. WaitFailed: it stopped again
        (`winerror` says why), hangs, or the time is up (258).
        """
        with self.opened(ServiceAccess.START | ServiceAccess.QUERY_STATUS) as handle:
            self.scm.calls.start_service(handle, arguments)
            try:
                return self._wait(handle, ServiceState.RUNNING, wait)
            except WaitFailed as failed:
                from scmd.client.one_shots import has_done_its_work

                status = failed.status
                if has_done_its_work(self.scm.calls, self.scm.handle, self.name, status):
                    return status
                raise

    def stop(
        self, *, wait: float | bool = DEFAULT_WAIT_S, dependents: bool = False
    ) -> ServiceStatus:
        """Stop it and wait for STOPPED; `dependents` stops first those that need it (1051)."""
        if dependents:
            for dependent in self.dependents("active"):
                dependent.stop(wait=wait)
        return self._controlled(Control.STOP, ServiceAccess.STOP, ServiceState.STOPPED, wait)

    def pause(self, *, wait: float | bool = DEFAULT_WAIT_S) -> ServiceStatus:
        access = ServiceAccess.PAUSE_CONTINUE
        return self._controlled(Control.PAUSE, access, ServiceState.PAUSED, wait)

    def continue_(self, *, wait: float | bool = DEFAULT_WAIT_S) -> ServiceStatus:
        access = ServiceAccess.PAUSE_CONTINUE
        return self._controlled(Control.CONTINUE, access, ServiceState.RUNNING, wait)

    def restart(self, *arguments: str, wait: float | bool = DEFAULT_WAIT_S) -> ServiceStatus:
        """Stop it, if it runs, always waiting for the end of that; then start it."""
        try:
            self.stop(wait=wait or DEFAULT_WAIT_S)
        except WinError as error:
            if error.winerror != Error.SERVICE_NOT_ACTIVE:
                raise
        return self.start(*arguments, wait=wait)

    def reload(self) -> ServiceStatus:
        """Tell it that its configuration has changed: the control PARAMCHANGE."""
        return self.control(Control.PARAMCHANGE)

    def control(self, code: int) -> ServiceStatus:
        """Send a control: INTERROGATE, PARAMCHANGE, or 128 to 255, the service's own."""
        with self.opened(_control_access(code)) as handle:
            return self.scm.calls.control_service(handle, code)

    def kill(self, *, wait: float | bool = DEFAULT_WAIT_S) -> ServiceStatus:
        """Kill what it runs in and wait for STOPPED; no failure action follows. scmd only.

        A shared process takes its other services with it. 1062: there is nothing to kill.
        """
        from scmd.client.management import kill_service

        with self.opened(ServiceAccess.STOP | ServiceAccess.QUERY_STATUS) as handle:
            before = self.scm.calls.query_status(handle)
            kill_service(self.scm.calls, handle)
            return self._wait(handle, ServiceState.STOPPED, wait, leaving=before.state)

    def wait_for(self, state: ServiceState, wait: float | bool = True) -> ServiceStatus:
        """Wait until the service is in a state; WaitFailed as `start` says."""
        with self.opened(ServiceAccess.QUERY_STATUS) as handle:
            return self._wait(handle, state, wait)

    def wait(self, state: int | str, timeout: float | None = DEFAULT_WAIT_S) -> ServiceStatus:
        """Wait until it is in a state, such as "running", whoever brings it there.

        Whatever state it is in meanwhile, only `timeout` seconds end it: WaitFailed 258; None
        waits for ever. WaitFailed 1072: it has stopped and is marked for deletion, which waits
        for this to end. ValueError: there is no such state, or no such time.
        """
        wanted = _state(state)
        seconds = True if timeout is None else float(timeout)
        if seconds != seconds:
            raise ValueError("nan is no time to wait")
        with self.opened(ServiceAccess.QUERY_STATUS) as handle:
            return self._wait(handle, wanted, seconds, patient=True)

    def dependents(self, state: str = "all") -> list[Service]:
        """Those that need this service, indirectly too, in the order in which to stop them.

        `state`: active, inactive or all; ValueError for anything else.
        """
        if state not in STATE_WORDS:
            raise ValueError(f"{state!r} is none of {', '.join(STATE_WORDS)}")
        with self.opened(ServiceAccess.ENUMERATE_DEPENDENTS) as handle:
            entries = self.scm.calls.enum_dependents(handle, STATE_WORDS[state])
        return [Service(self.scm, entry.name, entry) for entry in entries]

    def delete(self) -> None:
        """Mark it for deletion: it goes when it has stopped and nobody holds it open."""
        with self.opened(ServiceAccess.DELETE) as handle:
            configuration.delete_service(self.scm.calls, handle)

    def _controlled(
        self, code: int, access: int, state: ServiceState, wait: float | bool
    ) -> ServiceStatus:
        with self.opened(access | ServiceAccess.QUERY_STATUS) as handle:
            answered = self.scm.calls.control_service(handle, code)
            return self._wait(handle, state, wait, leaving=answered.state)

    def _wait(
        self,
        handle: ContextHandle,
        wanted: ServiceState,
        wait: float | bool,
        leaving: int | None = None,
        *,
        patient: bool = False,
    ) -> ServiceStatus:
        """Until it is in the `wanted` state; raises WaitFailed when it rests in another one.

        If `patient`, neither rest nor a broken promise ends it.
        """
        status = self.scm.calls.query_status(handle)
        progress = Progress(status, time.monotonic(), leaving, wanted)
        # bool is an int: True must not mean one second.
        end = progress.started + wait if wait is not True else None
        with Statuses(self.scm.calls, handle, self.name, is_patient=patient) as statuses:
            while wait is not False and status.state != wanted:
                now = time.monotonic()
                if not (patient or progress.is_under_way):
                    raise _unexpected(self.name, status, wanted)
                is_hung = not patient and progress.is_hung(now)
                if is_hung or (end is not None and now >= end):
                    raise _overdue(self.name, status, wanted, now - progress.started)
                if patient and statuses.is_marked and status.state == ServiceState.STOPPED:
                    raise _doomed(self.name, status)
                status = statuses.next(progress, None if end is None else end - now)
                progress.update(status, time.monotonic())
        return status


class Opened:
    """A handle in a `with`."""

    def __init__(self, calls: Calls, handle: ContextHandle) -> None:
        self._calls = calls
        self._handle = handle

    def __enter__(self) -> ContextHandle:
        return self._handle

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and self._calls.is_closed:
            return
        self._calls.close_handle(self._handle)


def _state(state: int | str) -> ServiceState:
    try:
        return ServiceState[state.upper()] if isinstance(state, str) else ServiceState(state)
    except (KeyError, ValueError):
        raise ValueError(f"{state!r} is not a state of a service") from None


def _control_access(code: int) -> ServiceAccess:
    """The right a control needs, [MS-SCMR] 3.1.4.2."""
    if code >= FIRST_USER_CONTROL:
        return ServiceAccess.USER_DEFINED_CONTROL
    if code == Control.STOP:
        return ServiceAccess.STOP
    if code == Control.INTERROGATE:
        return ServiceAccess.INTERROGATE
    return ServiceAccess.PAUSE_CONTINUE


def _unexpected(name: str, status: ServiceStatus, wanted: ServiceState) -> WaitFailed:
    """It came to rest elsewhere: the error is the exit code it stopped with, if any."""
    state = ServiceState(status.state).name
    error = status.win32_exit_code if status.state == ServiceState.STOPPED else 0
    text = f"{name} is {state}, not {wanted.name}"
    if error == Error.SERVICE_SPECIFIC_ERROR:
        text += f": its own error {status.service_specific_exit_code}"
    elif error:
        from scmd.vocabulary.errors import error_text

        text += f": {error_text(error)}"
    return WaitFailed(error or Error.SERVICE_REQUEST_TIMEOUT, text, status)


def _doomed(name: str, status: ServiceStatus) -> WaitFailed:
    text = f"{name} is marked for deletion and starts no more"
    return WaitFailed(Error.SERVICE_MARKED_FOR_DELETE, text, status)


def _overdue(name: str, status: ServiceStatus, wanted: ServiceState, waited: float) -> WaitFailed:
    text = (
        f"{name} is still {ServiceState(status.state).name} after {waited:.0f} s "
        f"(check point {status.check_point}), not {wanted.name}"
    )
    return WaitFailed(Error.WAIT_TIMEOUT, text, status)
