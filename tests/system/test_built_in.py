"""Built-in services in a real SCM: there at once, after a manager's death too, and depended on."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from tests.system.machine import Machine, eventually


def listed(machine: Machine, *options: str) -> dict[str, dict[str, Any]]:
    found = json.loads(machine.sc("queryex", *options, "--json"))
    return {service["service_name"]: service for service in found}


def manager_of(machine: Machine) -> int:
    found: int = json.loads(machine.scmd("status", "--json"))["manager_pid"]
    return found


def test_built_in_services(bare: Machine) -> None:
    machine = bare.start()
    assert "(changed)" not in machine.scmd("settings")
    services = listed(machine)
    assert set(services) == {"EventLog", "RpcSs"}
    assert {service["process_id"] for service in services.values()} == {manager_of(machine)}
    assert {service["service_flags"] for service in services.values()} == {1}
    assert set(listed(machine, "type=", "driver")) == {"Tcpip"}
    assert listed(machine, "state=", "inactive").keys() == {"LanmanServer"}
    assert machine.refused("stop", "RpcSs") == 1052
    assert machine.refused("start", "EventLog") == 1056
    assert machine.refused("start", "LanmanServer") == 1058
    assert machine.refused("delete", "Tcpip") == 5
    machine.scmd("install", "Web", "--", sys.executable, "-c", "import signal; signal.pause()")
    machine.sc("config", "Web", "depend=", "RpcSs/Tcpip")
    machine.sc("start", "Web")
    first = manager_of(machine)
    os.kill(first, 9)
    eventually(lambda: manager_of(machine) != first, "a new manager")
    services = listed(machine)
    assert set(services) == {"EventLog", "RpcSs", "Web"}
    assert services["RpcSs"]["process_id"] == manager_of(machine)
