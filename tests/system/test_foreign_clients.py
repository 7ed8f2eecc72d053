"""Samba's own clients against the local socket, which they take for an ncalrpc end point.

smbtorture is the referee of [MS-SCMR]; python3-samba calls whatever its declaration gets right.
Over the network both are in tests/remote.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.peers("smbtorture")]

FORMS = ("", ",bigendian", ",ndr64")
BINDINGS = Path(__file__).with_name("samba_bindings.py")


@pytest.fixture
def place(machine: Machine) -> Path:
    """A directory where the SCM's socket is an ncalrpc end point called svcctl."""
    made = machine.folder / "ncalrpc"
    made.mkdir()
    (made / "svcctl").symlink_to(machine.runtime / "scm.sock")
    return made


def test_smbtorture_finds_nothing_wrong(machine: Machine, place: Path) -> None:
    machine.scmd("install", "Spooler", "--", sys.executable, "-c", "import signal; signal.pause()")
    machine.scmd("sc", "start", "Spooler")
    for form in FORMS:
        words = ["smbtorture", f"ncalrpc:[svcctl{form}]", f"--option=ncalrpc dir={place}"]
        done = subprocess.run(
            [*words, "-U%", "rpc.svcctl"], capture_output=True, text=True, timeout=120, check=False
        )
        passed = re.findall(r"^success: svcctl\.(\w+)", done.stdout, re.MULTILINE)
        assert len(passed) >= 12, done.stdout + done.stderr
        assert not re.search(r"^(failure|error|skip):", done.stdout, re.MULTILINE), done.stdout
        assert done.returncode == 0


SAID: dict[str, Any] = {
    "OpenSCManagerW wrong": 123,
    "OpenSCManagerA": "ok",
    "CreateServiceW": "ok",
    "CreateServiceW again": 1073,
    "OpenServiceW missing": 1060,
    "QueryServiceConfigW small": 122,
    "configuration": {
        "service_type": 0x10,
        "start_type": 3,
        "error_control": 1,
        "executablepath": "srvany",
        "displayname": "Bound service",
    },
    **{f"QueryServiceConfig2W {level}": 124 for level in (0, 8, 13)},
    **{f"QueryServiceConfig2W {level}": 122 for level in (*range(1, 8), 9, *range(10, 13))},
    "QueryServiceConfig2W": "ok",
    "QueryServiceStatus": {
        "type": 0x10,
        "state": 1,
        "win32_exit_code": [1077, "WERR_SERVICE_NEVER_STARTED"],
    },
    "ControlService stopped": 1062,
    "ControlService 0": 87,
    "QueryServiceStatusEx small": 122,
    "QueryServiceStatusEx level": 124,
    "QueryServiceStatusEx": 36,
    "StartServiceW": 2,
    "StartServiceA": 2,
    "EnumServicesStatusW small": 234,
    "EnumServicesStatusW": 1,
    "EnumServicesStatusW type": 87,
    "EnumServicesStatusA small": 234,
    "EnumServicesStatusA": 1,
    "EnumServicesStatusA type": 87,
    "EnumServicesStatusExW": 1,
    "EnumServicesStatusExW level": 124,
    "EnumDependentServicesW": 0,
    "EnumDependentServicesW state": 87,
    "EnumDependentServicesA": 0,
    "EnumDependentServicesA state": 87,
    "LockServiceDatabase": "ok",
    "LockServiceDatabase again": 1055,
    "QueryServiceLockStatusW small": 122,
    "QueryServiceLockStatusA small": 122,
    "QueryServiceLockStatusW": [1, "root", 24 + 10],
    "UnlockServiceDatabase": "ok",
    "QueryServiceObjectSecurity service": [122, True],
    "SetServiceObjectSecurity service": "ok",
    "QueryServiceObjectSecurity scm": [122, True],
    "SetServiceObjectSecurity scm": "ok",
    "SetServiceObjectSecurity wrong": 87,
    # A number for local use; so the bindings say that there is no such operation.
    "SCSetServiceBitsW": 0xC002_002E,
    "SCSetServiceBitsA": 0xC002_002E,
    "DeleteService": "ok",
    "DeleteService again": 1072,
    "CloseServiceHandle": "ok",
}


@pytest.mark.parametrize("form", FORMS)
def test_sambas_python_bindings(place: Path, form: str) -> None:
    done = subprocess.run(
        ["/usr/bin/python3", str(BINDINGS), f"ncalrpc:[svcctl{form}]", str(place)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == SAID
