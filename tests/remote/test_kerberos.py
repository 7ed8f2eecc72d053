"""Kerberos by TCP: a ticket instead of a password, with a real KDC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from scmd.client.connection import ConnectionFailed
from scmd.client.scm import connect
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.free_ports import free_port
from tests.remote.reach import LEVELS, PRIVACY, impacket_says
from tests.remote.samba import Samba
from tests.system.machine import Machine
from tests.transport.kdc import OTHER_REALM, PASSWORD, REALM, SERVICE, Realm, realm

pytestmark = [pytest.mark.root, pytest.mark.peers("krb5kdc", "kadmin.local", "kinit", "smbd")]
SERVICES_PY = Path(sys.executable).with_name("services.py")


@pytest.fixture
def site(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realm]:
    """A realm whose service is this machine by the name localhost; this process is in it too."""
    folder = bare.folder / "realm"
    folder.mkdir()
    with realm(folder) as made:
        made.admit("host/localhost")
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        bare.more_environment = dict(made.variables)
        yield made


def by_tcp(machine: Machine, site: Realm) -> int:
    """The port where ann may come in with her ticket, and in no other way."""
    port = free_port()
    machine.scmd("remote", "adduser", "ann", "--administrator", "--no-password")
    machine.scmd("remote", "enable", "--tcp", f"127.0.0.1:{port}", "--keytab", site.keytab)
    return port


def test_a_ticket_is_a_way_in(bare: Machine, site: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bare.start()
    port = free_port()
    machine.scmd("remote", "adduser", "ann", "--administrator", "--no-password")
    mapper = free_port()
    tcp = ("--tcp", f"127.0.0.1:{port}", "--epm", f"127.0.0.1:{mapper}")
    done = machine.try_scmd("remote", "enable", *tcp, "--keytab", "/dev/null")
    assert (done.returncode, "/dev/null is no keytab" in done.stderr) == (1, True)
    machine.scmd("remote", "enable", *tcp, "--keytab", site.keytab)
    assert "ann, by Kerberos only" in machine.scmd("remote", "status")
    assert principal_name(mapper) == f"{SERVICE}@{REALM}"
    machine.restart()
    assert principal_name(mapper) == f"{SERVICE}@{REALM}"
    host = f"//localhost:{port}"
    for cache, was_asked in (
        (f"FILE:{site.folder}/none", False),
        (site.ticket("bob"), True),
        (site.ticket(f"ann@{OTHER_REALM}"), True),
    ):
        monkeypatch.setenv("KRB5CCNAME", cache)
        with pytest.raises(WinError) as caught, connect(host) as scm:
            scm.services()
        assert caught.value.winerror == Error.ACCESS_DENIED
        # Only the server's own word ends a watch (`watching`).
        mine = isinstance(caught.value, ConnectionFailed) and caught.value.refused_at is None
        assert mine != was_asked
    with pytest.raises(WinError) as caught, connect(host, user="ann", password="") as scm:
        scm.services()
    assert caught.value.winerror == Error.ACCESS_DENIED
    monkeypatch.setenv("KRB5CCNAME", site.ticket("ann"))
    machine.install("Sleeper", "sleep", "1000")
    with connect(host) as scm:
        scm["Sleeper"].start(wait=True)
        assert "Sleeper" in [service.name for service in scm.services(state="running")]
        scm["Sleeper"].stop(wait=True)
    assert machine.json("history", "Sleeper")[-1]["actor"] == f"{REALM}\\ann"
    monkeypatch.undo()
    assert "KRB5_CONFIG" not in os.environ


def principal_name(port: int) -> str:
    """What the mgmt interface tells anybody who asks."""
    from impacket.dcerpc.v5 import mgmt, transport

    dce = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:127.0.0.1[{port}]").get_dce_rpc()
    dce.connect()
    dce.bind(mgmt.MSRPC_UUID_MGMT)
    answer = mgmt.hinq_princ_name(dce, authn_proto=16, princ_name_size=200)
    dce.disconnect()
    name: bytes = b"".join(answer["princ_name"])
    return name.rstrip(b"\0").decode()


def test_impacket_comes_with_a_ticket(
    bare: Machine, site: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ticket is kvno's: impacket's own request lacks the checksum that MIT's KDC demands."""
    machine = bare.start()
    port = by_tcp(machine, site)

    def said(user: str, levels: Iterable[str] = LEVELS) -> list[str]:
        cache = site.ticket(user, "host/localhost")
        monkeypatch.setenv("KRB5CCNAME", cache.removeprefix("FILE:"))
        return impacket_says(f"ncacn_ip_tcp:localhost[{port}]", user, "", levels, REALM)

    denied = "rpc_s_access_denied"
    assert said("ann") == [denied, denied, denied, "4"]
    assert said("bob", [PRIVACY]) == [denied]
    machine.scmd("remote", "enable", "--level", "integrity")
    assert said("ann") == [denied, denied, "4", "4"]


