"""Which configurations are legal, whatever else is in the database.

Every check raises `Refused` with the documented error and changes nothing. What depends on
other records (names taken, cycles) is `database`'s.
"""

from __future__ import annotations

from scmd.core import identities
from scmd.core.dependencies import group_of, is_group
from scmd.core.messages import Settings
from scmd.core.messages.commands import FailureActionsChange
from scmd.core.records import ServiceRecord
from scmd.security.descriptor import DescriptorError, SecurityDescriptor
from scmd.security.token import SE_SHUTDOWN, Token
from scmd.vocabulary.configuration import LOCAL_SYSTEM, ServiceConfig, Trigger
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.names import check_service_name, check_text, name_key, utf16_units
from scmd.vocabulary.service import (
    MAX_ACCOUNT_UNITS,
    MAX_ACTIONS,
    MAX_DEPENDENCIES_BYTES,
    MAX_DESCRIPTION_UNITS,
    MAX_NAME_UNITS,
    MAX_PATH_UNITS,
    MAX_PRIVILEGES_BYTES,
    ActionType,
    ErrorControl,
    Protection,
    ServiceAccess,
    ServiceType,
    SidType,
    StartType,
)
from scmd.vocabulary.triggers import (
    MAX_TRIGGER_DATA,
    TRIGGER_DATA_SIZES,
    TriggerAction,
    TriggerData,
    TriggerType,
)

_PROTECTIONS = frozenset(Protection)
_TRIGGER_TYPES = frozenset(TriggerType)
_TRIGGER_ACTIONS = frozenset(TriggerAction)
_TRIGGER_DATA = frozenset(TriggerData)
_OWN = int(ServiceType.WIN32_OWN_PROCESS)
_SHARE = int(ServiceType.WIN32_SHARE_PROCESS)
_INTERACTIVE = int(ServiceType.INTERACTIVE_PROCESS)

DRIVER_TYPES = frozenset({int(ServiceType.KERNEL_DRIVER), int(ServiceType.FILE_SYSTEM_DRIVER)})
WIN32_TYPES = frozenset({_OWN, _SHARE, _OWN | _INTERACTIVE, _SHARE | _INTERACTIVE})
"""dwServiceType of [MS-SCMR] 3.1.4.12; user services are not offered."""

MAX_TRIGGERS = 64

_SYSTEM_NAMES = frozenset(
    name_key(name)
    for name in (
        LOCAL_SYSTEM,
        ".\\LocalSystem",
        "NT AUTHORITY\\SYSTEM",
        "NT AUTHORITY\\LocalSystem",
    )
)


def is_local_system(account: str) -> bool:
    return name_key(account) in _SYSTEM_NAMES


def check_config(config: ServiceConfig, settings: Settings) -> None:
    """Refuse illegal values: 87 throughout, 123 for the display name, 1057 for the account."""
    check_text(config.display_name, MAX_NAME_UNITS)
    check_text(config.image_path, MAX_PATH_UNITS, Error.INVALID_PARAMETER)
    if not config.image_path:
        raise Refused(Error.INVALID_PARAMETER, "the image path is empty")
    check_types(config)
    check_text(config.load_order_group, MAX_NAME_UNITS, Error.INVALID_PARAMETER)
    if any(character in "/\\" for character in config.load_order_group):
        raise Refused(Error.INVALID_PARAMETER, "a group name has no / and no \\")
    if config.load_order_group and config.delayed_auto_start:
        raise Refused(Error.INVALID_PARAMETER, "a member of a group cannot start delayed")
    check_dependencies(config.dependencies)
    check_account(config.account, settings)
    identities.check_virtual(config)


def check_types(config: ServiceConfig) -> None:
    """Type, start type and error control, and how they must fit each other."""
    driver = config.type in DRIVER_TYPES
    if not driver and config.type not in WIN32_TYPES:
        raise Refused(Error.INVALID_PARAMETER, f"service type {config.type:#x}")
    if not StartType.BOOT_START <= config.start_type <= StartType.DISABLED:
        raise Refused(Error.INVALID_PARAMETER, f"start type {config.start_type}")
    if config.start_type <= StartType.SYSTEM_START and not driver:
        raise Refused(Error.INVALID_PARAMETER, "only a driver starts at boot or system start")
    if not ErrorControl.IGNORE <= config.error_control <= ErrorControl.CRITICAL:
        raise Refused(Error.INVALID_PARAMETER, f"error control {config.error_control}")
    if config.type & _INTERACTIVE and not is_local_system(config.account):
        raise Refused(Error.INVALID_PARAMETER, "only LocalSystem services are interactive")
    if config.preferred_node is not None and config.type & ~_INTERACTIVE != _OWN:
        raise Refused(Error.INVALID_PARAMETER, "a preferred node needs a process of its own")


