"""Other people's clients against our end points: by TCP, and by the named pipe through smbd."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scmd.client.scm import connect
from scmd.client.watching import Watch
from scmd.scmd_interface.operations import SCMD
from scmd.svcctl.interface import SVCCTL
from scmd.vocabulary.service import ServiceState as State
from tests.remote.reach import ADMINISTRATOR, LEVELS, PASSWORD, Reach, impacket_says
from tests.remote.samba import PASSWORD as SMB_PASSWORD
from tests.remote.samba import Samba
from tests.system.machine import Machine, eventually
from tests.system.test_foreign_clients import BINDINGS, SAID

pytestmark = [pytest.mark.root, pytest.mark.peers("smbtorture", "smbd")]

HERE = Path(__file__).parent
SERVICES_PY = Path(sys.executable).with_name("services.py")
RPCDUMP_PY = Path(sys.executable).with_name("rpcdump.py")
EXPECTED = {"Spooler": "", "PlugPlay": "Plug and Play", "CryptSvc": "", "RemoteRegistry": ""}
"""Services that the suites take for granted, with their display names."""


@pytest.fixture
def reach(machine: Machine) -> Reach:
    reach = Reach(machine).open()
    for name, display in EXPECTED.items():
        machine.scm.install(name, ["/bin/sleep", "1000"], display=display)
        machine.scm[name].start(wait=True)
    return reach


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=180, check=False)


def torture(binding: str, user: str, *options: str) -> tuple[list[str], list[str], str]:
    """The cases that passed and those that did not, and all that was said."""
    done = run("smbtorture", binding, *options, "-U", user, "rpc.svcctl")
    passed = re.findall(r"^success: svcctl\.(\w+)", done.stdout, re.MULTILINE)
    failed = re.findall(r"^(?:failure|error|skip): svcctl\.(\w+)", done.stdout, re.MULTILINE)
    return passed, failed, done.stdout + done.stderr


def test_smbtorture_by_tcp(machine: Machine, reach: Reach) -> None:
    def outcome(options: str) -> tuple[list[str], list[str], str]:
        binding = f"ncacn_ip_tcp:{reach.address}[{reach.port},{options}]"
        return torture(binding, f"{ADMINISTRATOR}%{PASSWORD}")

    for options in ("seal", "ntlm,seal", "seal,bigendian", "seal,ndr64"):
        passed, failed, said = outcome(options)
        assert len(passed) >= 12, (options, said)
        assert failed == [], (options, said)
    for options in ("sign", "packet", "connect"):
        passed, failed, said = outcome(options)
        assert passed == [], (options, said)
        assert "ACCESS_DENIED" in said, (options, said)
    machine.scmd("remote", "enable", "--level", "integrity")
    for options in ("sign", "ntlm,sign"):
        passed, failed, said = outcome(options)
        assert len(passed) >= 12, (options, said)
        assert failed == [], (options, said)
    for options in ("packet", "connect"):
        assert outcome(options)[0] == [], options


def test_sambas_python_bindings_by_tcp(machine: Machine) -> None:
    reach = Reach(machine).open()
    for options in ("seal", "seal,ndr64"):
        binding = f"ncacn_ip_tcp:{reach.address}[{reach.port},{options}]"
        done = run("/usr/bin/python3", BINDINGS, binding, "", ADMINISTRATOR, PASSWORD)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        owner = said.pop("QueryServiceLockStatusW")
        expected = {**SAID}
        del expected["QueryServiceLockStatusW"]
        assert said == expected
        assert owner[0] == 1


UNKNOWN_OPERATIONS = (*(10, 22, 34, 43, 46), *range(52, 56), *range(57, 60), *range(61, 64))
UNKNOWN_OPERATIONS += (65, 100, 0xFFFF)
CONFIGURED: dict[str, Any] = {
    "RGetServiceDisplayNameW": "Plug and Play",
    "RGetServiceKeyNameW": "PlugPlay",
    "RQueryServiceStatusEx needed": 36,
    "RQueryServiceStatus": 4,
    "RStartServiceW": 1056,
    "RControlService again": {1061, 1062},
    "ROpenServiceW missing": 1060,
    "REnumServicesStatusExW small": {234, 0},
    "RQueryServiceObjectSecurity": 5,
    "configuration": [32, 4, 2, "BETOBETO", "KKKK", "RemoteRegistry", "After"],
    "buffer 1": "04000000" + "betobeto\0".encode("utf-16-le").hex(),
    "buffer 3": "00000000",
    "buffer 4": "01000000",
    "buffer 5": "01000000",
    "buffer 7": "16000000",
    **{f"RQueryServiceConfig2W {level} small": 122 for level in (1, 3, 4, 5, 7)},
    **{f"operation {number}": "nca_s_op_rng_error" for number in UNKNOWN_OPERATIONS},
}
"""What impacket's calls are answered; all others succeed. (Of an answer in NDR64 to its
REnumServicesStatusExW impacket reads the error in the wrong place.)"""


def check_impacket(binding: str, user: str, password: str, *syntax: str) -> None:
    done = run(sys.executable, HERE / "impacket_calls.py", binding, user, password, *syntax)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(said) >= 40
    assert said.keys() >= {f"operation {number}" for number in UNKNOWN_OPERATIONS}
    assert EXPECTED.keys() <= set(said.pop("REnumServicesStatusW"))
    for call, result in said.items():
        expected = CONFIGURED.get(call, 0)
        allowed = expected if isinstance(expected, set) else [expected]
        assert result in allowed, (call, result)


def test_impackets_calls_by_tcp(machine: Machine, reach: Reach) -> None:
    binding = f"ncacn_ip_tcp:{reach.address}[{reach.port}]"
    for syntax in ((), ("ndr64",)):
        check_impacket(binding, ADMINISTRATOR, PASSWORD, *syntax)
        machine.await_state("CryptSvc", "STOPPED")
        machine.scm["CryptSvc"].start(wait=True)
        for made in ("TESTSVC", "CHANGING"):
            machine.await_gone(made)


def test_impacket_at_every_level(machine: Machine, reach: Reach) -> None:
    """At PACKET impacket does not sign, so it gets no further than at CONNECT."""
    binding = f"ncacn_ip_tcp:{reach.address}[{reach.port}]"

    def said(password: str = PASSWORD) -> list[str]:
        return impacket_says(binding, ADMINISTRATOR, password, LEVELS)

    denied, all_services = "rpc_s_access_denied", str(len(EXPECTED))
    assert said() == [denied, denied, denied, all_services]
    audit = [event["message"] for event in machine.json("events", "--source", "scmd audit")]
    refused = [message for message in audit if "calls without the proof" in message]
    named = [f"\\{ADMINISTRATOR}: error 1326" in message for message in refused]
    assert named == [True, False, True], "at PACKET the calls say nothing of who makes them"
    machine.scmd("remote", "enable", "--level", "integrity")
    assert said() == [denied, denied, all_services, all_services]
    assert said("wrong") == 4 * [denied]


def test_what_is_mapped_is_listed(machine: Machine) -> None:
    """rpcclient takes one entry at a time, impacket all at once."""
    reach = Reach(machine, f"127.84.{os.getpid() % 250}.{os.getpid() // 250 % 250}")
    reach.mapper = 135
    reach.open()
    for command in (
        ("rpcclient", f"ncacn_ip_tcp:{reach.address}", "-U%", "-c", "epmlookup"),
        (sys.executable, "-W", "ignore", RPCDUMP_PY, reach.address),
    ):
        done = run(*command)
        assert done.stdout.count(f"ncacn_ip_tcp:{reach.address}[{reach.port}") == 2, done
        for interface in (SVCCTL, SCMD):
            assert str(interface.uuid) in done.stdout.lower(), done


def test_who_proves_himself_to_the_mapper_is_held_to_it(machine: Machine) -> None:
    """Hardened clients do, others need not."""
    from impacket.dcerpc.v5 import epm, mgmt, scmr, transport
    from impacket.dcerpc.v5.rpcrt import DCERPCException

    reach = Reach(machine).open()

    def mapper(password: str | None) -> Any:
        tcp = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:{reach.address}[{reach.mapper}]")
        dce = tcp.get_dce_rpc()
        if password is not None:
            tcp.set_credentials(ADMINISTRATOR, password)
            dce.set_auth_type(10)
            dce.set_auth_level(6)
        dce.connect()
        return dce

    for password in (None, PASSWORD):
        dce = mapper(password)
        bound = epm.hept_map(reach.address, scmr.MSRPC_UUID_SCMR, protocol="ncacn_ip_tcp", dce=dce)
        assert bound == f"ncacn_ip_tcp:{reach.address}[{reach.port}]"
        dce.disconnect()
        dce = mapper(password)
        dce.bind(mgmt.MSRPC_UUID_MGMT)
        assert mgmt.hinq_if_ids(dce)["if_id_vector"]["count"] == 2
        dce.disconnect()
    dce = mapper("wrong")
    with pytest.raises(DCERPCException, match="access_denied"):
        epm.hept_map(reach.address, scmr.MSRPC_UUID_SCMR, protocol="ncacn_ip_tcp", dce=dce)
    dce.disconnect()


def test_smbtorture_asks_every_interface_about_itself(machine: Machine) -> None:
    """rpc.mgmt: the port of each interface comes from the mapper, which is asked too."""
    reach = Reach(machine, f"127.85.{os.getpid() % 250}.{os.getpid() // 250 % 250}")
    reach.mapper = 135
    reach.open()
    binding = f"ncacn_ip_tcp:{reach.address}[135,seal]"
    done = run("smbtorture", binding, "-U", f"{ADMINISTRATOR}%{PASSWORD}", "rpc.mgmt")
    said = done.stdout + done.stderr
    assert "success: mgmt" in done.stdout, said
    for interface in ("'svcctl'", "'epmapper'", "'mgmt'"):
        assert interface in said, said
    assert said.count("server refused to stop listening") >= 2


@pytest.fixture
def samba(machine: Machine, reach: Reach) -> Samba:
    """At port 445 of an address of its own, since some clients know no other."""
    samba = Samba(machine.folder, f"127.77.{os.getpid() % 250}.{os.getpid() // 250 % 250}", 445)
    samba.prepare()
    samba.add_user("root")
    configuration = ("--smb-conf", str(samba.configuration))
    machine.scmd("remote", "enable", "--smbd", str(samba.front), *configuration)
    return samba


def test_the_pipes_clients(machine: Machine, samba: Samba) -> None:
    """smbtorture, impacket's library and its services.py, our own client; one smbd for all."""
    with samba.running():
        binding = f"ncacn_np:{samba.address}[\\pipe\\svcctl,smb2]"
        passed, failed, said = torture(binding, f"root%{SMB_PASSWORD}")
        assert len(passed) >= 12, said
        assert failed == [], said
        check_impacket(f"ncacn_np:{samba.address}[\\pipe\\svcctl]", "root", SMB_PASSWORD)
        machine.scm["CryptSvc"].start(wait=True)
        services_py(machine, samba)
        # No endpoint mapper at that address: the pipe is the second choice.
        with connect(f"//{samba.address}", user="root", password=SMB_PASSWORD) as scm:
            assert {service.name for service in scm.services()} >= EXPECTED.keys()
            scm["Spooler"].stop(wait=True)
        machine.await_state("Spooler", "STOPPED")


