"""What callers ask of the SCM: each command is owed exactly one `Reply`, at once or later."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from scmd.core.messages import Call, HandleId, ServiceId
from scmd.vocabulary.configuration import FailureAction, ServiceConfig, Trigger
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel
from scmd.vocabulary.status import ServiceStatus


class Command(Struct, frozen=True):
    call: Call


class OpenScm(Command, frozen=True):
    """Result: HandleId. [MS-SCMR] 3.1.4.15."""

    database: str | None
    desired_access: int


class OpenService(Command, frozen=True):
    """Result: HandleId. [MS-SCMR] 3.1.4.16."""

    scm: HandleId
    name: str
    desired_access: int


class CloseHandle(Command, frozen=True):
    """Result: None. [MS-SCMR] 3.1.4.1."""

    handle: HandleId


class CreateService(Command, frozen=True):
    """Result: (HandleId, tag). [MS-SCMR] 3.1.4.12. `config.display_name` "" means the key name."""

    scm: HandleId
    config: ServiceConfig
    desired_access: int
    assign_tag: bool = False
    account_unknown: bool = False
    """The host knows nobody by the name of `config.account`: error 1057."""


class DeleteService(Command, frozen=True):
    service: HandleId


class ChangeConfig(Command, frozen=True):
    """Result: the tag. None keeps a value. [MS-SCMR] 3.1.4.11."""

    service: HandleId
    type: int | None = None
    start_type: int | None = None
    error_control: int | None = None
    image_path: str | None = None
    load_order_group: str | None = None
    assign_tag: bool = False
    dependencies: tuple[str, ...] | None = None
    account: str | None = None
    display_name: str | None = None
    account_unknown: bool = False
    """The host knows nobody by the name of `account`: error 1057."""


class FailureActionsChange(Struct, frozen=True):
    """What level 2 changes: None keeps. Actions None keeps the actions and the reset period."""

    reset_period_s: int
    reboot_message: str | None
    command: str | None
    actions: tuple[FailureAction, ...] | None


Config2Value = (
    str | bool | int | tuple[str, ...] | tuple[Trigger, ...] | FailureActionsChange | None
)


class ChangeConfig2(Command, frozen=True):
    """[MS-SCMR] 3.1.4.35. The value by level: 1 str; 2 FailureActionsChange; 3, 4, 11 bool; 5, 7,
    10, 12 int; 6 tuple of str; 8 tuple of Trigger; 9 int or None to delete. A None at another level
    keeps."""

    service: HandleId
    level: ConfigLevel
    value: Config2Value


class QueryConfig(Command, frozen=True):
    """Result: ServiceConfig, for QueryServiceConfig and every QueryServiceConfig2 level."""

    service: HandleId


class QueryStatus(Command, frozen=True):
    """Result: ServiceStatus with process id and flags."""

    service: HandleId


class QueryRecovery(Command, frozen=True):
    """Result: `recovery.Preview`. Needs SERVICE_QUERY_STATUS."""

    service: HandleId


class EnumServices(Command, frozen=True):
    """Result: tuple of ServiceEntry with numbers above `after`, ascending. [MS-SCMR] 3.1.4.14, 42.

    `group`: None all; "" services without a group; else members (1060 if unknown).
    """

    scm: HandleId
    type_mask: int
    state_mask: int
    group: str | None = None
    after: int = 0


class EnumDependents(Command, frozen=True):
    """Result: tuple of ServiceEntry in the order in which to stop them. [MS-SCMR] 3.1.4.13."""

    service: HandleId
    state_mask: int


class StartService(Command, frozen=True):
    """Result: ServiceStatus. Replied when ServiceMain's thread exists. [MS-SCMR] 3.1.4.19."""

    service: HandleId
    arguments: tuple[str, ...] = ()
    """What follows argv[0], the service name."""


class ControlService(Command, frozen=True):
    """Result: ServiceStatus, given with the errors 1051, 1052, 1061 and 1062 too. 3.1.4.2, 51."""

    service: HandleId
    control: int
    reason: int = 0
    comment: str | None = None
    is_extended: bool = False
    """By RControlServiceEx: INTERROGATE of a START_PENDING service gets what is known. 3.1.4.47."""


class SetStatus(Command, frozen=True):
    """A status report by whoever holds a handle with SERVICE_SET_STATUS. Result: None. 3.1.4.8.

    6: no such right, or the service runs in no process that speaks for it; 13: illegal values.
    """

    service: HandleId
    status: ServiceStatus


class GetDisplayName(Command, frozen=True):
    """Result: str."""

    scm: HandleId
    name: str


class GetKeyName(Command, frozen=True):
    """Result: str."""

    scm: HandleId
    display_name: str


class QueryParameters(Command, frozen=True):
    """Result: Parameters. Needs SERVICE_QUERY_CONFIG."""

    service: HandleId


class SetParameters(Command, frozen=True):
    """All of the values or none; None deletes a value. Needs SERVICE_CHANGE_CONFIG.

    A value that is refused for what it is: error 87, result a text that names it and says what
    was expected.
    """

    service: HandleId
    values: Mapping[str, RegistryValue | None]


class PrepareService(Command, frozen=True):
    """What the next CreateService on this SCM handle is to make besides, in one step with it.

    `values` are its Parameters, checked now for a service with this image path, as by
    SetParameters; `changes` are levels and values of ChangeConfig2, checked when it is created.
    Needs SC_MANAGER_CREATE_SERVICE.
    """

    scm: HandleId
    image_path: str
    values: Mapping[str, RegistryValue]
    changes: tuple[tuple[ConfigLevel, Config2Value], ...]


class IdentifyService(Command, frozen=True):
    """Result: ServiceId, if the handle was granted all of `access`; else error 5."""

    service: HandleId
    access: int


class CheckScmHandle(Command, frozen=True):
    """Result: None, if the SCM handle was granted all of `access`; else error 5."""

    scm: HandleId
    access: int


class QuerySettings(Command, frozen=True):
    """Result: the `Settings`. Needs SC_MANAGER_ENUMERATE_SERVICE."""

    scm: HandleId


class SetSettings(Command, frozen=True):
    """SCM-wide values, all of them or none; None deletes one. Needs SC_MANAGER_ALL_ACCESS.

    What is refused is error 87, with a text as for SetParameters.
    """

    scm: HandleId
    values: Mapping[str, RegistryValue | None]


class QueryBoot(Command, frozen=True):
    """Result: a list of BootEntry, of records above `after`. Needs ENUMERATE_SERVICE."""

    scm: HandleId
    after: int


class BootEntry(Struct, frozen=True):
    """How one service's start went when the SCM began; see `boot`. Milliseconds since then."""

    id: ServiceId
    name: str
    group: str
    dependencies: tuple[str, ...]
    delayed: bool
    asked: int
    begun: int | None
    ended: int | None
    error: int
    """0: it was RUNNING at `ended`."""


class ExplainService(Command, frozen=True):
    """Result: `why.Explanation`. Needs SERVICE_QUERY_STATUS."""

    service: HandleId


class KillService(Command, frozen=True):
    """Kill the process tree the service runs in, or break its start off. Result: None.

    Answered when the order is given; STOPPED follows. 1062 when there is nothing to kill.
    Needs SERVICE_STOP.
    """

    service: HandleId


class ServiceEntry(Struct, frozen=True):
    """One line of an enumeration. `id` is the resume index."""

    id: ServiceId
    name: str
    display_name: str
    status: ServiceStatus
