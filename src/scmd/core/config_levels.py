"""ChangeServiceConfig2: what each level's value changes in a configuration.

[MS-SCMR] 3.1.4.35. Saving is `database`'s.
"""

from __future__ import annotations

from typing import TypeVar

from scmd.core import validation
from scmd.core.messages.commands import Config2Value, FailureActionsChange
from scmd.security.token import Token
from scmd.vocabulary.configuration import FailureActions, ServiceConfig, Trigger
from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import ConfigLevel, ServiceType

T = TypeVar("T")


def changed_by_level(
    config: ServiceConfig, level: ConfigLevel, value: Config2Value, granted: int, token: Token
) -> ServiceConfig:
    """The configuration after the change; None as value keeps, but at level 9 deletes.

    Raises Refused: 87 for illegal values, 5 for failure actions beyond the caller's
    rights, 1080 for a driver's, 124 for an unknown level.
    """
    if level == ConfigLevel.PREFERRED_NODE:
        return _preferred_node(config, value)
    if value is None:
        return config
    match level:
        case ConfigLevel.DESCRIPTION:
            validation.check_description(_text(value))
            return config.replace(description=value)
        case ConfigLevel.FAILURE_ACTIONS:
            return _failure_actions(config, value, granted, token)
        case ConfigLevel.DELAYED_AUTO_START_INFO:
            if value and config.load_order_group:
                raise Refused(Error.INVALID_PARAMETER, "a member of a group cannot start delayed")
            return config.replace(delayed_auto_start=bool(value))
        case ConfigLevel.FAILURE_ACTIONS_FLAG:
            return config.replace(failure_actions_flag=bool(value))
        case ConfigLevel.SERVICE_SID_INFO:
            validation.check_sid_type(_number(value))
            return config.replace(sid_type=value)
        case ConfigLevel.REQUIRED_PRIVILEGES_INFO:
            privileges = _all(str, value)
            validation.check_privileges(privileges)
            return config.replace(required_privileges=privileges)
        case ConfigLevel.PRESHUTDOWN_INFO:
            return config.replace(preshutdown_timeout=_number(value))
        case ConfigLevel.TRIGGER_INFO:
            triggers = _all(Trigger, value)
            validation.check_triggers(triggers)
            return config.replace(triggers=triggers)
        case ConfigLevel.RUNLEVEL_INFO:
            return config.replace(run_level=_number(value))
        case ConfigLevel.MANAGED_ACCOUNT_INFO:
            return config.replace(managed_account=bool(value))
        case ConfigLevel.LAUNCH_PROTECTED:
            validation.check_protection(_number(value))
            return config.replace(launch_protected=value)
    raise Refused(Error.INVALID_LEVEL)


def _text(value: Config2Value) -> str:
    if not isinstance(value, str):
        raise Refused(Error.INVALID_PARAMETER)
    return value


def _number(value: Config2Value) -> int:
    if not isinstance(value, int) or not 0 <= value <= 0xFFFFFFFF:
        raise Refused(Error.INVALID_PARAMETER)
    return value


def _all(kind: type[T], value: Config2Value) -> tuple[T, ...]:
    if not isinstance(value, tuple):
        raise Refused(Error.INVALID_PARAMETER)
    items = tuple(item for item in value if isinstance(item, kind))
    if len(items) != len(value):
        raise Refused(Error.INVALID_PARAMETER)
    return items


def _failure_actions(
    config: ServiceConfig, change: Config2Value, granted: int, token: Token
) -> ServiceConfig:
    if not isinstance(change, FailureActionsChange):
        raise Refused(Error.INVALID_PARAMETER)
    if not config.type & ServiceType.WIN32:
        raise Refused(Error.CANNOT_DETECT_DRIVER_FAILURE)
    validation.check_failure_actions(change, granted, token)
    old = config.failure_actions
    reset, actions = old.reset_period_s, old.actions
    if change.actions is not None:
        actions = change.actions
        reset = change.reset_period_s if actions else 0
    message, command = change.reboot_message, change.command
    new = FailureActions(
        reset_period_s=reset,
        reboot_message=old.reboot_message if message is None else message,
        command=old.command if command is None else command,
        actions=actions,
    )
    return config.replace(failure_actions=new)


def _preferred_node(config: ServiceConfig, value: Config2Value) -> ServiceConfig:
    if value is None:
        return config.replace(preferred_node=None)
    if config.type & ~int(ServiceType.INTERACTIVE_PROCESS) != ServiceType.WIN32_OWN_PROCESS:
        raise Refused(Error.INVALID_PARAMETER, "a preferred node needs a process of its own")
    node = _number(value)
    if node > 0xFFFF:
        raise Refused(Error.INVALID_PARAMETER)
    return config.replace(preferred_node=node)
