"""sc create, config, delete and the commands that change one part of a configuration."""

from __future__ import annotations

from scmd.client import configuration
from scmd.tools.sc_grammar import (
    TYPES,
    UsageError,
    chosen,
    last,
    no_more,
    number,
    parse_options,
)
from scmd.tools.sc_output import success
from scmd.tools.sc_request import opened
from scmd.vocabulary.configuration import LOCAL_SYSTEM, FailureAction, ServiceConfig
from scmd.vocabulary.service import (
    INFINITE,
    ActionType,
    ConfigLevel,
    ErrorControl,
    ScmAccess,
    ServiceAccess,
    ServiceType,
    SidType,
    StartType,
)
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.tools.sc_request import Request

OPTIONS = (
    "type",
    "start",
    "error",
    "binpath",
    "group",
    "tag",
    "depend",
    "obj",
    "displayname",
    "password",
)
FAILURE_OPTIONS = ("reset", "reboot", "command", "actions")
_TYPES = TYPES | {
    "userown": ServiceType.USER_SERVICE | ServiceType.WIN32_OWN_PROCESS,
    "usershare": ServiceType.USER_SERVICE | ServiceType.WIN32_SHARE_PROCESS,
}
_STARTS = {
    "boot": StartType.BOOT_START,
    "system": StartType.SYSTEM_START,
    "auto": StartType.AUTO_START,
    "demand": StartType.DEMAND_START,
    "disabled": StartType.DISABLED,
    "delayed-auto": StartType.AUTO_START,
}
_ERRORS = {
    "ignore": ErrorControl.IGNORE,
    "normal": ErrorControl.NORMAL,
    "severe": ErrorControl.SEVERE,
    "critical": ErrorControl.CRITICAL,
}
_YES_NO = {"yes": True, "no": False}
_ACTIONS = {
    "": ActionType.NONE,
    "restart": ActionType.RESTART,
    "reboot": ActionType.REBOOT,
    "run": ActionType.RUN_COMMAND,
}
_SID_TYPES = {
    "none": SidType.NONE,
    "unrestricted": SidType.UNRESTRICTED,
    "restricted": SidType.RESTRICTED,
}


class _Changes:
    """The options of create and config as values; None where an option is absent."""

    def __init__(self, arguments: list[str]) -> None:
        options = parse_options(arguments, OPTIONS)
        self.type: int | None = None
        for word in options.get("type", []):
            self.type = (self.type or 0) | chosen(_TYPES, word, "type=")
        if self.type == ServiceType.INTERACTIVE_PROCESS:
            raise UsageError("ERROR:  type= interact needs type= own or type= share too")
        start = last(options, "start")
        self.start = None if start is None else chosen(_STARTS, start, "start=")
        self.delayed = None if start is None else start.lower() == "delayed-auto"
        error = last(options, "error")
        self.error = None if error is None else chosen(_ERRORS, error, "error=")
        tag = last(options, "tag")
        self.tag = tag is not None and bool(chosen(_YES_NO, tag, "tag="))
        depend = last(options, "depend")
        self.depend = None if depend is None else tuple(filter(None, depend.split("/")))
        self.image_path = last(options, "binpath")
        self.group = last(options, "group")
        self.account = last(options, "obj")
        self.password = last(options, "password")
        self.display_name = last(options, "displayname")


def create(calls: Calls, request: Request) -> None:
    """CreateService; what an option does not say has SC's default (demand, normal, own)."""
    name = request.name()
    changes = _Changes(request.arguments[1:])
    if changes.image_path is None:
        raise UsageError("ERROR:  binPath= is needed")
    config = ServiceConfig(
        name=name,
        display_name=changes.display_name or "",
        type=ServiceType.WIN32_OWN_PROCESS if changes.type is None else changes.type,
        start_type=StartType.DEMAND_START if changes.start is None else changes.start,
        error_control=ErrorControl.NORMAL if changes.error is None else changes.error,
        image_path=changes.image_path,
        load_order_group=changes.group or "",
        dependencies=changes.depend or (),
        account=changes.account or LOCAL_SYSTEM,
    )
    scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.CREATE_SERVICE)
    access = ServiceAccess.ALL_ACCESS
    service, _ = configuration.create_service(
        calls, scm, config, access, changes.password, changes.tag
    )
    if changes.delayed:
        _make_delayed(calls, service)
    request.write(success("CreateService"))


def _make_delayed(calls: Calls, service: ContextHandle) -> None:
    """A new service that cannot be delayed, for its group, is not to stay half made."""
    try:
        configuration.change_config2(calls, service, ConfigLevel.DELAYED_AUTO_START_INFO, True)
    except WinError:
        configuration.delete_service(calls, service)
        raise


