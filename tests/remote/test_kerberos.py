"""Kerberos by TCP: a ticket instead of a password, with a real KDC."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from scmd.client.scm import connect
from scmd.vocabulary.errors import Error
from scmd.vocabulary.winerror import WinError
from tests.remote.free_ports import free_port
from tests.system.machine import Machine
from tests.transport.kdc import REALM, Realm, realm

pytestmark = [pytest.mark.root, pytest.mark.peers("krb5kdc", "kadmin.local", "kinit")]


@pytest.fixture
def site(bare: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realm]:
    """A realm whose service is this machine by the name localhost; this process is in it too."""
    folder = bare.folder / "realm"
    folder.mkdir()
    with realm(folder) as made:
        for query in ("addprinc -randkey host/localhost", f"ktadd -k {made.keytab} host/localhost"):
            made.run("kadmin.local", "-r", REALM, "-q", query)
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        bare.more_environment = dict(made.variables)
        yield made


def test_a_ticket_is_a_way_in(bare: Machine, site: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = bare.start()
    port = free_port()
    machine.scmd("remote", "adduser", "ann", "--administrator", "--no-password")
    machine.scmd("remote", "enable", "--tcp", f"127.0.0.1:{port}", "--keytab", site.keytab)
    assert "ann, by Kerberos only" in machine.scmd("remote", "status")
    host = f"//localhost:{port}"
    for cache, error in (
        (f"FILE:{site.folder}/none", Error.ACCESS_DENIED),
        (site.ticket("bob"), Error.ACCESS_DENIED),
    ):
        monkeypatch.setenv("KRB5CCNAME", cache)
        with pytest.raises(WinError) as caught, connect(host) as scm:
            scm.services()
        assert caught.value.winerror == error
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
