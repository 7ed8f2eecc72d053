"""impacket's own test cases of our interfaces, from its source distribution, against our server.

They know no ports: the endpoint mapper's is 135 and smbd's 445, at an address of the test's own.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from impacket.ntlm import compute_nthash

from tests.remote.reach import ADMINISTRATOR, PASSWORD, Reach
from tests.remote.samba import PASSWORD as SMB_PASSWORD
from tests.remote.samba import Samba
from tests.remote.test_foreign_clients import EXPECTED
from tests.system.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.peers("smbd")]

SUITE = Path(sys.prefix) / "suites" / "impacket" / "tests"
"""Where `scripts/install dev` puts it."""
NDR64 = """
from impacket.dcerpc.v5 import scmr
from tests.dcerpc import test_scmr


class NDR64ByPipe(test_scmr.SCMRTestsSMBTransport):
    transfer_syntax = test_scmr.DCERPCTests.TRANSFER_SYNTAX_NDR64


class NDR64ByTcp(test_scmr.SCMRTestsTCPTransport):
    transfer_syntax = test_scmr.DCERPCTests.TRANSFER_SYNTAX_NDR64


class Trigger(scmr.SERVICE_TRIGGER):
    def __init__(self, data=None, isNDR64=True):
        super().__init__(data, isNDR64)


class Answer(scmr.REnumServicesStatusExWResponse):
    structure = tuple(
        (name, scmr.LPBOUNDED_DWORD_256K if name == "lpResumeIndex" else kind)
        for name, kind in scmr.REnumServicesStatusExWResponse.structure
    )


class Corrected:
    def setUp(self):
        super().setUp()
        wrong = scmr.SERVICE_TRIGGER, scmr.REnumServicesStatusExWResponse
        self.addCleanup(self.use, *wrong)
        self.use(Trigger, Answer)

    def use(self, trigger, answer):
        scmr.SERVICE_TRIGGER = trigger
        scmr.REnumServicesStatusExWResponse = answer


class CorrectedByPipe(Corrected, NDR64ByPipe):
    pass


class CorrectedByTcp(Corrected, NDR64ByTcp):
    pass


del test_scmr
"""
CONFIGURATION = """
[TCPTransport]
servername = SCMDTEST
machine = {address}
username = {user}
password = {password}
domain =
hashes = aad3b435b51404eeaad3b435b51404ee:{nt_hash}
aesKey128 =
aesKey256 =
machineuser =
machineuserhashes =
"""
WRONG_IN_NDR64 = ["test_RChangeServiceConfig2W", "test_REnumServicesStatusExW"]
"""The first puts a structure laid out for NDR into a request in NDR64; of the second's answer
impacket takes the error from the wrong place. tests/svcctl/test_impacket_ndr64.py has the bytes."""
REFUSED = {
    "EPMTestsTCPTransport": ["test_hept_map", "test_hlookup", "test_map"],
    "EPMTestsTCPTransport64": ["test_hept_map", "test_hlookup", "test_map"],
    "RPCRTTestsTCPTransport": [
        "test_AnonWINNTPacketPrivacy",
        "test_bigRequestMustFragment",
        "test_packetAnonWINNTPacketIntegrity",
    ],
}
"""They want interfaces that Windows has and we have not, or come without a name."""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A copy, with the same cases in NDR64 beside them, and with both mistakes corrected."""
    shutil.copytree(SUITE, tmp_path / "tests")
    (tmp_path / "tests" / "dcerpc" / "test_scmr64.py").write_text(NDR64)
    return tmp_path


@pytest.fixture
def administrator() -> Iterator[None]:
    """The account that a service of the suite is given."""
    try:
        pwd.getpwnam("Administrator")
    except KeyError:
        pass
    else:
        yield
        return
    subprocess.run(["useradd", "--badname", "--no-create-home", "Administrator"], check=True)
    yield
    subprocess.run(["userdel", "Administrator"], check=True)


def cases(
    suite: Path, ways: str, address: str, user: str, password: str
) -> tuple[int, int, list[str], str]:
    """How many passed, how many it skips itself, those that failed, and all that was said."""
    configuration = suite / "cases.cfg"
    nt_hash = compute_nthash(password).hex()
    configuration.write_text(
        CONFIGURATION.format(address=address, user=user, password=password, nt_hash=nt_hash)
    )
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore"),
        *("-k", ways, f"--remote-config={configuration}"),
        *("tests/dcerpc/test_scmr.py", "tests/dcerpc/test_scmr64.py"),
        *("tests/dcerpc/test_mgmt.py", "tests/dcerpc/test_epm.py", "tests/SMB_RPC/test_rpcrt.py"),
    ]
    environment = {key: value for key, value in os.environ.items() if "PYTEST" not in key}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(
        command,
        cwd=suite,
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    failed = sorted(re.findall(r"^FAILED .*::(\w+::\w+)", done.stdout, re.MULTILINE))
    passed, skipped = (
        int(found[1]) if (found := re.search(rf"(\d+) {word}", done.stdout)) else 0
        for word in ("passed", "skipped")
    )
    return passed, skipped, failed, done.stdout + done.stderr


@pytest.fixture
def address(machine: Machine) -> str:
    """Where the machine is reached, with its endpoint mapper at the usual port."""
    reach = Reach(machine, f"127.78.{os.getpid() % 250}.{os.getpid() // 250 % 250}")
    reach.mapper = 135
    reach.open()
    return reach.address


def test_management_endpoint_mapper_and_authentication_by_tcp(suite: Path, address: str) -> None:
    """In both syntaxes; the cases of the connection itself in NDR, as impacket has them."""
    ways = "MGMTTestsTCP or EPMTestsTCP or (RPCRTTestsTCP and not Kerberos)"
    passed, skipped, failed, said = cases(suite, ways, address, ADMINISTRATOR, PASSWORD)
    refused = [f"{kind}::{case}" for kind, names in REFUSED.items() for case in names]
    assert failed == sorted(refused), said
    for reason, times in (("ept_s_not_registered", 7), ("rpc_s_access_denied", 2)):
        assert len(re.findall(f"^E .* {reason}$", said, re.MULTILINE)) == times, said
    assert (passed, skipped) == (2 * (10 + 1) + 12, 0), said


def test_every_case_in_both_syntaxes_by_tcp_and_by_pipe(
    machine: Machine, suite: Path, address: str, administrator: None
) -> None:
    """All pass, but for two in NDR64, which pass when impacket's mistakes in them are corrected."""
    samba = Samba(machine.folder, address, 445)
    samba.prepare()
    samba.add_user("root")
    configuration = ("--smb-conf", str(samba.configuration))
    machine.scmd("remote", "enable", "--smbd", str(samba.front), *configuration)
    for name, display in EXPECTED.items():
        machine.scm.install(name, ["/bin/sleep", "1000"], display=display)
        machine.scm[name].start(wait=True)
    by_tcp, by_pipe = (ADMINISTRATOR, PASSWORD), ("root", SMB_PASSWORD)
    with samba.running():
        for ndr, way, who in (
            ("SCMRTestsTCPTransport", "ByTcp", by_tcp),
            ("SCMRTestsSMBTransport", "ByPipe", by_pipe),
        ):
            wrong = f"({' or '.join(WRONG_IN_NDR64)}) and not failure_actions"
            corrected = f"Corrected{way} and {wrong}"
            ways = f"{ndr} or NDR64{way} or {corrected}"
            passed, skipped, failed, said = cases(suite, ways, samba.address, *who)
            assert failed == [f"NDR64{way}::{case}" for case in WRONG_IN_NDR64], said
            assert (passed, skipped) == (2 * 16, 2 * 4), said
