"""The client as objects: `scmd.connect()` gives a `Scm`, `scm["Web"]` a `Service`.

Everything raises `WinError`. What a `Service` can do is in `service`.
"""

from __future__ import annotations

from scmd.client import creation
from scmd.client.calls import Calls, open_calls
from scmd.client.creation import Besides
from scmd.client.service import STATE_WORDS, Opened, Service
from scmd.vocabulary.configuration import LOCAL_SYSTEM, ServiceConfig
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import (
    ErrorControl,
    ScmAccess,
    ServiceAccess,
    ServiceState,
    ServiceType,
    StartType,
    StateMask,
)
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from scmd.ndr.values import ContextHandle
    from scmd.vocabulary.registry import RegistryValue

START_WORDS: Mapping[str, StartType] = {
    "auto": StartType.AUTO_START,
    "delayed": StartType.AUTO_START,
    "demand": StartType.DEMAND_START,
    "disabled": StartType.DISABLED,
}
THROTTLE = 10_000
"""Milliseconds; a program that was to be restarted and fails sooner was quick to fail."""


class Scm:
    """One connection to an SCM; a context manager. May be used by several threads in turn."""

    def __init__(self, calls: Calls, *, is_remote: bool = False) -> None:
        self.calls = calls
        self.is_remote = is_remote
        """Programs and folders are another machine's: their paths are not looked at here."""
        self._handle: ContextHandle | None = None

    @property
    def handle(self) -> ContextHandle:
        """A handle with SC_MANAGER_CONNECT, enough to open services; kept with the connection."""
        if self._handle is None:
            self._handle = self.calls.open_scm()
        return self._handle

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and with it all its handles; may be called again."""
        self.calls.close()

    def __getitem__(self, name: str) -> Service:
        """The service with this key name; WinError 1060 or 123 comes from its first use."""
        return Service(self, name)

    def __contains__(self, name: str) -> bool:
        try:
            with self[name].opened(ServiceAccess.QUERY_STATUS):
                return True
        except WinError as error:
            if error.winerror in (Error.SERVICE_DOES_NOT_EXIST, Error.INVALID_NAME):
                return False
            raise

    def services(
        self, state: str | ServiceState = "all", type: int = ServiceType.WIN32
    ) -> list[Service]:
        """What is installed, each with the status it had now in `last_status`.

        `state` is active, inactive, all, or one of the seven states (`"running"`); `type` a mask.
        """
        mask, exact = _state_filter(state)
        with self._opened(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE) as scm:
            entries = self.calls.enum_services(scm, type, mask)
        return [
            Service(self, entry.name, entry)
            for entry in entries
            if exact is None or entry.status.state == exact
        ]

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services())

    def create(
        self,
        name: str,
        command: str | Sequence[str],
        *,
        start: str = "demand",
        depends: Sequence[str] = (),
        account: str = LOCAL_SYSTEM,
        password: str | None = None,
        display: str = "",
        description: str = "",
        type: int = ServiceType.WIN32_OWN_PROCESS,
        error_control: int = ErrorControl.NORMAL,
        group: str = "",
        failure_actions_flag: bool = False,
        restart_delay: int | None = None,
        parameters: Mapping[str, RegistryValue] | None = None,
    ) -> Service:
        """A program that speaks the control protocol as a service; `install` takes any other.

        `command` is an ImagePath, or the arguments of one. `start` is auto, delayed, demand or
        disabled. `restart_delay`: after a failure it is restarted, so many ms later. It is there
        with all that, or not at all.
        """
        if start not in START_WORDS:
            raise ValueError(f"start is one of {', '.join(START_WORDS)}, not {start!r}")
        record = ServiceConfig(
            name=name,
            display_name=display,
            type=type,
            start_type=START_WORDS[start],
            error_control=error_control,
            image_path=_image_path(command),
            load_order_group=group,
            dependencies=tuple(depends),
            account=account,
        )
        besides = Besides(
            description=description,
            delayed=start == "delayed",
            failure_actions_flag=failure_actions_flag,
            restart_delay=restart_delay,
            parameters=parameters or {},
        )
        creation.create(self.calls, record, password, besides)
        return Service(self, name)

    def install(
        self,
        name: str,
        command: str | Sequence[str],
        *,
        start: str = "demand",
        depends: Sequence[str] = (),
        account: str = LOCAL_SYSTEM,
        password: str | None = None,
        directory: str | None = None,
        environment: Mapping[str, str] | None = None,
        display: str = "",
        description: str = "",
        parameters: Mapping[str, str | int | bytes | Sequence[str] | RegistryValue] | None = None,
        restart_delay: int | None = None,
    ) -> Service:
        """Any unmodified program as a service, hosted by the srvany adaptor.

        The program is found on PATH now and recorded by its absolute path; a relative
        `directory` is made absolute too. The failure-actions flag is set. FileNotFoundError: no
        such program. `restart_delay`: after a failure it is restarted, so many ms later, and after
        quick failures (AppThrottle, 10 s) ever later. It is there with all that, or not at all.
        """
        from scmd.client.hosting import hosting_parameters
        from scmd.client.parameters import registry_value

        values = hosting_parameters(command, directory, environment, here=not self.is_remote)
        held_back = {} if restart_delay is None else {"AppThrottle": THROTTLE}
        given = {**values, **held_back, **(parameters or {})}
        return self.create(
            name,
            "srvany",
            start=start,
            depends=depends,
            account=account,
            password=password,
            display=display,
            description=description,
            failure_actions_flag=True,
            restart_delay=restart_delay,
            parameters={key: registry_value(value) for key, value in given.items()},
        )

    def status(self) -> dict[str, object]:
        """The manager itself: keeper_pid, manager_pid, version, uptime_ms, counts, end_points."""
        import json

        from scmd.client.management import manager_status

        document: dict[str, object] = json.loads(manager_status(self.calls))
        return document

    def _opened(self, access: int) -> Opened:
        """A context that gives a handle to the SCM with these rights."""
        return Opened(self.calls, self.calls.open_scm(access))


def connect(
    host: str | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    timeout: float | None = None,
) -> Scm:
    """Connect to this machine's SCM or a HOST's: `//name`, `//name:port`, `ssh://[user@]name`.

    `user` may be `DOMAIN\\name`; without one, the Kerberos ticket counts. On this machine and by
    ssh the caller is who logged in. `timeout`: seconds that each step of connecting, each send and
    each answer may take; None: 21 for the steps by network, else no limit. WinError: 1722 (no SCM
    can be reached there), 5 (the credentials are refused), 87 (no HOST, or credentials where none
    count).
    """
    if user is None and password is None:
        return Scm(open_calls(host, timeout), is_remote=host is not None)
    if host is None:
        text = "user and password are for another host"
        raise WinError(Error.INVALID_PARAMETER, "OpenSCManager", text)
    from scmd.client.credentials import Credentials

    credentials = Credentials(user=user or "", password=password)
    return Scm(open_calls(host, timeout, credentials=credentials), is_remote=True)


def _image_path(command: str | Sequence[str]) -> str:
    if isinstance(command, str):
        return command
    from scmd.vocabulary.command_line import join_command_line

    return join_command_line(list(command))


def _state_filter(state: str | ServiceState) -> tuple[StateMask, ServiceState | None]:
    if isinstance(state, str):
        if state in STATE_WORDS:
            return STATE_WORDS[state], None
        name = state.upper()
        if name not in ServiceState.__members__:
            raise ValueError(f"{state!r} is no state: active, inactive, all, running, stopped...")
        state = ServiceState[name]
    stopped = state == ServiceState.STOPPED
    return (StateMask.INACTIVE if stopped else StateMask.ACTIVE), state