def services_py(machine: Machine, samba: Samba) -> None:
    def said(verb: str, *arguments: str) -> str:
        target = f"root:{SMB_PASSWORD}@{samba.address}"
        done = run(sys.executable, SERVICES_PY, target, verb, *arguments)
        assert done.returncode == 0, done
        return done.stdout

    assert "Plug and Play" in said("list")
    create = ("-name", "Made", "-display", "By services.py", "-path", "/bin/true")
    said("create", *create)
    assert machine.json("sc", "qc", "Made")["binary_path_name"] == "/bin/true"
    said("change", "-name", "Made", "-display", "Renamed", "-start_type", "3")
    config = said("config", "-name", "Made")
    assert "Renamed" in config
    assert "DEMAND START" in config
    said("delete", "-name", "Made")
    assert machine.refused("query", "Made") == 1060
    said("stop", "-name", "CryptSvc")
    machine.await_state("CryptSvc", "STOPPED")
    assert "STOPPED" in said("status", "-name", "CryptSvc")
    said("start", "-name", "CryptSvc")
    machine.await_state("CryptSvc", "RUNNING")


def test_handles_of_a_client_that_dies_are_closed(machine: Machine, reach: Reach) -> None:
    """One that is killed in the middle held a service open, which is then deleted at last."""
    holder = f"""if True:
        import scmd, sys
        from scmd.vocabulary.service import ServiceAccess
        scm = scmd.connect({reach.host!r}, user={ADMINISTRATOR!r}, password={PASSWORD!r})
        scm.calls.open_service(scm.handle, "Doomed", ServiceAccess.QUERY_STATUS)
        print("open", flush=True)
        sys.stdin.read()
    """
    machine.install("Doomed", "true")
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"open\n"
        machine.sc("delete", "Doomed")
        assert machine.json("why", "Doomed")["holders"][0]["name"].endswith(ADMINISTRATOR)
        client.send_signal(signal.SIGKILL)
        client.wait()
    machine.await_gone("Doomed")


