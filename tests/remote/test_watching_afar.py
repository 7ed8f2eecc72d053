"""Watching another machine: by TCP, by the named pipe behind smbd, by ssh."""

from __future__ import annotations

import os

import pytest

import scmd
from scmd import winsvc
from scmd.client.watching import Watch
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceState
from tests.client.conftest import created
from tests.remote.reach import ADMINISTRATOR, PASSWORD, Reach
from tests.remote.samba import Samba
from tests.remote.test_kerberos import by_tcp, site
from tests.remote.test_ssh import remote
from tests.system.machine import Machine
from tests.system.notify_stage import CREATED, RUNNING, STOPPED, Told
from tests.transport.kdc import Realm

__all__ = ["remote", "site"]


def follows(machine: Machine, changes: Watch) -> None:
    """Numbers go on under the next managers; an SCM that begins anew is a gap."""
    sleeper = machine.scm["Sleeper"]
    sleeper.start(wait=True)
    before = until(changes, "RUNNING").sequence
    os.kill(int(str(machine.scm.status()["manager_pid"])), 9)
    machine.disconnect()
    machine.scm["Sleeper"].stop(wait=True)
    assert next(changes).sequence == before + 1
    before = until(changes, "STOPPED").sequence
    machine.scmd("upgrade")
    machine.disconnect()
    machine.scm["Sleeper"].start(wait=True)
    assert next(changes).sequence == before + 1
    before = until(changes, "RUNNING").sequence
    machine.restart()
    anew = next(changes)
    assert (anew.kind, anew.gap, anew.sequence) == ("service", True, 0)
    machine.scm["Sleeper"].start(wait=True)
    until(changes, "RUNNING")


def until(changes: Watch, state: str) -> scmd.Change:
    for change in changes:
        if change.state == ServiceState[state]:
            return change
    raise AssertionError("it has ended")


def ends_when_refused(machine: Machine, changes: Watch) -> None:
    os.kill(int(str(machine.scm.status()["manager_pid"])), 9)
    machine.disconnect()
    with pytest.raises(scmd.WinError) as refused:
        next(changes)
    assert refused.value.winerror == Error.ACCESS_DENIED


def test_by_tcp(machine: Machine) -> None:
    reach = Reach(machine).open()
    machine.install("Sleeper", "sleep", "1000")
    machine.expected_complaints = "manager"
    with scmd.watch("Sleeper", host=reach.host, user=ADMINISTRATOR, password=PASSWORD) as changes:
        follows(machine, changes)
        machine.scmd("remote", "passwd", ADMINISTRATOR, input="another\n")
        ends_when_refused(machine, changes)


@pytest.mark.root
@pytest.mark.peers("smbd", "smbpasswd")
def test_by_the_named_pipe(machine: Machine) -> None:
    samba = Samba(machine.folder, f"127.71.{os.getpid() % 250}.{os.getpid() // 250 % 250}", 445)
    samba.prepare()
    samba.add_user("root")
    configuration = ("--smb-conf", str(samba.configuration))
    machine.scmd("remote", "enable", "--smbd", str(samba.front), *configuration)
    machine.install("Sleeper", "sleep", "1000")
    machine.expected_complaints = "manager"
    host = f"//{samba.address}"
    with (
        samba.running(),
        scmd.watch("Sleeper", host=host, user="root", password=PASSWORD) as changes,
    ):
        follows(machine, changes)
        samba.add_user("root", "another")
        ends_when_refused(machine, changes)


def notifies(host: str) -> None:
    """The Win32 functions: of the SCM's handle and a service's, by one connection."""
    with (
        winsvc.OpenSCManager(host, None, winsvc.SC_MANAGER_ALL_ACCESS) as manager,
        winsvc.OpenService(manager, "Sleeper", winsvc.SERVICE_ALL_ACCESS) as service,
    ):
        told, of_manager = Told(), Told()
        told.again(service, STOPPED)
        told.ask(service, RUNNING)
        of_manager.ask(manager, CREATED)
        assert winsvc.SleepEx(1, True) == 0
        winsvc.StartService(service)
        told.hear(2)
        created(manager, "Brief").Close()
        of_manager.hear()
        winsvc.ControlService(service, winsvc.SERVICE_CONTROL_STOP)
        winsvc.WaitServiceState(service, winsvc.SERVICE_NOTIFY_STOPPED)
    assert (told.masks, of_manager.names) == ([STOPPED, RUNNING], ["/Brief"])


@pytest.mark.root
@pytest.mark.peers("sshd", "ssh")
def test_the_win32_functions_by_ssh(
    machine: Machine, remote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCMD_SSH", f"ssh -F {machine.folder}/ssh_config")
    machine.install("Sleeper", "sleep", "1000")
    notifies(f"ssh://root@127.0.0.1:{remote}")


@pytest.mark.root
@pytest.mark.peers("krb5kdc", "kadmin.local", "kinit")
def test_the_win32_functions_by_tcp_with_a_ticket(
    bare: Machine, site: Realm, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = bare.start()
    port = by_tcp(machine, site)
    machine.install("Sleeper", "sleep", "1000")
    monkeypatch.setenv("KRB5CCNAME", site.ticket("ann"))
    notifies(f"//localhost:{port}")
