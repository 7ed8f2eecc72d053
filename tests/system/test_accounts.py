"""Service accounts as they are on the machine: who a program is, and what it may do."""

from __future__ import annotations

import grp
import json
import os
import pwd
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scmd.linux.accounts import PATH
from scmd.vocabulary.errors import Error
from tests.system import programs
from tests.system.installation import NOBODY
from tests.system.machine import Machine, finished
from tests.system.programs import PYTHON

pytestmark = pytest.mark.root

FIRST = 0x7000_0000
SYSTEM_PYTHON = "/usr/bin/python3"

CONFESS = """if 1:
    import json, os, signal
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(json.dumps({
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "environment": dict(os.environ),
        **{name: int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")},
    }), flush=True)
    signal.pause()
"""
NET_BIND, SYS_BOOT, SYS_TIME = 1 << 10, 1 << 22, 1 << 25


def confess(machine: Machine, name: str, *configuration: str) -> dict[str, Any]:
    """What a program finds out about itself when it runs so configured."""
    machine.install(name, SYSTEM_PYTHON, "-I", "-c", CONFESS)
    if configuration:
        machine.sc("config", name, *configuration)
    return run(machine, name)


def run(machine: Machine, name: str) -> dict[str, Any]:
    times = machine.log(name).count("\n") + 1
    machine.sc("start", name)
    machine.await_state(name, "RUNNING")
    told = machine.await_log(name, rf"(?:\{{.*\}}\n){{{times}}}")[0]
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    machine.scmd("net", "stop", name)
    return found


def next_account(machine: Machine) -> int:
    """The uid and gid of the service that is created next: each record has a number of its own."""
    with closing(sqlite3.connect(machine.state / "registry.db")) as database:
        numbers = database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'")
        return FIRST + 1 + sum(int(number) for (number,) in numbers)


def everybody(uid: int, gid: int) -> dict[str, list[int]]:
    return {"uids": [uid] * 3, "gids": [gid] * 3}


@pytest.mark.parametrize(
    "account", ["LocalService", "NT AUTHORITY\\LocalService", "NT AUTHORITY\\NetworkService"]
)
def test_the_low_accounts_have_no_rights_and_nothing_of_the_scms(
    machine: Machine, account: str
) -> None:
    told = confess(machine, "Low", "obj=", account)
    user = pwd.getpwnam("nobody")
    assert told.items() >= everybody(user.pw_uid, user.pw_gid).items()
    assert told["groups"] == [user.pw_gid]
    assert (told["CapPrm"], told["CapEff"], told["CapAmb"]) == (0, 0, 0)
    environment = told["environment"]
    assert environment.pop("SCMD_LAUNCH").partition(":")[0].isdecimal()
    environment.pop("LC_CTYPE", None)  # Python's own.
    assert environment == {
        "PATH": PATH,
        "HOME": user.pw_dir,
        "USER": "nobody",
        "LOGNAME": "nobody",
        "SHELL": user.pw_shell,
        "LANG": "C.UTF-8",
        "SCMD_RUNTIME": str(machine.runtime),
    }


def test_local_system_keeps_everything(machine: Machine) -> None:
    told = confess(machine, "High")
    assert told.items() >= everybody(0, 0).items()
    own = {
        name: int(value, 16)
        for name, _, value in (
            line.partition(":") for line in Path("/proc/self/status").read_text().splitlines()
        )
        if name in ("CapPrm", "CapBnd")
    }
    assert (told["CapPrm"], told["CapBnd"]) == (own["CapPrm"], own["CapBnd"])


@pytest.fixture
def user() -> Iterator[pwd.struct_passwd]:
    """A user with two groups besides his own, and a home."""
    name, groups = f"scmd-{os.getpid()}", (f"scmda-{os.getpid()}", f"scmdb-{os.getpid()}")
    for group in groups:
        subprocess.run(["groupadd", group], check=True)
    subprocess.run(
        ["useradd", "--no-create-home", "--home-dir", "/srv", "-G", ",".join(groups), name],
        check=True,
    )
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", name], check=True)
        for group in groups:
            subprocess.run(["groupdel", group], check=True)


def test_a_named_user_has_his_groups_and_his_home(
    machine: Machine, user: pwd.struct_passwd
) -> None:
    told = confess(machine, "Named", "obj=", f".\\{user.pw_name}")
    assert told.items() >= everybody(user.pw_uid, user.pw_gid).items()
    members = {group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem}
    assert len(members) == 2
    assert set(told["groups"]) == {user.pw_gid, *members}
    assert (told["environment"]["HOME"], told["environment"]["USER"]) == ("/srv", user.pw_name)


def test_an_account_that_is_gone_when_the_service_starts_is_1069(
    machine: Machine, user: pwd.struct_passwd
) -> None:
    machine.install("Gone", "sleep", "1000")
    machine.sc("config", "Gone", "obj=", user.pw_name)
    subprocess.run(["usermod", "--login", f"{user.pw_name}x", user.pw_name], check=True)
    try:
        assert machine.refused("start", "Gone") == Error.SERVICE_LOGON_FAILED
    finally:
        subprocess.run(["usermod", "--login", user.pw_name, f"{user.pw_name}x"], check=True)
    assert machine.status("Gone").win32_exit_code == Error.SERVICE_LOGON_FAILED
    assert "no user for account" in machine.scmd("why", "Gone")


