"""sc start, stop, pause, continue, interrogate and control: what makes services act."""

from __future__ import annotations

from scmd.tools.interruption import Asking
from scmd.tools.sc_grammar import UsageError, no_more, number
from scmd.tools.sc_output import status_block
from scmd.tools.sc_request import opened
from scmd.vocabulary.service import (
    FIRST_USER_CONTROL,
    LAST_USER_CONTROL,
    MAX_COMMENT_UNITS,
    PENDING_STATES,
    Control,
    ServiceAccess,
    ServiceState,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scmd.client.calls import Calls
    from scmd.tools.sc_request import Request
    from scmd.vocabulary.status import ServiceStatus

_NAMED_CONTROLS = {
    "paramchange": Control.PARAMCHANGE,
    "netbindadd": Control.NETBINDADD,
    "netbindremove": Control.NETBINDREMOVE,
    "netbindenable": Control.NETBINDENABLE,
    "netbinddisable": Control.NETBINDDISABLE,
}


def start(calls: Calls, request: Request) -> None:
    """Start with arguments for ServiceMain; prints a block as queryex does."""
    name = request.name()
    service = opened(
        calls, request, ServiceAccess.START | ServiceAccess.QUERY_STATUS, "StartService: "
    )
    with Asking(name):
        calls.start_service(service, request.arguments[1:])
        status = calls.query_status(service)
        request.write(status_block(name, status, extended=True))
        _follow(calls, request, status, None)


def stop(calls: Calls, request: Request) -> None:
    """Stop, with `flag:major:minor [comment]` as the reason when it is given."""
    no_more(request.arguments, 3)
    reason = _reason(request.arguments[1]) if request.arguments[1:] else 0
    comment = request.arguments[2] if request.arguments[2:] else None
    if comment is not None and len(comment) > MAX_COMMENT_UNITS:
        raise UsageError(f"ERROR:  The comment has more than {MAX_COMMENT_UNITS} characters")
    service = opened(calls, request, ServiceAccess.STOP)
    with Asking(request.name()):
        if reason:
            status = calls.control_service_ex(service, Control.STOP, reason, comment)
        else:
            status = calls.control_service(service, Control.STOP)
        _report(calls, request, status, ServiceState.STOPPED)


def _reason(text: str) -> int:
    from scmd.vocabulary.stop_reasons import FLAGS, stop_reason

    parts = text.split(":")
    if len(parts) != 3:
        raise UsageError(f"ERROR:  A reason is flag:major:minor, not {text}")
    flag = number(parts[0], "The reason's flag", 1, 4)
    if flag not in FLAGS:
        raise UsageError("ERROR:  The reason's flag must be 1, 2 or 4")
    major = number(parts[1], "The reason's major code", 1, 0xFF)
    return stop_reason(flag, major, number(parts[2], "The minor code", 1, 0xFFFF))


def pause(calls: Calls, request: Request) -> None:
    access = ServiceAccess.PAUSE_CONTINUE
    _send(calls, request, Control.PAUSE, access, wanted=ServiceState.PAUSED)


def continue_(calls: Calls, request: Request) -> None:
    access = ServiceAccess.PAUSE_CONTINUE
    _send(calls, request, Control.CONTINUE, access, wanted=ServiceState.RUNNING)


def interrogate(calls: Calls, request: Request) -> None:
    _send(calls, request, Control.INTERROGATE, ServiceAccess.INTERROGATE)


def control(calls: Calls, request: Request) -> None:
    """A control by its name, or a service's own by its number, 128 to 255."""
    word = request.second()
    named = _NAMED_CONTROLS.get(word.lower())
    if named is not None:
        _send(calls, request, named, ServiceAccess.PAUSE_CONTINUE, 2)
        return
    code = number(word, "The control", FIRST_USER_CONTROL, LAST_USER_CONTROL)
    _send(calls, request, code, ServiceAccess.USER_DEFINED_CONTROL, 2)


def _send(
    calls: Calls,
    request: Request,
    code: int,
    access: int,
    count: int = 1,
    wanted: ServiceState | None = None,
) -> None:
    no_more(request.arguments, count)
    service = opened(calls, request, access)
    with Asking(request.name()):
        _report(calls, request, calls.control_service(service, code), wanted)


def _report(
    calls: Calls, request: Request, status: ServiceStatus, wanted: ServiceState | None
) -> None:
    request.write(status_block(request.name(), status))
    _follow(calls, request, status, wanted)


def _follow(
    calls: Calls, request: Request, status: ServiceStatus, wanted: ServiceState | None
) -> None:
    """On a terminal, show how it goes on until the wanted state; SC.EXE's answer stands already.

    A Handler that only queues leaves the service where it was, which is no rest either.
    """
    at_rest = wanted is None or status.state in (wanted, ServiceState.STOPPED)
    if status.state in PENDING_STATES or not at_rest:
        from scmd.client.statuses import Statuses
        from scmd.tools.progress import follow, on_terminal

        if on_terminal():
            service = opened(calls, request, ServiceAccess.QUERY_STATUS)
            name = request.name()
            with Statuses(calls, service, name) as statuses:
                follow(name, statuses, status, wanted)


COMMANDS: Mapping[str, Callable[[Calls, Request], None]] = {
    "start": start,
    "stop": stop,
    "pause": pause,
    "continue": continue_,
    "interrogate": interrogate,
    "control": control,
}