def check_dependencies(dependencies: tuple[str, ...]) -> None:
    """Refuse with 87 what is not a name of a service or `+` and the name of a group."""
    size = sum(2 * utf16_units(name) + 2 for name in dependencies) + 2
    if size > MAX_DEPENDENCIES_BYTES:
        raise Refused(Error.INVALID_PARAMETER, f"dependencies take {size} bytes")
    for dependency in dependencies:
        name = group_of(dependency) if is_group(dependency) else dependency
        try:
            check_service_name(name)
        except Refused:
            raise Refused(Error.INVALID_PARAMETER, f"dependency {dependency!r}") from None


def check_account(account: str, settings: Settings) -> None:
    """Refuse with 1057 what cannot be an account; whether one exists is the host's to say."""
    check_text(account, MAX_ACCOUNT_UNITS, Error.INVALID_SERVICE_ACCOUNT)
    if is_local_system(account):
        return
    if not account.strip() or settings.single_user:
        raise Refused(Error.INVALID_SERVICE_ACCOUNT, account)


def check_not_built_in(record: ServiceRecord) -> None:
    """Refuse with 5, as for what only the system itself may change."""
    if record.is_built_in:
        raise Refused(Error.ACCESS_DENIED, f"{record.config.name} is part of the SCM itself")


def check_description(description: str) -> None:
    check_text(description, MAX_DESCRIPTION_UNITS, Error.INVALID_PARAMETER)


def check_sid_type(value: int) -> None:
    if value not in (SidType.NONE, SidType.UNRESTRICTED, SidType.RESTRICTED):
        raise Refused(Error.INVALID_PARAMETER, f"SID type {value}")


def check_privileges(names: tuple[str, ...]) -> None:
    for name in names:
        check_text(name, 0, Error.INVALID_PARAMETER)
    size = sum(2 * utf16_units(name) + 2 for name in names) + 2
    if size > MAX_PRIVILEGES_BYTES or not all(names):
        raise Refused(Error.INVALID_PARAMETER, "required privileges")


def check_protection(value: int) -> None:
    if value not in _PROTECTIONS:
        raise Refused(Error.INVALID_PARAMETER, f"launch protection {value}")


def check_triggers(triggers: tuple[Trigger, ...]) -> None:
    """[MS-SCMR] 2.2.52 and 2.2.53: known types, actions and data of the size its type has."""
    if len(triggers) > MAX_TRIGGERS:
        raise Refused(Error.INVALID_PARAMETER, f"{len(triggers)} triggers")
    for trigger in triggers:
        if len(trigger.subtype) != 16 or len(trigger.items) > MAX_TRIGGERS:
            raise Refused(Error.INVALID_PARAMETER, "trigger")
        if trigger.type not in _TRIGGER_TYPES or trigger.action not in _TRIGGER_ACTIONS:
            raise Refused(Error.INVALID_PARAMETER, f"trigger {trigger.type}, {trigger.action}")
        for item in trigger.items:
            size = len(item.data)
            wanted = TRIGGER_DATA_SIZES.get(item.type, size)
            if item.type not in _TRIGGER_DATA or size != wanted or size > MAX_TRIGGER_DATA:
                raise Refused(Error.INVALID_PARAMETER, f"trigger data {item.type}, {size} bytes")


def check_failure_actions(change: FailureActionsChange, granted: int, token: Token) -> None:
    """[MS-SCMR] 3.1.4.35: RESTART needs the right to start, REBOOT the privilege to shut down."""
    check_text(change.reboot_message or "", 0, Error.INVALID_PARAMETER)
    check_text(change.command or "", 0, Error.INVALID_PARAMETER)
    actions = change.actions or ()
    if len(actions) > MAX_ACTIONS:
        raise Refused(Error.INVALID_PARAMETER, f"{len(actions)} failure actions")
    types = {int(action.type) for action in actions}
    if not all(ActionType.NONE <= type <= ActionType.RUN_COMMAND for type in types):
        raise Refused(Error.INVALID_PARAMETER, "failure action type")
    if ActionType.RESTART in types and not granted & ServiceAccess.START:
        raise Refused(Error.ACCESS_DENIED, "a restart action needs SERVICE_START")
    if ActionType.REBOOT in types and SE_SHUTDOWN not in token.privileges:
        raise Refused(Error.ACCESS_DENIED, "a reboot action needs SeShutdownPrivilege")


def check_security(security: bytes | None) -> None:
    """Refuse with 1338 bytes that are not a self-relative security descriptor."""
    if security is None:
        return
    try:
        SecurityDescriptor.from_bytes(security)
    except DescriptorError:
        raise Refused(Error.INVALID_SECURITY_DESCR) from None