def config(calls: Calls, request: Request) -> None:
    """ChangeServiceConfig; a new start type sets or clears the delayed flag with it."""
    request.name()
    changes = _Changes(request.arguments[1:])
    if len(request.arguments) == 1:
        raise UsageError("")
    access = ServiceAccess.CHANGE_CONFIG | (
        0 if changes.delayed is None else ServiceAccess.QUERY_CONFIG
    )
    service = opened(calls, request, access)
    configuration.change_config(
        calls,
        service,
        type=changes.type,
        start_type=changes.start,
        error_control=changes.error,
        image_path=changes.image_path,
        load_order_group=changes.group,
        assign_tag=changes.tag,
        dependencies=changes.depend,
        account=changes.account,
        password=changes.password,
        display_name=changes.display_name,
    )
    if changes.delayed is not None:
        _set_delayed(calls, service, changes.delayed)
    request.write(success("ChangeServiceConfig"))


def _set_delayed(calls: Calls, service: ContextHandle, delayed: bool) -> None:
    level = ConfigLevel.DELAYED_AUTO_START_INFO
    if bool(configuration.query_number(calls, service, level)) != delayed:
        configuration.change_config2(calls, service, ConfigLevel.DELAYED_AUTO_START_INFO, delayed)


def delete(calls: Calls, request: Request) -> None:
    no_more(request.arguments, 1)
    configuration.delete_service(calls, opened(calls, request, ServiceAccess.DELETE))
    request.write(success("DeleteService"))


def description(calls: Calls, request: Request) -> None:
    """Without a text the description stays as it is; an empty one removes it."""
    no_more(request.arguments, 2)
    text = request.arguments[1] if request.arguments[1:] else None
    _change2(calls, request, ConfigLevel.DESCRIPTION, text)


def failure(calls: Calls, request: Request) -> None:
    """`reset=` and `actions=` come together, as SC demands; absent texts are kept."""
    request.name()
    options = parse_options(request.arguments[1:], FAILURE_OPTIONS)
    if not options:
        raise UsageError("")
    reset, actions = last(options, "reset"), last(options, "actions")
    if (reset is None) != (actions is None):
        raise UsageError("ERROR:  The reset and actions options must be set simultaneously")
    reset_period_s = 0 if reset is None else _seconds(reset)
    parsed = None if actions is None else parse_actions(actions)
    service = opened(calls, request, ServiceAccess.CHANGE_CONFIG | ServiceAccess.START)
    configuration.change_failure_actions(
        calls,
        service,
        reset_period_s=reset_period_s,
        reboot_message=last(options, "reboot"),
        command=last(options, "command"),
        actions=parsed,
    )
    request.write(success("ChangeServiceConfig2"))


def _seconds(text: str) -> int:
    return INFINITE if text.upper() == "INFINITE" else number(text, "reset=")


def parse_actions(text: str) -> tuple[FailureAction, ...]:
    """`restart/5000/run/1000`: pairs of a word and milliseconds; empty text means no action."""
    parts = text.split("/") if text else []
    if len(parts) % 2:
        raise UsageError("ERROR:  actions= is a list of action/milliseconds pairs")
    return tuple(
        FailureAction(
            type=ActionType(chosen(_ACTIONS, parts[i], "an action")),
            delay=number(parts[i + 1] or "0", "A delay"),
        )
        for i in range(0, len(parts), 2)
    )


def failureflag(calls: Calls, request: Request) -> None:
    flag = number(request.second(), "The flag", 0, 1)
    _change2(calls, request, ConfigLevel.FAILURE_ACTIONS_FLAG, bool(flag))


def sidtype(calls: Calls, request: Request) -> None:
    kind = chosen(_SID_TYPES, request.second(), "The type")
    _change2(calls, request, ConfigLevel.SERVICE_SID_INFO, kind)


def privs(calls: Calls, request: Request) -> None:
    """Privileges separated by `/`; an empty list asks for none."""
    names = tuple(filter(None, request.second().split("/")))
    _change2(calls, request, ConfigLevel.REQUIRED_PRIVILEGES_INFO, names)


def _change2(
    calls: Calls,
    request: Request,
    level: ConfigLevel,
    value: str | bool | int | tuple[str, ...] | None,
) -> None:
    service = opened(calls, request, ServiceAccess.CHANGE_CONFIG)
    if value is not None:
        configuration.change_config2(calls, service, level, value)
    request.write(success("ChangeServiceConfig2"))


COMMANDS: Mapping[str, Callable[[Calls, Request], None]] = {
    "create": create,
    "config": config,
    "delete": delete,
    "description": description,
    "failure": failure,
    "failureflag": failureflag,
    "sidtype": sidtype,
    "privs": privs,
}
