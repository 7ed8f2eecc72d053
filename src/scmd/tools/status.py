"""scmd status: this SCM, its processes, what it holds and where it listens; or one service."""

from __future__ import annotations

import sys

from scmd.client.management import manager_status
from scmd.tools.commands import CommandUsageError, Options, write_json
from scmd.tools.target import connect, open_calls
from scmd.vocabulary.durations import span
from scmd.vocabulary.names import escaped
from scmd.vocabulary.service import ServiceAccess, ServiceState

USAGE = """\
usage: scmd status [NAME] [--json]

The SCM itself: its processes and their versions, uptime, counts of services by state, end points.
With NAME: how that service has failed, what is done about it and what comes next.
"""


def run(arguments: list[str]) -> int:
    options = Options(arguments, (), ("--json",))
    if len(options.rest) > 1:
        raise CommandUsageError("takes one NAME at most")
    import json

    if options.rest:
        document = _service(options.rest[0])
    else:
        with open_calls() as calls:
            document = json.loads(manager_status(calls))
    if options.flag("--json"):
        write_json(document)
    else:
        sys.stdout.write(as_text(document))
    return 0


def _service(name: str) -> dict[str, object]:
    """The service's state and exit codes, and where its failure actions stand."""
    import json

    from scmd.client.management import explain, query_recovery

    with connect() as scm:
        service = scm[name]
        status = service.status
        with service.opened(ServiceAccess.QUERY_STATUS) as handle:
            recovery: dict[str, object] = json.loads(query_recovery(scm.calls, handle))
            explanation = json.loads(explain(scm.calls, handle))
    return {
        "service_name": name,
        "state": ServiceState(status.state).name,
        "overdue_ms": explanation["overdue"],
        "next_run": explanation.get("next_run"),
        "win32_exit_code": status.win32_exit_code,
        "service_specific_exit_code": status.service_specific_exit_code,
        **recovery,
    }


def as_text(document: dict[str, object]) -> str:
    """A line for each member, those inside a member after its name."""
    lines = []
    width = max(12, *map(len, document))
    for name, value in document.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            value = ", ".join(
                f"{count} {state.replace('_', ' ')}" for state, count in value.items()
            )
        elif name == "schedule" and isinstance(value, list):
            value = ", ".join(f"{s['failure']}: {s['action']} ({s['delay_ms']} ms)" for s in value)
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        elif value is None:
            value = "none"
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        elif name == "uptime_ms" and isinstance(value, int):
            label, value = "uptime", span(value)
        lines.append(f"{label:<{width}}: {escaped(str(value))}\n")
    return "".join(lines)
