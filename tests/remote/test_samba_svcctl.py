"""Our commands against Samba's own svcctl (C), which smbd serves when nobody is before it.

It has a few services and not quite half of the operations; its pipe is the only way there: 4.17
does not offer the interface by TCP, whatever endpoint mapper is asked.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scmd.client.connection import ConnectionFailed
from scmd.client.mapping import tcp_port
from scmd.client.scm import connect
from scmd.client.watching import watch
from scmd.endpoint_mapper.operations import PORT
from scmd.rpc.interface import Interface
from scmd.tools.main import main
from scmd.transport.tcp import TcpStream
from scmd.vocabulary.service import ServiceState
from tests.remote.samba import PASSWORD, Samba
from tests.system.machine import eventually

pytestmark = [pytest.mark.root, pytest.mark.peers("smbd", "smbpasswd")]

SPOOLER = (
    *("disable spoolss = no", "printing = bsd", "printcap name = /dev/null"),
    "rpcd_classic:num_workers = 1",
)
"""With these settings Samba's Spooler can be started and stopped, and everybody hears of it."""
EVERYBODY = "D:(A;;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)"
LACKS = r"FAILED 1745:.*the server does not have "
NO_LEVEL = "QueryServiceConfig2 FAILED 124:"
NO_CONTROL = "ControlService FAILED 87:"

SC: tuple[tuple[str, int, str], ...] = (
    ("query", 0, "RemoteRegistry.*RUNNING"),
    ("query state= inactive", 0, "NETLOGON.*STOPPED"),
    ("query type= driver state= all", 0, r"^\n?$"),
    ("query state= all bufsize= 100", 0, r"more data, need \d+ bytes start resume at index 0"),
    ("query state= all group= X", 1, LACKS + "EnumServicesStatusEx"),
    ("query Spooler", 0, r"110  WIN32_OWN_PROCESS  \(interactive\).*4  RUNNING"),
    ("query Spooler --json", 0, '"display_name": "Print Spooler"'),
    ("queryex Spooler", 0, r"PID +: [1-9]"),
    ("queryex state= all", 0, "WINS.*FLAGS"),
    ("query Missing", 1, "OpenService FAILED 1060:"),
    ("qc Spooler", 0, "DEMAND_START.*Print Spooler.*LocalSystem"),
    ("qc Spooler --json", 0, '"delayed_autostart": false'),
    ("qc Spooler 10", 1, r"FAILED 122:.*needs \d+ bytes"),
    ("qdescription Spooler", 0, "Internal service for spooling"),
    ("qfailure Spooler", 0, "RESET_PERIOD"),
    *((f"{verb} Spooler", 1, NO_LEVEL) for verb in ("qfailureflag", "qsidtype", "qprivs")),
    *((f"{verb} Spooler", 1, NO_LEVEL) for verb in ("qpreferrednode", "qmanagedaccount")),
    *((f"{verb} Spooler", 1, NO_LEVEL) for verb in ("qprotection", "qrunlevel")),
    ("quserservice Spooler", 0, "NONE"),
    ("qtriggerinfo Spooler", 1, LACKS + "QueryServiceConfigEx"),
    ("GetDisplayName spooler", 0, "Name = Print Spooler"),
    ("GetDisplayName Spooler 5", 1, "FAILED 122:.*needs 14 characters"),
    ("GetDisplayName Missing", 1, "GetServiceDisplayName FAILED 1060:"),
    ("GetKeyName 'Net Logon'", 0, "Name = NETLOGON"),
    ("GetKeyName Missing", 1, "GetServiceKeyName FAILED 1060:"),
    ("showsid Spooler", 0, "STATUS: Active"),
    ("showsid Missing", 0, "STATUS: Inactive"),
    ("EnumDepend Spooler", 0, "entriesread = 0"),
    ("sdshow Spooler", 0, r"D:\(A;;.*;;;BA\)"),
    ("sdshow Spooler showrights", 0, "allow S-1-5-32-544: QUERY_CONFIG"),
    ("sdshow scmanager", 1, "QueryServiceObjectSecurity FAILED 1060:"),
    (f"sdset Spooler '{EVERYBODY}'", 0, "SetServiceObjectSecurity SUCCESS"),
    ("sdshow Spooler", 0, re.escape(EVERYBODY)),
    (f"sdset scmanager '{EVERYBODY}'", 1, "SetServiceObjectSecurity FAILED 5:"),
    ("start Spooler", 1, "StartService FAILED 1056:"),
    ("stop Spooler", 0, "STATE +: 1  STOPPED"),
    ("start Spooler an argument", 0, "STATE +: 4  RUNNING"),
    ("stop Spooler 4:5:6 why", 1, LACKS + "ControlServiceEx"),
    ("start NETLOGON", 1, "StartService FAILED 1058:"),
    ("interrogate Spooler", 1, "ControlService FAILED 5:"),
    *((f"{verb} Spooler", 1, NO_CONTROL) for verb in ("pause", "continue")),
    *((f"control Spooler {code}", 1, NO_CONTROL) for code in ("paramchange", "200")),
    ("lock", 0, "UnlockServiceDatabase SUCCESS"),
    ("querylock", 1, LACKS + "QueryServiceLockStatus"),
    ("boot ok", 1, LACKS + "NotifyBootConfigStatus"),
    ("create New binPath= /bin/true", 1, LACKS + "CreateService"),
    ("delete Spooler", 1, LACKS + "DeleteService"),
    ("config Spooler start= demand", 1, LACKS + "ChangeServiceConfig$"),
    *(
        (f"{change}", 1, LACKS + "ChangeServiceConfig2$")
        for change in (
            *("description Spooler text", "failure Spooler reset= 0 actions= restart/1000"),
            *("failureflag Spooler 1", "sidtype Spooler none", "privs Spooler SeTcbPrivilege"),
            *("triggerinfo Spooler start/networkon", "preferrednode Spooler 1"),
            *("managedaccount Spooler true", "runlevel Spooler 1"),
        )
    ),
)
NET: tuple[tuple[str, int, str], ...] = (
    ("start", 0, r"started:\s+Print Spooler\s+Remote Registry Service\s+The command"),
    ("start spooler", 2, "already been started"),
    ("stop 'Print Spooler'", 0, "The Print Spooler service was stopped successfully."),
    ("start Spooler", 0, "The Print Spooler service was started successfully."),
    ("pause Spooler", 2, "System error 87"),
    ("stop NETLOGON", 2, "The Net Logon service is not started."),
    ("stop Missing", 2, "The service name is invalid."),
)
OWN: tuple[str, ...] = (
    "status",
    "logs Spooler",
    "events",
    "why Spooler",
    "history Spooler",
    "crash Spooler",
)
OWN += ("kill Spooler", "get Spooler", "set Spooler AppExit 1", "remove Spooler")


