"""What SC.EXE prints, to the letter but for line ends: status, configuration, failures.

Texts come from vocabulary values and go out as one string; nothing here talks to an SCM.
Strings that services choose are escaped, since they may hold control characters.
"""

from __future__ import annotations

from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import (
    INFINITE,
    OWN_RESTART,
    ActionType,
    ControlsAccepted,
    ErrorControl,
    ServiceState,
    ServiceType,
    SidType,
    StartType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import IntEnum

    from scmd.vocabulary.configuration import FailureActions, ServiceConfig
    from scmd.vocabulary.status import ServiceStatus

_FLAG_COLUMN = " " * 32


def word(kind: type[IntEnum], value: int) -> str:
    """The winsvc.h word of a number without its prefix; ERROR for one that has none."""
    try:
        return kind(value).name
    except ValueError:
        return "ERROR"


def action_name(type_: int) -> str:
    """The winsvc.h word of an SC_ACTION_TYPE; the number when it has none."""
    if type_ == OWN_RESTART:
        return "OWN_RESTART"
    return ActionType(type_).name if type_ in ActionType._value2member_map_ else str(type_)


def type_words(type_: int) -> str:
    """`WIN32_OWN_PROCESS`, with `(interactive)` as SC appends it."""
    plain = type_ & ~int(ServiceType.INTERACTIVE_PROCESS)
    name = _type_name(plain)
    return f"{name} (interactive)" if type_ != plain else name


def _type_name(plain: int) -> str:
    if plain == ServiceType.WIN32:
        return "WIN32"
    return {
        0x001: "KERNEL_DRIVER",
        0x002: "FILE_SYSTEM_DRIVER",
        0x004: "ADAPTER",
        0x008: "RECOGNIZER_DRIVER",
        0x010: "WIN32_OWN_PROCESS",
        0x020: "WIN32_SHARE_PROCESS",
        0x050: "USER_OWN_PROCESS",
        0x060: "USER_SHARE_PROCESS",
    }.get(plain, "ERROR")


def line(label: str, value: str) -> str:
    return f"        {label:<19}: {value}\n"


def status_block(
    name: str, status: ServiceStatus, display_name: str | None = None, extended: bool = False
) -> str:
    """One block of query or queryex; a display name is printed when enumerating only."""
    head = f"\nSERVICE_NAME: {escaped(name)}"
    if display_name is None:
        head += " \n"
    else:
        head += f"\nDISPLAY_NAME: {escaped(display_name)}\n"
    text = head + line("TYPE", f"{status.type:x}  {_type_column(status.type)}  ")
    text += line("STATE", f"{status.state}  {word(ServiceState, status.state)} ")
    if status.state != ServiceState.STOPPED:
        text += f"{_FLAG_COLUMN}({_accepted_words(status.controls_accepted)})\n"
    win32, specific = status.win32_exit_code, status.service_specific_exit_code
    text += line("WIN32_EXIT_CODE", f"{win32}  (0x{win32:x})")
    text += line("SERVICE_EXIT_CODE", f"{specific}  (0x{specific:x})")
    text += line("CHECKPOINT", f"0x{status.check_point:x}")
    text += line("WAIT_HINT", f"0x{status.wait_hint:x}")
    if extended:
        text += line("PID", str(status.process_id))
        text += line("FLAGS", "RUNS_IN_SYSTEM_PROCESS" if status.service_flags & 1 else "")
    return text


def _type_column(type_: int) -> str:
    words = type_words(type_)
    return words.replace(" (interactive)", "  (interactive)")


def _accepted_words(accepted: int) -> str:
    if accepted & ControlsAccepted.PRESHUTDOWN:
        shutdown = "ACCEPTS_PRESHUTDOWN"
    elif accepted & ControlsAccepted.SHUTDOWN:
        shutdown = "ACCEPTS_SHUTDOWN"
    else:
        shutdown = "IGNORES_SHUTDOWN"
    stoppable = "STOPPABLE" if accepted & ControlsAccepted.STOP else "NOT_STOPPABLE"
    pausable = "PAUSABLE" if accepted & ControlsAccepted.PAUSE_CONTINUE else "NOT_PAUSABLE"
    return f"{stoppable}, {pausable}, {shutdown}"


def config_block(config: ServiceConfig) -> str:
    """The output of qc; `delayed_auto_start` shows after the start type."""
    start = f"{config.start_type}   {word(StartType, config.start_type)}"
    if config.delayed_auto_start:
        start += "  (DELAYED)"
    error = f"{config.error_control}   {word(ErrorControl, config.error_control)}"
    text = success("QueryServiceConfig") + f"\nSERVICE_NAME: {escaped(config.name)}\n"
    text += line("TYPE", f"{config.type:x}  {type_words(config.type)} ")
    text += line("START_TYPE", start)
    text += line("ERROR_CONTROL", error)
    text += line("BINARY_PATH_NAME", escaped(config.image_path))
    text += line("LOAD_ORDER_GROUP", escaped(config.load_order_group))
    text += line("TAG", str(config.tag))
    text += line("DISPLAY_NAME", escaped(config.display_name))
    text += line("DEPENDENCIES", escaped(config.dependencies[0]) if config.dependencies else "")
    for dependency in config.dependencies[1:]:
        text += f"{'':27}: {escaped(dependency)}\n"
    return text + line("SERVICE_START_NAME", escaped(config.account))


def config2_head(name: str) -> str:
    return success("QueryServiceConfig2") + f"\nSERVICE_NAME: {escaped(name)}\n"


def description_block(name: str, description: str) -> str:
    return config2_head(name) + f"DESCRIPTION:  {escaped(description)}\n"


def failure_block(name: str, failure: FailureActions) -> str:
    """The output of qfailure: actions below each other, none at all without actions."""
    reset = failure.reset_period_s
    text = config2_head(name)
    text += _wide("RESET_PERIOD (in seconds)", "INFINITE" if reset == INFINITE else str(reset))
    text += _wide("REBOOT_MESSAGE", escaped(failure.reboot_message))
    text += _wide("COMMAND_LINE", escaped(failure.command))
    label = "FAILURE_ACTIONS"
    for action in failure.actions:
        kind = "RUN PROCESS" if action.type == ActionType.RUN_COMMAND else action_name(action.type)
        value = f"{kind} -- Delay = {action.delay} milliseconds."
        text += _wide(label, value) if label else f"{'':39}{value}\n"
        label = ""
    return text


def _wide(label: str, value: str) -> str:
    return f"        {label:<29}: {value}\n"


def failure_flag_block(name: str, flag: bool) -> str:
    truth = "TRUE" if flag else "FALSE"
    return config2_head(name) + f"FAILURE_ACTIONS_ON_NONCRASH_FAILURES: {truth}\n"


def sid_type_block(name: str, sid_type: int) -> str:
    return config2_head(name) + f"SERVICE_SID_TYPE:  {word(SidType, sid_type)}\n"


def privileges_block(name: str, privileges: Iterable[str]) -> str:
    names = [escaped(privilege) for privilege in privileges] or [""]
    text = config2_head(name) + line("PRIVILEGES", names[0])
    return text + "".join(f"{'':27}: {more}\n" for more in names[1:])


def named(operation: str, name: str) -> str:
    """The output of GetDisplayName and GetKeyName."""
    return success(operation) + f"Name = {escaped(name)}\n"


def success(operation: str) -> str:
    return f"[SC] {operation} SUCCESS\n"


def failure(operation: str, error: int, text: str) -> str:
    return f"[SC] {operation} FAILED {error}:\n\n{text}\n\n"


def needs(operation: str, error: int, size: int) -> str:
    """What follows the failure of a query with too small a buffer; names count characters."""
    if error == Error.MORE_DATA:
        return f"[SC] {operation}: more data, need {size} bytes\n"
    unit = "characters" if operation.startswith("Get") else "bytes"
    return f"[SC] {operation} needs {size} {unit}\n"
