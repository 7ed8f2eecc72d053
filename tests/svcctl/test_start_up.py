"""What a command imports before it can say a word: `sc` starts often and must start fast."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {
    "argparse",
    "asyncio",
    "collections",
    "dataclasses",
    "inspect",
    "json",
    "logging",
    "re",
    "socket",
    "typing",
    "uuid",
}
SCRIPT = """
import sys
from scmd.ndr.values import ContextHandle
from scmd.rpc import client, errors
from scmd.scmd_interface import operations
from scmd.svcctl import administration, buffers, config2_buffers, configuration, control, opening
from scmd.svcctl.interface import ServiceRequest
connection = client.ClientConnection()
connection.bind([control.SVCCTL])
control.QUERY_SERVICE_STATUS.encode_request(ServiceRequest(service=ContextHandle(20)))
print(*sorted(sys.modules))
"""


def test_the_clients_half_of_the_wire_imports_nothing_heavy() -> None:
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}{SCRIPT}"]
    bare = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "import enum, operator, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    added = set(run.stdout.split()) - set(bare.stdout.split())
    assert not added & HEAVY
    assert {name for name in added if not name.startswith("scmd")} <= {
        "__future__",
        "_struct",
        "struct",
    }
