"""What callers ask of the SCM: each command is owed exactly one `Reply`, at once or later."""

from __future__ import annotations

from collections.abc import Mapping

from scmd.core.frozen import frozen
from scmd.core.messages import Call, HandleId, ServiceId
from scmd.vocabulary.configuration import FailureAction, ServiceConfig, Trigger
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ConfigLevel
from scmd.vocabulary.status import ServiceStatus


@frozen
class Command:
    call: Call


@frozen
class OpenScm(Command):
    """Result: HandleId. [MS-SCMR] 3.1.4.15."""

    database: str | None
    desired_access: int


@frozen
class OpenService(Command):
    """Result: HandleId. [MS-SCMR] 3.1.4.16."""

    scm: HandleId
    name: str
    desired_access: int


@frozen
class CloseHandle(Command):
    """Result: None. [MS-SCMR] 3.1.4.1."""

    handle: HandleId


@frozen
class CreateService(Command):
    """Result: (HandleId, tag). [MS-SCMR] 3.1.4.12. `config.display_name` "" means the key name."""

    scm: HandleId
    config: ServiceConfig
    desired_access: int
    assign_tag: bool = False
    account_unknown: bool = False
    """The host knows nobody by the name of `config.account`: error 1057."""


@frozen
class DeleteService(Command):
    service: HandleId


@frozen
class ChangeConfig(Command):
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


@frozen
class FailureActionsChange:
    """What level 2 changes: None keeps. Actions None keeps the actions and the reset period."""

    reset_period_s: int
    reboot_message: str | None
    command: str | None
    actions: tuple[FailureAction, ...] | None


Config2Value = (
    str | bool | int | tuple[str, ...] | tuple[Trigger, ...] | FailureActionsChange | None
)


@frozen
class ChangeConfig2(Command):
    """[MS-SCMR] 3.1.4.35. The value by level: 1 str; 2 FailureActionsChange; 3, 4, 11 bool; 5, 7,
    10, 12 int; 6 tuple of str; 8 tuple of Trigger; 9 int or None to delete. A None at another level
    keeps."""

    service: HandleId
    level: ConfigLevel
    value: Config2Value


@frozen
class QueryConfig(Command):
    """Result: ServiceConfig, for QueryServiceConfig and every QueryServiceConfig2 level."""

    service: HandleId


@frozen
class QueryStatus(Command):
    """Result: ServiceStatus with process id and flags."""

    service: HandleId


@frozen
class QueryRecovery(Command):
    """Result: `recovery.Preview`. Needs SERVICE_QUERY_STATUS."""

    service: HandleId


@frozen
class EnumServices(Command):
    """Result: tuple of ServiceEntry with numbers above `after`, ascending. [MS-SCMR] 3.1.4.14, 42.

    `group`: None all; "" services without a group; else members (1060 if unknown).
    """

    scm: HandleId
    type_mask: int
    state_mask: int
    group: str | None = None
    after: int = 0


@frozen
class EnumDependents(Command):
    """Result: tuple of ServiceEntry in the order in which to stop them. [MS-SCMR] 3.1.4.13."""

    service: HandleId
    state_mask: int


@frozen
class StartService(Command):
    """Result: ServiceStatus. Replied when ServiceMain's thread exists. [MS-SCMR] 3.1.4.19."""

    service: HandleId
    arguments: tuple[str, ...] = ()
    """What follows argv[0], the service name."""


@frozen
class ControlService(Command):
    """Result: ServiceStatus, given with the errors 1051, 1052, 1061 and 1062 too. 3.1.4.2, 51."""

    service: HandleId
    control: int
    reason: int = 0
    comment: str | None = None
    is_extended: bool = False
    """By RControlServiceEx: INTERROGATE of a START_PENDING service gets what is known. 3.1.4.47."""


@frozen
class SetStatus(Command):
    """A status report by whoever holds a handle with SERVICE_SET_STATUS. Result: None. 3.1.4.8.

    6: no such right, or the service runs in no process that speaks for it; 13: illegal values.
    """

    service: HandleId
    status: ServiceStatus


@frozen
class GetDisplayName(Command):
    """Result: str."""

    scm: HandleId
    name: str


@frozen
class GetKeyName(Command):
    """Result: str."""

    scm: HandleId
    display_name: str


@frozen
class QueryParameters(Command):
    """Result: Parameters. Needs SERVICE_QUERY_CONFIG."""

    service: HandleId


@frozen
class SetParameters(Command):
    """All of the values or none; None deletes a value. Needs SERVICE_CHANGE_CONFIG.

    A value that is refused for what it is: error 87, result a text that names it and says what
    was expected.
    """

    service: HandleId
    values: Mapping[str, RegistryValue | None]


@frozen
class PrepareService(Command):
    """What the next CreateService on this SCM handle is to make besides, in one step with it.

    `values` are its Parameters, checked now for a service with this image path, as by
    SetParameters; `changes` are levels and values of ChangeConfig2, checked when it is created.
    Needs SC_MANAGER_CREATE_SERVICE.
    """

    scm: HandleId
    image_path: str
    values: Mapping[str, RegistryValue]
    changes: tuple[tuple[ConfigLevel, Config2Value], ...]


@frozen
class IdentifyService(Command):
    """Result: ServiceId, if the handle was granted all of `access`; else error 5."""

    service: HandleId
    access: int


@frozen
class CheckScmHandle(Command):
    """Result: None, if the SCM handle was granted all of `access`; else error 5."""

    scm: HandleId
    access: int


@frozen
class QuerySettings(Command):
    """Result: the `Settings`. Needs SC_MANAGER_ENUMERATE_SERVICE."""

    scm: HandleId


@frozen
class SetSettings(Command):
    """SCM-wide values, all of them or none; None deletes one. Needs SC_MANAGER_ALL_ACCESS.

    What is refused is error 87, with a text as for SetParameters.
    """

    scm: HandleId
    values: Mapping[str, RegistryValue | None]


@frozen
class QueryBoot(Command):
    """Result: a list of BootEntry, of records above `after`. Needs ENUMERATE_SERVICE."""

    scm: HandleId
    after: int


@frozen
class BootEntry:
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


@frozen
class ExplainService(Command):
    """Result: `why.Explanation`. Needs SERVICE_QUERY_STATUS."""

    service: HandleId


@frozen
class KillService(Command):
    """Kill the process tree the service runs in, or break its start off. Result: None.

    Answered when the order is given; STOPPED follows. 1062 when there is nothing to kill.
    Needs SERVICE_STOP.
    """

    service: HandleId


@frozen
class ServiceEntry:
    """One line of an enumeration. `id` is the resume index."""

    id: ServiceId
    name: str
    display_name: str
    status: ServiceStatus
