"""The commands of sc that are seldom wanted: the lock, descriptors, the boot, levels 8 to 12."""

from __future__ import annotations

import sys

from scmd.client import administration, configuration
from scmd.tools import sc_output as output
from scmd.tools.interruption import typed_line
from scmd.tools.sc_grammar import UsageError, no_more, number
from scmd.tools.sc_request import opened, queried
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import (
    ConfigLevel,
    Protection,
    ScmAccess,
    SecurityInformation,
    ServiceAccess,
    ServiceType,
    StandardAccess,
)
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle
    from scmd.security.descriptor import SecurityDescriptor
    from scmd.tools.sc_request import Request

SCM_NAME = "scmanager"
"""What sdshow, sdset and grants call the SCM itself."""
MAX_NODE = 0xFFFF


# The SCM --------------------------------------------------------------------------------------


def boot(calls: Calls, request: Request) -> None:
    """Tell the SCM whether this boot is to count as a good one."""
    no_more(request.arguments, 1)
    verdict = request.arguments[0].lower()
    if verdict not in ("ok", "bad"):
        raise UsageError(f"ERROR:  boot takes ok or bad, not {verdict}")
    administration.notify_boot_config_status(calls, verdict == "ok")
    request.write(output.success("NotifyBootConfigStatus"))


def lock(calls: Calls, request: Request) -> None:
    """Hold the database lock until somebody types `u`, or input ends."""
    no_more(request.arguments, 0)
    scm = calls.open_scm(ScmAccess.LOCK)
    held = administration.lock_database(calls, scm)
    request.write("\nActive database is locked.\nTo unlock via API, press u: ")
    sys.stdout.flush()
    while (line := typed_line()) and line.strip().lower() != "u":
        continue
    administration.unlock_database(calls, held)
    request.write("\n" + output.success("UnlockServiceDatabase"))


def querylock(calls: Calls, request: Request) -> None:
    no_more(request.arguments, 1)
    scm = calls.open_scm(ScmAccess.QUERY_LOCK_STATUS)
    status = administration.query_lock_status(calls, scm)
    if request.json:
        request.write_json(status.as_dict())
        return
    text = output.success("QueryServiceLockStatus")
    text += f"\tIsLocked      : {'TRUE' if status.is_locked else 'FALSE'}\n"
    text += f"\tLockOwner     : {escaped(status.owner)}\n"
    text += f"\tLockDuration  : {status.duration} (seconds since acquired)\n"
    request.write(text)


# Security descriptors -------------------------------------------------------------------------


def sdshow(calls: Calls, request: Request) -> None:
    """The DACL, and the SACL for those who may see it; `showrights` lists the entries too."""
    no_more(request.arguments, 2)
    words = request.arguments[1:]
    if words and words[0].lower() != "showrights":
        raise UsageError(f"ERROR:  Unexpected argument {words[0]}")
    from scmd.client.security import query_security
    from scmd.security.sddl import descriptor_to_sddl

    wanted = SecurityInformation.DACL | SecurityInformation.SACL | SecurityInformation.LABEL
    try:
        access = StandardAccess.READ_CONTROL | StandardAccess.ACCESS_SYSTEM_SECURITY
        handle = _object(calls, request, access)
    except WinError as error:
        if error.winerror != Error.ACCESS_DENIED:
            raise
        wanted = SecurityInformation.DACL
        handle = _object(calls, request, StandardAccess.READ_CONTROL)
    descriptor = query_security(calls, handle, wanted)
    sddl = descriptor_to_sddl(descriptor)
    if request.json:
        request.write_json({"service_name": request.name(), "sddl": sddl})
        return
    request.write(f"\n{sddl}\n")
    if words:
        request.write(_rights(descriptor, request.name()))


def _rights(descriptor: SecurityDescriptor, name: str) -> str:
    from scmd.security.descriptor import AceType

    kind = ScmAccess if name.lower() == SCM_NAME else ServiceAccess
    lines = []
    for ace in descriptor.dacl or ():
        verb = "allow" if ace.type == AceType.ACCESS_ALLOWED else "deny "
        names = [bit.name or "" for bit in kind if bit & (bit - 1) == 0 and ace.mask & bit]
        names += [bit.name or "" for bit in StandardAccess if ace.mask & bit]
        lines.append(f"        {verb} {ace.sid}: {', '.join(dict.fromkeys(names))}\n")
    return "\n" + "".join(lines)


def sdset(calls: Calls, request: Request) -> None:
    """Replace what the text has: DACL, SACL, label, owner, group."""
    if len(request.arguments) < 2:
        raise UsageError("")
    no_more(request.arguments, 2)
    from scmd.client.security import set_security
    from scmd.security.descriptor import AceType, DescriptorControl, DescriptorError
    from scmd.security.sddl import descriptor_from_sddl

    try:
        descriptor = descriptor_from_sddl(request.arguments[1])
    except DescriptorError as error:
        raise UsageError(f"ERROR:  {error}") from error
    information = access = 0
    entries = descriptor.sacl or ()
    labels = [ace for ace in entries if ace.type == AceType.SYSTEM_MANDATORY_LABEL]
    has_dacl = descriptor.dacl is not None or descriptor.control & DescriptorControl.DACL_PRESENT
    for is_there, bit, right in (
        (descriptor.owner is not None, SecurityInformation.OWNER, StandardAccess.WRITE_OWNER),
        (descriptor.group is not None, SecurityInformation.GROUP, StandardAccess.WRITE_OWNER),
        (has_dacl, SecurityInformation.DACL, StandardAccess.WRITE_DAC),
        (
            descriptor.sacl is not None and len(labels) < max(1, len(entries)),
            SecurityInformation.SACL,
            StandardAccess.ACCESS_SYSTEM_SECURITY,
        ),
        (bool(labels), SecurityInformation.LABEL, StandardAccess.WRITE_OWNER),
    ):
        if is_there:
            information |= bit
            access |= right
    handle = _object(calls, request, access)
    set_security(calls, handle, information, descriptor)
    request.write(output.success("SetServiceObjectSecurity"))