SAMBA = """
import json, sys
from samba import credentials, param
from samba.dcerpc import svcctl
port, realm, user, password, *options = sys.argv[1:]
lp = param.LoadParm()
lp.set("realm", realm)
creds = credentials.Credentials()
creds.guess(lp)
creds.set_kerberos_state(credentials.MUST_USE_KERBEROS)
creds.set_username(user)
creds.set_realm(realm)
creds.set_password(password)
answers = {}
for option in options:
    binding = f"ncacn_ip_tcp:127.0.0.1[{port},target_hostname=localhost,{option}]"
    try:
        scm = svcctl.svcctl(binding, lp, creds)
        handle = scm.OpenSCManagerW(None, None, 0xF003F)
        answers[option] = scm.EnumServicesStatusW(handle, 0x30, 3, 262144, 0)[2]
    except Exception as error:
        answers[option] = hex(error.args[0])
print(json.dumps(answers))
"""


def test_samba_comes_with_a_ticket(bare: Machine, site: Realm) -> None:
    """Bare and inside SPNEGO, in all forms; its Kerberos is Heimdal's."""
    machine = bare.start()
    port = by_tcp(machine, site)
    sealed = ("krb5,seal", "krb5,seal,ndr64", "krb5,seal,bigendian", "spnego,seal")
    signed = ("krb5,sign", "spnego,sign")

    def said(*options: str) -> dict[str, object]:
        arguments = (str(port), REALM, "ann", PASSWORD, *options)
        done = subprocess.run(
            ["/usr/bin/python3", "-W", "ignore", "-c", SAMBA, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        answers: dict[str, object] = json.loads(done.stdout)
        return answers

    denied = "0xc0000022"  # STATUS_ACCESS_DENIED
    assert said(*sealed, *signed) == dict.fromkeys(sealed, 3) | dict.fromkeys(signed, denied)
    machine.scmd("remote", "enable", "--level", "integrity")
    weak = ("krb5,connect", "spnego,packet")
    assert said(*signed, *weak) == dict.fromkeys(signed, 3) | dict.fromkeys(weak, denied)


def test_a_ticket_for_smbd_is_one_for_the_pipe(
    bare: Machine, site: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bare.start()
    machine.install("Sleeper", "sleep", "1000")
    samba = Samba(bare.folder, f"127.79.{os.getpid() % 250}.{os.getpid() // 250 % 250}", 445)
    samba.prepare(
        f"realm = {REALM}",
        "kerberos method = dedicated keytab",
        f"dedicated keytab file = {site.keytab}",
    )
    samba.add_user("root")
    configuration = ("--smb-conf", str(samba.configuration))
    machine.scmd("remote", "enable", "--smbd", str(samba.front), *configuration)
    site.admit("cifs/smb.scmd.test")
    cache = site.ticket("root", "cifs/smb.scmd.test")
    monkeypatch.setenv("KRB5CCNAME", cache.removeprefix("FILE:"))

    def services_py(*arguments: str) -> str:
        target = ("-target-ip", samba.address, f"{REALM}/root@smb.scmd.test")
        done = subprocess.run(
            [sys.executable, str(SERVICES_PY), "-k", "-no-pass", *target, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, (done, samba.logs())
        return done.stdout

    with samba.running():
        assert "Sleeper" in services_py("list")
        services_py("start", "-name", "Sleeper")
        machine.await_state("Sleeper", "RUNNING")
        assert "RUNNING" in services_py("status", "-name", "Sleeper")
        services_py("stop", "-name", "Sleeper")
        machine.await_state("Sleeper", "STOPPED")
    assert machine.json("history", "Sleeper")[-1]["actor"].lower().endswith("\\root")
