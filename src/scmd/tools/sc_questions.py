"""sc qc and its relatives, the names, showsid: how a service is configured."""

from __future__ import annotations

from scmd.client import configuration
from scmd.tools import sc_output as output
from scmd.tools.sc_grammar import no_more
from scmd.tools.sc_request import opened, queried
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ConfigLevel, ServiceAccess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scmd.client.calls import Calls
    from scmd.tools.sc_request import Request


def qc(calls: Calls, request: Request) -> None:
    size = request.size()
    service = queried(calls, request)
    config = configuration.query_config(calls, service, request.name(), size)
    config = config.replace(delayed_auto_start=configuration.is_delayed(calls, service))
    if request.json:
        from scmd.tools.sc_json import config_object

        request.write_json(config_object(config))
    else:
        request.write(output.config_block(config))


def qdescription(calls: Calls, request: Request) -> None:
    size = request.size()
    text = configuration.query_description(calls, queried(calls, request), size)
    if request.json:
        request.write_json({"service_name": request.name(), "description": text})
    else:
        request.write(output.description_block(request.name(), text))


def qfailure(calls: Calls, request: Request) -> None:
    size = request.size()
    actions = configuration.query_failure_actions(calls, queried(calls, request), size)
    if request.json:
        from scmd.tools.sc_json import failure_object

        request.write_json(failure_object(request.name(), actions))
    else:
        request.write(output.failure_block(request.name(), actions))


def qfailureflag(calls: Calls, request: Request) -> None:
    level = ConfigLevel.FAILURE_ACTIONS_FLAG
    size = request.size()
    flag = bool(configuration.query_number(calls, queried(calls, request), level, size))
    if request.json:
        name = request.name()
        request.write_json({"service_name": name, "failure_actions_on_non_crash_failures": flag})
    else:
        request.write(output.failure_flag_block(request.name(), flag))


def qsidtype(calls: Calls, request: Request) -> None:
    level = ConfigLevel.SERVICE_SID_INFO
    size = request.size()
    kind = configuration.query_number(calls, queried(calls, request), level, size)
    if request.json:
        from scmd.tools.sc_json import sid_type_object

        request.write_json(sid_type_object(request.name(), kind))
    else:
        request.write(output.sid_type_block(request.name(), kind))


def qprivs(calls: Calls, request: Request) -> None:
    size = request.size()
    names = configuration.query_required_privileges(calls, queried(calls, request), size)
    if request.json:
        request.write_json({"service_name": request.name(), "required_privileges": list(names)})
    else:
        request.write(output.privileges_block(request.name(), names))


def getdisplayname(calls: Calls, request: Request) -> None:
    size = request.size()
    name = request.name()
    display_name = calls.display_name(calls.open_scm(), name, size)
    if request.json:
        request.write_json({"service_name": name, "display_name": display_name})
    else:
        request.write(output.named("GetServiceDisplayName", display_name))


def getkeyname(calls: Calls, request: Request) -> None:
    size = request.size()
    display_name = request.name()
    name = calls.key_name(calls.open_scm(), display_name, size)
    if request.json:
        request.write_json({"service_name": name, "display_name": display_name})
    else:
        request.write(output.named("GetServiceKeyName", name))


def showsid(calls: Calls, request: Request) -> None:
    """The SID that a service of this name has; it need not exist (STATUS says whether)."""
    from scmd.security.sid import service_sid
    from scmd.vocabulary.errors import Error
    from scmd.vocabulary.winerror import WinError

    no_more(request.arguments, 1)
    name = request.name()
    try:
        opened(calls, request, ServiceAccess.QUERY_STATUS)
        status = "Active"
    except WinError as error:
        if error.winerror == Error.ACCESS_DENIED and error.funcname == "OpenService":
            status = "Active"
        elif error.winerror == Error.SERVICE_DOES_NOT_EXIST:
            status = "Inactive"
        else:
            raise
    sid = service_sid(name)
    if request.json:
        request.write_json({"service_name": name, "service_sid": sid, "status": status})
    else:
        request.write(f"\nNAME: {escaped(name)}\nSERVICE SID: {sid}\nSTATUS: {status}\n")


COMMANDS: Mapping[str, Callable[[Calls, Request], None]] = {
    "qc": qc,
    "qdescription": qdescription,
    "qfailure": qfailure,
    "qfailureflag": qfailureflag,
    "qsidtype": qsidtype,
    "qprivs": qprivs,
    "getdisplayname": getdisplayname,
    "getkeyname": getkeyname,
    "showsid": showsid,
}