def test_five_hundred_clients_at_once(machine: Machine, reach: Reach) -> None:
    """All connected and authenticated, each with a handle of its own; then all gone."""
    clients = [connect(reach.host, user=ADMINISTRATOR, password=PASSWORD) for _ in range(500)]
    for client in clients:
        assert client["Spooler"].status.process_id
    assert reach.status()["connections"] == 500
    for client in clients:
        client.close()
    eventually(lambda: reach.status()["connections"] == 0, "the end of all connections")
    with socket.create_connection((reach.address, reach.port)):
        pass


def test_our_client_watches_sambas_own_svcctl(machine: Machine) -> None:
    """It has neither a feed nor notifications: its services are looked at, again and again."""
    address = f"127.79.{os.getpid() % 250}.{os.getpid() // 250 % 250}"
    samba = Samba(machine.folder, address, 445)
    # Each of its processes has a Spooler state of its own.
    samba.prepare("disable spoolss = no", "rpcd_classic:num_workers = 1", front=False)
    samba.add_user("root")
    far = partial(connect, f"//{address}", user="root", password=SMB_PASSWORD)
    with (
        samba.running(),
        far() as scm,
        far() as other,
        Watch(lambda: far().calls, ["spooler"], initial=True) as changes,
    ):
        first = next(changes)
        assert (first.kind, first.name, first.state) == ("service", "Spooler", State.RUNNING)
        scm["Spooler"].stop(wait=True)
        stopped = next(changes)
        assert (stopped.before, stopped.state) == (State.RUNNING, State.STOPPED)
        assert (stopped.sampled, stopped.gap) == (True, False)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(scm["Spooler"].wait, "running")
            other["Spooler"].start(wait=False)
            assert waiting.result().state == State.RUNNING
        assert next(changes).state == State.RUNNING