def _object(calls: Calls, request: Request, access: int) -> ContextHandle:
    """The service of this name, or the SCM."""
    if request.name().lower() == SCM_NAME:
        return calls.open_scm(access)
    return opened(calls, request, access)


# Levels 8 to 12 -------------------------------------------------------------------------------


def qtriggerinfo(calls: Calls, request: Request) -> None:
    from scmd.tools.sc_triggers import trigger_block, trigger_object

    request.size()  # The call for triggers has no buffer: all sizes are enough.
    triggers = administration.query_triggers(calls, queried(calls, request))
    name = request.name()
    if request.json:
        request.write_json({"service_name": name, "triggers": [*map(trigger_object, triggers)]})
    else:
        request.write(trigger_block(name, triggers))


def triggerinfo(calls: Calls, request: Request) -> None:
    """The triggers given replace all there are; `delete` removes them."""
    from scmd.tools.sc_triggers import parse_trigger

    if len(request.arguments) < 2:
        raise UsageError("")
    words = request.arguments[1:]
    triggers = () if words == ["delete"] else tuple(map(parse_trigger, words))
    service = opened(calls, request, ServiceAccess.CHANGE_CONFIG)
    administration.change_triggers(calls, service, triggers)
    request.write(output.success("ChangeServiceConfig2"))


def qpreferrednode(calls: Calls, request: Request) -> None:
    size = request.size()
    service = queried(calls, request)
    node = configuration.query_config2(calls, service, ConfigLevel.PREFERRED_NODE, size)
    text = "NONE" if node is None else str(node)
    _answer(request, f"PREFERRED_NODE:  {text}\n", {"preferred_node": node})


def preferrednode(calls: Calls, request: Request) -> None:
    """A NUMA node, or -1 for none."""
    word = request.second()
    node = None if word == "-1" else number(word, "The node", 0, MAX_NODE)
    _change(calls, request, ConfigLevel.PREFERRED_NODE, node)


def qmanagedaccount(calls: Calls, request: Request) -> None:
    level = ConfigLevel.MANAGED_ACCOUNT_INFO
    size = request.size()
    managed = bool(configuration.query_number(calls, queried(calls, request), level, size))
    truth = "TRUE" if managed else "FALSE"
    _answer(request, f"ACCOUNT MANAGED : {truth}\n", {"is_managed_account": managed})


def managedaccount(calls: Calls, request: Request) -> None:
    word = request.second().lower()
    if word not in ("true", "false"):
        raise UsageError(f"ERROR:  managedaccount takes true or false, not {word}")
    _change(calls, request, ConfigLevel.MANAGED_ACCOUNT_INFO, word == "true")


def qprotection(calls: Calls, request: Request) -> None:
    level = ConfigLevel.LAUNCH_PROTECTED
    size = request.size()
    protection = configuration.query_number(calls, queried(calls, request), level, size)
    word = output.word(Protection, protection)
    text = f"SERVICE {escaped(request.name())} PROTECTION LEVEL: {word.replace('_', ' ')}.\n"
    if request.json:
        request.write_json({"service_name": request.name(), "launch_protected": word})
    else:
        request.write(output.success("QueryServiceConfig2") + text)


def quserservice(calls: Calls, request: Request) -> None:
    """Whether it is a template of services that every user gets, or one user's instance."""
    size = request.size()
    config = configuration.query_config(calls, queried(calls, request), request.name(), size)
    if config.type & ServiceType.USERSERVICE_INSTANCE:
        kind = "INSTANCE"
    else:
        kind = "TEMPLATE" if config.type & ServiceType.USER_SERVICE else "NONE"
    _answer(request, f"USER_SERVICE:  {kind}\n", {"user_service": kind})


def qrunlevel(calls: Calls, request: Request) -> None:
    level = ConfigLevel.RUNLEVEL_INFO
    size = request.size()
    lowest = configuration.query_number(calls, queried(calls, request), level, size)
    _answer(request, f"LOWEST_RUNLEVEL:  {lowest}\n", {"lowest_run_level": lowest})


def runlevel(calls: Calls, request: Request) -> None:
    level = number(request.second(), "The run level")
    _change(calls, request, ConfigLevel.RUNLEVEL_INFO, level)


def _change(calls: Calls, request: Request, level: ConfigLevel, value: int | None) -> None:
    service = opened(calls, request, ServiceAccess.CHANGE_CONFIG)
    configuration.change_config2(calls, service, level, value)
    request.write(output.success("ChangeServiceConfig2"))


def _answer(request: Request, text: str, members: Mapping[str, object]) -> None:
    if request.json:
        request.write_json({"service_name": request.name(), **members})
    else:
        request.write(output.config2_head(request.name()) + text)


COMMANDS: Mapping[str, Callable[[Calls, Request], None]] = {
    "boot": boot,
    "lock": lock,
    "managedaccount": managedaccount,
    "preferrednode": preferrednode,
    "qmanagedaccount": qmanagedaccount,
    "qpreferrednode": qpreferrednode,
    "qprotection": qprotection,
    "qrunlevel": qrunlevel,
    "qtriggerinfo": qtriggerinfo,
    "querylock": querylock,
    "quserservice": quserservice,
    "runlevel": runlevel,
    "sdset": sdset,
    "sdshow": sdshow,
    "triggerinfo": triggerinfo,
}
