"""What the database says about a service: QUERY_SERVICE_CONFIG and the Config2 levels."""

from __future__ import annotations

from scmd.vocabulary.service import (
    ErrorControl,
    Protection,
    ServiceType,
    SidType,
    StartType,
)
from scmd.vocabulary.value import Value

LOCAL_SYSTEM = "LocalSystem"


class FailureAction(Value):
    """SC_ACTION, [MS-SCMR] 2.2.19."""

    type: int
    """An ActionType; from another server OWN_RESTART too, or a number without a name."""
    delay: int
    """Milliseconds before the action."""


class FailureActions(Value):
    """SERVICE_FAILURE_ACTIONS, [MS-SCMR] 2.2.39 and 2.2.40."""

    reset_period_s: int = 0
    """Seconds without a failure that set the count to 0; INFINITE: never."""
    reboot_message: str = ""
    command: str = ""
    actions: tuple[FailureAction, ...] = ()


class TriggerItem(Value):
    """SERVICE_TRIGGER_SPECIFIC_DATA_ITEM, [MS-SCMR] 2.2.52."""

    type: int
    data: bytes


class Trigger(Value):
    """SERVICE_TRIGGER, [MS-SCMR] 2.2.53."""

    type: int
    action: int
    subtype: bytes
    """The GUID's 16 bytes as on the wire (little endian)."""
    items: tuple[TriggerItem, ...] = ()


class ServiceConfig(Value):
    """A service record as configured; every field is stored, none is live."""

    name: str
    """Key name, with the case it was created with."""
    display_name: str = ""
    """Never empty in the database: defaults to the key name at creation."""
    type: int = ServiceType.WIN32_OWN_PROCESS
    start_type: int = StartType.DEMAND_START
    error_control: int = ErrorControl.NORMAL
    image_path: str = ""
    """A command line, quoted as `scmd.vocabulary.command_line` says."""
    load_order_group: str = ""
    tag: int = 0
    dependencies: tuple[str, ...] = ()
    """Service names; a `+` prefix names a load-order group."""
    account: str = LOCAL_SYSTEM
    description: str = ""
    failure_actions: FailureActions = FailureActions()
    failure_actions_flag: bool = False
    delayed_auto_start: bool = False
    sid_type: int = SidType.NONE
    required_privileges: tuple[str, ...] = ()
    own_id: int = 0
    """On Linux: its uid and gid, if it has a virtual account or a SID; 0: none so far."""
    preshutdown_timeout: int = 10_000
    """Milliseconds."""
    preferred_node: int | None = None
    triggers: tuple[Trigger, ...] = ()
    run_level: int = 0
    """Level 10, of Windows 8 only; a record."""
    managed_account: bool = False
    launch_protected: int = Protection.NONE
    security: bytes | None = None
    """Self-relative security descriptor; None: the documented default."""
