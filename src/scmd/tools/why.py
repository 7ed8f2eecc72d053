"""scmd why: what a service waits for, failed of or is held by, and who is to blame."""

from __future__ import annotations

import json
import sys

from scmd.client.management import explain, read_crash
from scmd.tools.commands import Options, write_json
from scmd.tools.target import open_calls
from scmd.vocabulary.durations import span
from scmd.vocabulary.errors import Error
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ServiceAccess
from scmd.vocabulary.winerror import WinError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from scmd.client.calls import Calls
    from scmd.ndr.values import ContextHandle

USAGE = """\
usage: scmd why NAME [--json]

Why a service is not running, not starting, not stopping or not deleted. What is to blame
stands below what it blames, one step further in.
"""


def run(arguments: list[str]) -> int:
    options = Options(arguments, (), ("--json",))
    name = options.only()
    with open_calls() as calls:
        scm = calls.open_scm()
        service = calls.open_service(scm, name, ServiceAccess.QUERY_STATUS)
        document = json.loads(explain(calls, service))
        document["last_crash"] = _last_crash(calls, scm, name)
    if options.flag("--json"):
        write_json(document)
    else:
        sys.stdout.writelines(f"{escaped(line)}\n" for line in as_text(document))
    return 0


def _last_crash(calls: Calls, scm: ContextHandle, name: str) -> dict[str, object] | None:
    """What the newest bundle is about, for those who may read it."""
    access = ServiceAccess.START | ServiceAccess.QUERY_CONFIG
    try:
        service = calls.open_service(scm, name, access)
        crash = read_crash(calls, service)
    except WinError as error:
        if error.winerror in (Error.ACCESS_DENIED, Error.READ_FAULT):
            return None
        raise
    if not crash:
        return None
    document = json.loads(crash)
    return {field: document[field] for field in ("number", "time", "cause")}


def as_text(document: Mapping[str, Any]) -> Iterator[str]:
    """The state, then a line for each finding, then who holds handles."""
    yield _headline(document)
    subject = document["service"]
    for finding in document["findings"]:
        who = "It" if finding["service"] == subject else finding["service"]
        yield f"{'  ' * (finding['depth'] + 1)}{who} {finding['text']}."
    if document["marked_for_delete"]:
        for holder in document["holders"]:
            count = holder["handles"]
            handles = "1 handle" if count == 1 else f"{count} handles"
            origin = f" ({holder['origin']})" if holder["origin"] else ""
            yield f"    {handles}: {holder['name']}{origin}"
    crash = document["last_crash"]
    if crash is not None:
        yield f"  It failed at {crash['time']}: {crash['cause']}. More: scmd crash {subject}"


def _headline(document: Mapping[str, Any]) -> str:
    text = f"{document['service']} is {document['state']}"
    if document["lasted"] is not None:
        text += f", for {span(document['lasted'])}"
    if document["cause"]:
        text += f": {document['cause']}"
        text += f" ({by(document['actor'], document['origin'])})"
    return text + "."


def by(actor: str, origin: str) -> str:
    """`root, local pid 4711`."""
    return f"{actor}, {origin}" if origin else actor
