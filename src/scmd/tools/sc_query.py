"""sc query, queryex and enumdepend: what runs."""

from __future__ import annotations

from scmd.client.calls import MAX_ENUM_BYTES
from scmd.tools.sc_grammar import TYPES, chosen, is_option, last, no_more, number, parse_options
from scmd.tools.sc_output import status_block
from scmd.tools.sc_request import opened
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ScmAccess, ServiceAccess, StateMask
from scmd.vocabulary.winerror import BufferTooSmall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scmd.client.calls import Calls, Entry
    from scmd.ndr.values import ContextHandle
    from scmd.tools.sc_request import Request

OPTIONS = ("type", "state", "bufsize", "ri", "group")
_GENERAL_TYPES = {"driver": 0x0B, "service": 0x30, "userservice": 0xC0, "all": 0xFB}
_STATES = {"active": StateMask.ACTIVE, "inactive": StateMask.INACTIVE, "all": StateMask.ALL}
_DEPENDENTS_STATES = StateMask.ALL


def query(calls: Calls, request: Request) -> None:
    """One service by its key name, or an enumeration; queryex adds PID and FLAGS."""
    arguments = request.arguments
    if arguments and not is_option(arguments[0], OPTIONS):
        no_more(arguments, 1)
        _query_one(calls, request)
    else:
        _query_many(calls, request)


def _query_one(calls: Calls, request: Request) -> None:
    name = request.name()
    service = opened(calls, request, ServiceAccess.QUERY_STATUS, "EnumQueryServicesStatus:")
    status = calls.query_status(service)
    if request.json:
        from scmd.tools.sc_json import status_object

        display_name = calls.display_name(calls.open_scm(), name)
        document = status_object(name, display_name, status)
        if request.verb == "queryex":
            document |= _usage(calls, service)
        request.write_json(document)
    else:
        request.write(status_block(name, status, extended=request.verb == "queryex"))


def _usage(calls: Calls, service: ContextHandle) -> dict[str, object]:
    """What its processes use, from an SCM that can say it: Windows and an older scmd cannot."""
    import json

    from scmd.client.management import query_usage
    from scmd.vocabulary.winerror import WinError

    try:
        return {"usage": json.loads(query_usage(calls, service))}
    except WinError:
        return {}


def _query_many(calls: Calls, request: Request) -> None:
    options = parse_options(request.arguments, OPTIONS)
    types = type_mask(options.get("type", []))
    states = chosen(_STATES, last(options, "state") or "active", "state=")
    resume = number(last(options, "ri") or "0", "ri=")
    size = last(options, "bufsize")
    scm = calls.open_scm(ScmAccess.CONNECT | ScmAccess.ENUMERATE_SERVICE)
    group = last(options, "group")
    if size is None:
        entries = calls.enum_services(scm, types, states, group, resume)
        _write_entries(request, entries)
        return
    part = calls.enum_services_part(
        scm, types, states, group, resume, number(size, "bufsize=", 0, MAX_ENUM_BYTES)
    )
    _write_entries(request, part.entries)
    if part.is_cut and not request.json:
        request.write(
            f"\nEnum: more data, need {part.needed} bytes start resume at index {part.resume}\n"
        )


def type_mask(words: list[str]) -> int:
    """The mask of `type=` options: exact types, if any is named, narrow the general ones."""
    exact = general = 0
    for word in words:
        if word.lower() in TYPES:
            exact |= TYPES[word.lower()]
        else:
            general |= chosen(_GENERAL_TYPES, word, "type=")
    return exact or general or _GENERAL_TYPES["service"]


def _write_entries(request: Request, entries: Sequence[Entry]) -> None:
    if request.json:
        from scmd.tools.sc_json import status_object

        request.write_json([status_object(e.name, e.display_name, e.status) for e in entries])
        return
    extended = request.verb == "queryex"
    for entry in entries:
        request.write(status_block(entry.name, entry.status, entry.display_name, extended))


def enumdepend(calls: Calls, request: Request) -> None:
    """Every service that depends on this one, in the order in which to stop them.

    With a size, as many as fit, and what all would need: then the exit status is a failure's.
    """
    size = request.size()
    service = opened(calls, request, ServiceAccess.ENUMERATE_DEPENDENTS)
    if size is None:
        entries, needed = calls.enum_dependents(service, _DEPENDENTS_STATES), 0
    else:
        size = min(size, MAX_ENUM_BYTES)
        part = calls.enum_dependents_part(service, _DEPENDENTS_STATES, size)
        entries, needed = part.entries, part.needed
    if not request.json:
        request.write(f"[SC] EnumDependentServices: entriesread = {len(entries)}\n")
    if not (request.json and needed):
        _write_entries(request, entries)
    if needed:
        raise BufferTooSmall(Error.MORE_DATA, "EnumDependentServices", needed)


COMMANDS: Mapping[str, Callable[[Calls, Request], None]] = {
    "query": query,
    "queryex": query,
    "enumdepend": enumdepend,
}
