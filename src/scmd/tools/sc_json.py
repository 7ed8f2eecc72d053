"""What `--json` prints: one object, or a list of objects, with winsvc.h's members in snake_case.

States and types are words, as in SC's output; masks and codes are numbers.
"""

from __future__ import annotations

import json

from scmd.tools.sc_output import action_name, word
from scmd.vocabulary.service import (
    ErrorControl,
    ServiceState,
    ServiceType,
    SidType,
    StartType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scmd.vocabulary.configuration import FailureActions, ServiceConfig
    from scmd.vocabulary.status import ServiceStatus


def dump(document: object) -> str:
    """The document as indented JSON text with a final line end; characters stay readable."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def type_name(type_: int) -> str:
    """`WIN32_OWN_PROCESS`; several bits are joined by `|`."""
    plain = type_ & ~int(ServiceType.INTERACTIVE_PROCESS)
    bits = [bit for bit in (0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80, 0x200) if plain & bit]
    names = [ServiceType(bit).name or "" for bit in bits]
    if type_ != plain:
        names.append("INTERACTIVE_PROCESS")
    return "|".join(names) or str(type_)


def status_object(name: str, display_name: str, status: ServiceStatus) -> dict[str, object]:
    fields = status.as_dict()
    fields["type"] = type_name(status.type)
    fields["state"] = word(ServiceState, status.state)
    return {"service_name": name, "display_name": display_name, **fields}


def config_object(config: ServiceConfig) -> dict[str, object]:
    """QUERY_SERVICE_CONFIG's members, and the delayed flag that qc shows too."""
    return {
        "service_name": config.name,
        "service_type": type_name(config.type),
        "start_type": word(StartType, config.start_type),
        "delayed_autostart": config.delayed_auto_start,
        "error_control": word(ErrorControl, config.error_control),
        "binary_path_name": config.image_path,
        "load_order_group": config.load_order_group,
        "tag_id": config.tag,
        "dependencies": list(config.dependencies),
        "service_start_name": config.account,
        "display_name": config.display_name,
    }


def failure_object(name: str, failure: FailureActions) -> dict[str, object]:
    """SERVICE_FAILURE_ACTIONS; the reset period in seconds, delays in milliseconds."""
    return {
        "service_name": name,
        "reset_period": failure.reset_period_s,
        "reboot_msg": failure.reboot_message,
        "command": failure.command,
        "actions": [
            {"type": action_name(action.type), "delay": action.delay} for action in failure.actions
        ],
    }


def sid_type_object(name: str, sid_type: int) -> dict[str, object]:
    return {"service_name": name, "service_sid_type": word(SidType, sid_type)}