def test_services_of_one_process_need_one_account(machine: Machine) -> None:
    pair = programs.write(machine.folder, "pair.py", programs.PAIR)
    for name in ("First", "Second"):
        machine.create(name, PYTHON, pair, kind="share")
    machine.sc("config", "Second", "obj=", "LocalService")
    machine.scmd("net", "start", "First")
    assert machine.refused("start", "Second") == Error.DIFFERENT_SERVICE_ACCOUNT
    machine.sc("config", "Second", "obj=", "LocalSystem")
    machine.scmd("net", "start", "Second")
    assert machine.status("First").process_id == machine.status("Second").process_id


def test_a_virtual_account_is_nobody_else(machine: Machine) -> None:
    uid = next_account(machine)
    told = confess(machine, "Web", "obj=", "NT SERVICE\\Web")
    assert told.items() >= {**everybody(uid, uid), "groups": [uid], "CapPrm": 0}.items()
    environment = told["environment"]
    assert (environment["USER"], environment["HOME"]) == ("Web", "/")
    assert machine.json("sc", "qc", "Web")["service_start_name"] == "NT SERVICE\\Web"
    machine.sc("delete", "Web")
    machine.await_gone("Web")
    again = confess(machine, "Web", "obj=", "NT SERVICE\\Web")
    assert again["uids"] == [uid + 1] * 3
    assert machine.refused("config", "Web", "obj=", "NT SERVICE\\Other") == 1057


def test_a_virtual_account_keeps_its_number_when_the_range_moves(bare: Machine) -> None:
    bare.set_control(VirtualAccountBase=300_000, VirtualAccountCount=1000, BuiltInServices=0)
    bare.start()
    assert confess(bare, "Web", "obj=", "NT SERVICE\\Web")["uids"] == [300_001] * 3
    assert bare.stop() == 0
    bare.set_control(VirtualAccountBase=400_000)
    bare.start()
    assert run(bare, "Web")["uids"] == [300_001] * 3
    assert confess(bare, "Other", "obj=", "NT SERVICE\\Other")["uids"] == [400_002] * 3


def test_a_service_sid_is_a_group_of_its_process(machine: Machine) -> None:
    gid = next_account(machine)
    machine.install("Marked", SYSTEM_PYTHON, "-I", "-c", CONFESS)
    machine.sc("sidtype", "Marked", "unrestricted")
    assert set(run(machine, "Marked")["groups"]) == {*os.getgroups(), gid}
    machine.sc("config", "Marked", "obj=", "LocalService")
    nobody = pwd.getpwnam("nobody").pw_gid
    assert run(machine, "Marked")["groups"] == [nobody, gid]


def test_required_privileges_bound_root(machine: Machine) -> None:
    machine.install("High", SYSTEM_PYTHON, "-I", "-c", CONFESS)
    machine.sc("privs", "High", "SeShutdownPrivilege/SeSystemtimePrivilege")
    told = run(machine, "High")
    assert told.items() >= everybody(0, 0).items()
    wanted = SYS_BOOT | SYS_TIME
    assert (told["CapPrm"], told["CapEff"], told["CapBnd"]) == (wanted,) * 3


def test_required_privileges_are_given_to_others(machine: Machine) -> None:
    uid = next_account(machine)
    machine.install("Low", SYSTEM_PYTHON, "-I", "-c", CONFESS)
    machine.sc("config", "Low", "obj=", "NT SERVICE\\Low")
    machine.sc("privs", "Low", "CAP_NET_BIND_SERVICE/SeChangeNotifyPrivilege")
    told = run(machine, "Low")
    assert told["uids"] == [uid] * 3
    names = ("CapPrm", "CapEff", "CapBnd", "CapAmb")
    assert [told[name] for name in names] == [NET_BIND] * 4


def test_a_privilege_that_does_not_exist_fails_the_start(machine: Machine) -> None:
    machine.install("Odd", "sleep", "1000")
    machine.sc("privs", "Odd", "SeNonsensePrivilege")
    assert machine.refused("start", "Odd") == Error.INCOMPATIBLE_SERVICE_PRIVILEGE
    assert "SeNonsensePrivilege" in machine.scmd("why", "Odd")


def test_an_scm_without_root_refuses_what_needs_it(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    with finished(Machine(folder, user=NOBODY)) as own:
        own.start()
        own.install("Mine", "sleep", "1000")
        for account in ("LocalService", "root", "NT SERVICE\\Mine"):
            assert own.refused("config", "Mine", "obj=", account) == 1057
        said = own.try_scmd("install", "Other", "--account", "root", "--", "sleep", "1").stderr
        assert "(1057)" in said
        assert "other accounts need root" in said
        own.sc("privs", "Mine", "SeShutdownPrivilege")
        assert own.refused("start", "Mine") == Error.INCOMPATIBLE_SERVICE_PRIVILEGE
        assert "scmd itself has not: CAP_SYS_BOOT" in own.scmd("why", "Mine")
        own.sc("privs", "Mine", "SeChangeNotifyPrivilege")
        own.scmd("net", "start", "Mine")