@pytest.fixture
def samba(folder: Path) -> Iterator[Samba]:
    address = f"127.78.{os.getpid() % 250}.{os.getpid() // 250 % 250}"
    samba = Samba(folder, address, 445)
    samba.prepare(*SPOOLER, front=False)
    samba.add_user("root")
    with samba.running():
        yield samba


def test_every_command_has_its_result_or_says_why_not(
    samba: Samba, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("u\n"))

    def said(program: str, line: str, user: str = f"-Uroot%{PASSWORD}") -> tuple[int, str]:
        status = main([program, f"//{samba.address}", user, *shlex.split(line)])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    for program, lines in (("sc", SC), ("net", NET)):
        for line, expected, pattern in lines:
            status, text = said(program, line)
            assert status == expected, (line, text)
            assert re.search(pattern, text.rstrip(), re.DOTALL), (line, text)
    for line in OWN:
        name, *rest = line.split()
        status, text = said(name, " ".join(rest))
        assert (status, "the server is not scmd" in text) == (1, True), (line, text)
    status, text = said("grants", "Spooler")
    assert (status, "Everyone" in text) == (0, True), text
    refused = r"no endpoint mapper at TCP port 135 \(.*\); SMB: the credentials are refused"
    for user, why in (("-Uroot%wrong", refused), ("-k", "no password")):
        status, text = said("sc", "query", user)
        assert (status, bool(re.search(why, text))) == (1, True), text


def test_the_python_api_finds_what_there_is(samba: Samba) -> None:
    with connect(f"//{samba.address}", user="root", password=PASSWORD) as scm:
        names = {service.name for service in scm.services()}
        running = {service.name for service in scm.services(state="running")}
        assert running == {"Spooler", "RemoteRegistry"} < names
        assert scm["RemoteRegistry"].status.state == ServiceState.RUNNING
        assert scm["NETLOGON"].display_name == "Net Logon"
    with watch(
        "Spooler", host=f"//{samba.address}", user="root", password=PASSWORD, initial=True
    ) as changes:
        assert next(changes).state == ServiceState.RUNNING
        with connect(f"//{samba.address}", user="root", password=PASSWORD) as scm:
            scm["Spooler"].stop(wait=True)
        assert next(changes).state == ServiceState.STOPPED


@contextmanager
def dcerpcd(samba: Samba) -> Iterator[None]:
    """Samba's RPC servers as a daemon, its endpoint mapper among them."""
    folder = next(Path("/usr").glob("lib*/**/samba-dcerpcd")).parent
    servers = (folder / name for name in ("rpcd_classic", "rpcd_epmapper", "rpcd_winreg"))
    with subprocess.Popen(
        [folder / "samba-dcerpcd", "--foreground", "-s", samba.configuration, *servers],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as daemon:
        try:
            eventually(lambda: is_open(samba.address, PORT), "the endpoint mapper")
            yield
        finally:
            daemon.terminate()


def is_open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port)).close()
    except OSError:
        return False
    return True


def test_sambas_endpoint_mapper_tells_a_port_or_that_there_is_none(folder: Path) -> None:
    samba = Samba(folder, f"127.73.{os.getpid() % 250}.{os.getpid() // 250 % 250}", 445)
    samba.prepare("rpc start on demand helpers = no", front=False)
    samba.add_user("root")
    registry = Interface("winreg", "338cd001-2244-31f1-aaaa-900038001003", 1, 0)
    with dcerpcd(samba), samba.running():
        stream = TcpStream(samba.address, PORT, 30, 30)
        port = tcp_port(stream, registry)
        stream.close()
        assert port >= 49152
        assert is_open(samba.address, port)
        # It serves svcctl by named pipe only: what remains is that.
        with connect(f"//{samba.address}", user="root", password=PASSWORD) as scm:
            assert "NETLOGON" in [service.name for service in scm.services()]
        with pytest.raises(ConnectionFailed) as caught:
            connect(f"//{samba.address}", user="root")
        assert "the endpoint mapper at TCP port 135: " in str(caught.value)
