"""`scmd sc` and the commands around the database, as a person types them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from scmd.vocabulary.errors import Error
from tests.system.machine import SCMD, Machine

STATUS_FIELDS = [
    "service_name",
    "display_name",
    "type",
    "state",
    "controls_accepted",
    "win32_exit_code",
    "service_specific_exit_code",
    "check_point",
    "wait_hint",
    "process_id",
    "service_flags",
]


def test_a_service_lives_from_create_to_delete(machine: Machine) -> None:
    created = machine.sc(
        "create", "Web", "binPath=", "/bin/web -x", "start=", "auto", "DisplayName=", "The Web"
    )
    assert created == "[SC] CreateService SUCCESS\n"
    assert machine.sc("query", "Web") == (
        "\nSERVICE_NAME: Web \n"
        "        TYPE               : 10  WIN32_OWN_PROCESS  \n"
        "        STATE              : 1  STOPPED \n"
        "        WIN32_EXIT_CODE    : 1077  (0x435)\n"
        "        SERVICE_EXIT_CODE  : 0  (0x0)\n"
        "        CHECKPOINT         : 0x0\n"
        "        WAIT_HINT          : 0x0\n"
    )
    assert machine.sc("qc", "Web") == (
        "[SC] QueryServiceConfig SUCCESS\n"
        "\nSERVICE_NAME: Web\n"
        "        TYPE               : 10  WIN32_OWN_PROCESS \n"
        "        START_TYPE         : 2   AUTO_START\n"
        "        ERROR_CONTROL      : 1   NORMAL\n"
        "        BINARY_PATH_NAME   : /bin/web -x\n"
        "        LOAD_ORDER_GROUP   : \n"
        "        TAG                : 0\n"
        "        DISPLAY_NAME       : The Web\n"
        "        DEPENDENCIES       : \n"
        "        SERVICE_START_NAME : LocalSystem\n"
    )
    assert machine.sc("config", "web", "start=demand", "depend=", "A/B").endswith("SUCCESS\n")
    assert "DEPENDENCIES       : A\n                           : B\n" in machine.sc("qc", "Web")
    assert machine.sc("description", "Web", "Serves\tpages").endswith("SUCCESS\n")
    assert machine.sc("qdescription", "Web").endswith("DESCRIPTION:  Serves\\tpages\n")
    assert machine.sc("getdisplayname", "Web").endswith("Name = The Web\n")
    assert machine.sc("getkeyname", "The Web").endswith("Name = Web\n")
    assert machine.sc("delete", "Web") == "[SC] DeleteService SUCCESS\n"
    assert machine.refused("query", "Web") == Error.SERVICE_DOES_NOT_EXIST


def test_a_running_service_shows_its_process(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    started = machine.sc("start", "Sleeper")
    process_id = machine.await_state("Sleeper", "RUNNING").process_id
    queried = machine.sc("queryex", "Sleeper")
    assert started.splitlines()[:3] == queried.splitlines()[:3]
    assert "STATE              : 4  RUNNING \n" in queried
    assert "(STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)\n" in queried
    assert f"        PID                : {process_id}\n" in queried
    assert Path(f"/proc/{process_id}/cmdline").read_bytes().endswith(b"/sleep\x001000\0")
    assert machine.refused("start", "Sleeper") == Error.SERVICE_ALREADY_RUNNING
    assert "STOP_PENDING" in machine.sc("stop", "Sleeper")
    assert machine.await_state("Sleeper", "STOPPED").win32_exit_code == 0
    assert machine.refused("stop", "Sleeper") == Error.SERVICE_NOT_ACTIVE


def test_json_has_exactly_the_fields_of_the_contract(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.sc("start", "Sleeper")
    running = machine.json("sc", "queryex", "Sleeper")
    assert list(running) == [*STATUS_FIELDS, "usage"]
    usage = running.pop("usage")
    assert usage["processes"] == 1
    assert usage["memory_bytes"] > 0
    assert usage["cpu_ms"] >= 0
    assert running["service_name"] == running["display_name"] == "Sleeper"
    assert running["type"] == "WIN32_OWN_PROCESS"
    assert running["state"] == "RUNNING"
    assert running["process_id"] == machine.status("Sleeper").process_id
    assert machine.json("sc", "query", "Sleeper") == running
    assert machine.json("sc", "query") == machine.json("sc", "queryex") == [running]
    assert machine.json("sc", "query", "state=", "inactive") == []
    assert machine.json("sc", "enumdepend", "Sleeper") == []
    config = machine.json("sc", "qc", "Sleeper")
    assert config["service_type"] == "WIN32_OWN_PROCESS"
    assert config["start_type"] == "DEMAND_START"
    assert config["binary_path_name"] == "srvany"
    assert config["service_start_name"] == "LocalSystem"
    assert config["dependencies"] == []


def test_queries_filter_and_page(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    for number in range(5):
        machine.sc("create", f"S{number}", "binPath=", "/bin/true", "group=", "Five")
    machine.sc("start", "Sleeper")
    names = [each["service_name"] for each in machine.json("sc", "query", "state=", "all")]
    assert sorted(names) == ["S0", "S1", "S2", "S3", "S4", "Sleeper"]
    assert [each["service_name"] for each in machine.json("sc", "query")] == ["Sleeper"]
    five = machine.json("sc", "query", "state=all", "group=", "Five")
    assert [each["service_name"] for each in five] == ["S0", "S1", "S2", "S3", "S4"]
    assert machine.json("sc", "query", "type=", "driver", "state=", "all") == []
    part = machine.sc("query", "state=", "all", "bufsize=", "200")
    assert "more data" in part
    resume = part.strip().rpartition(" ")[2]
    rest = machine.sc("query", "state=", "all", "ri=", resume)
    assert part.count("SERVICE_NAME") + rest.count("SERVICE_NAME") == 6
    assert "more data" not in rest
    assert "more data" in machine.sc("query", "state=", "all", "bufsize=", "1")


def test_what_is_wrong_is_named_and_changes_nothing(machine: Machine) -> None:
    assert machine.refused("query", "Nobody") == Error.SERVICE_DOES_NOT_EXIST
    assert machine.refused("create", "a/b", "binPath=", "/x") == Error.INVALID_NAME
    assert machine.refused("create", "a" * 257, "binPath=", "/x") == Error.INVALID_NAME
    machine.sc("create", "One", "binPath=", "/x", "DisplayName=", "First")
    assert machine.refused("create", "ONE", "binPath=", "/x") == Error.SERVICE_EXISTS
    assert (
        machine.refused("create", "Two", "binPath=", "/x", "DisplayName=", "first")
        == Error.DUPLICATE_SERVICE_NAME
    )
    machine.sc("create", "Two", "binPath=", "/x", "depend=", "One")
    assert machine.refused("config", "One", "depend=", "Two") == Error.CIRCULAR_DEPENDENCY
    assert machine.json("sc", "qc", "One")["dependencies"] == []
    assert machine.refused("start", "One") in (Error.FILE_NOT_FOUND, Error.PATH_NOT_FOUND)
    machine.sc("config", "One", "start=", "disabled")
    assert machine.refused("start", "One") == Error.SERVICE_DISABLED
    assert machine.refused("start", "Two") == Error.SERVICE_DEPENDENCY_FAIL
    machine.sc("config", "Two", "depend=", "Nobody")
    assert machine.refused("start", "Two") == Error.SERVICE_DEPENDENCY_DELETED
    assert len(machine.json("sc", "query", "state=", "all")) == 2


def test_strange_names_are_names_like_others(machine: Machine) -> None:
    names = ["..", "€" * 256, "a\x1b[31mb", "Straße", "İıſ", " ", "a b\n"]
    for name in names:
        machine.scm.install(name, ["sh", "-c", 'echo "$0"; exec sleep 1000', name])
        machine.sc("start", name)
        machine.await_log(name, re.escape(name))
    assert "\x1b" not in machine.sc("query")
    running = {each["service_name"]: each["state"] for each in machine.json("sc", "query")}
    assert running == dict.fromkeys(names, "RUNNING")
    machine.restart()
    for name in names:
        assert machine.json("sc", "query", name)["service_name"] == name
        machine.scmd("remove", name)
    assert machine.json("sc", "query", "state=", "all") == []
    assert sorted(os.listdir(machine.folder)) == ["run", "state"]
    assert machine.refused("create", "a\udcff", "binPath=", "/x") == Error.INVALID_NAME
    assert machine.refused("create", "", "binPath=", "/x") == Error.INVALID_NAME


def test_deleting_a_running_service_marks_it(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.sc("start", "Sleeper")
    machine.sc("delete", "Sleeper")
    assert machine.json("sc", "query", "Sleeper")["state"] == "RUNNING"
    marked = Error.SERVICE_MARKED_FOR_DELETE
    assert machine.refused("delete", "Sleeper") == marked
    assert machine.refused("config", "Sleeper", "start=", "auto") == marked
    assert machine.refused("create", "sleeper", "binPath=", "/x") == marked
    assert machine.json("sc", "qc", "Sleeper")["start_type"] == "DISABLED"
    machine.sc("stop", "Sleeper")
    machine.await_gone("Sleeper")
    machine.install("Sleeper", "sleep", "1000")


def test_an_open_handle_keeps_a_deleted_service(machine: Machine) -> None:
    machine.sc("create", "Held", "binPath=", "/x")
    with machine.scm["Held"].opened(4):
        machine.sc("delete", "Held")
        assert machine.refused("create", "Held", "binPath=", "/y") == 1072
        assert machine.json("sc", "query", "Held")["state"] == "STOPPED"
    assert machine.refused("query", "Held") == Error.SERVICE_DOES_NOT_EXIST


def test_a_marked_service_is_gone_after_a_restart(machine: Machine) -> None:
    machine.install("Sleeper", "sleep", "1000")
    machine.sc("start", "Sleeper")
    machine.sc("delete", "Sleeper")
    machine.restart()
    assert machine.refused("query", "Sleeper") == Error.SERVICE_DOES_NOT_EXIST


def test_dependents_are_listed_and_keep_a_service_from_stopping(machine: Machine) -> None:
    machine.install("Base", "sleep", "1000")
    machine.scmd("install", "Middle", "--depend", "Base", "--", "sleep", "1000")
    machine.scmd("install", "Top", "--depend", "Middle", "--", "sleep", "1000")
    machine.sc("start", "Top")
    for name in ("Base", "Middle", "Top"):
        machine.await_state(name, "RUNNING")
    dependents = machine.json("sc", "enumdepend", "Base")
    assert [each["service_name"] for each in dependents] == ["Top", "Middle"]
    assert "entriesread = 2" in machine.sc("enumdepend", "Base")
    assert machine.refused("stop", "Base") == Error.DEPENDENT_SERVICES_RUNNING
    assert machine.status("Base").state == 4


def test_installed_programs_have_parameters(machine: Machine) -> None:
    machine.scmd(
        *("install", "Sleeper", "--start", "delayed", "--dir", "/tmp", "--env", "A=b c"),
        *("--display", "A sleeper", "--description", "Sleeps", "--", "sleep", "1000"),
    )
    parameters = machine.json("get", "Sleeper")
    assert os.path.basename(parameters["Application"]) == "sleep"
    assert os.path.isabs(parameters["Application"])
    assert parameters["AppParameters"] == "1000"
    assert parameters["AppDirectory"] == "/tmp"
    assert parameters["AppEnvironmentExtra"] == ["A=b c"]
    config = machine.json("sc", "qc", "Sleeper")
    assert (config["start_type"], config["delayed_autostart"]) == ("AUTO_START", True)
    assert "TRUE" in machine.sc("qfailureflag", "Sleeper")
    machine.scmd("set", "Sleeper", "AppStopTime", "1500")
    machine.scmd("set", "Sleeper", "Own", "some text")
    assert machine.scmd("get", "Sleeper", "appstoptime") == "1500\n"
    machine.scmd("set", "Sleeper", "Own", "--delete")
    machine.scmd("get", "Sleeper", "Own", status=1)
    machine.scmd("set", "Sleeper", "AppStopSignal", "SIGNONSENSE", status=1)
    machine.scmd("set", "Sleeper", "AppStopTime", "soon", status=2)
    machine.scmd("set", "Nobody", "A", "b", status=1)
    assert "AppStopSignal" not in machine.json("get", "Sleeper")
    machine.scmd("install", "Other", "--", "no-such-program", status=1)
    machine.scmd("install", "Sleeper", "--", "sleep", "1", status=1)
    assert machine.refused("query", "Other") == Error.SERVICE_DOES_NOT_EXIST
    machine.sc("start", "Sleeper")
    process_id = machine.await_state("Sleeper", "RUNNING").process_id
    assert os.readlink(f"/proc/{process_id}/cwd") == "/tmp"
    assert b"A=b c\0" in Path(f"/proc/{process_id}/environ").read_bytes()
    assert machine.scmd("remove", "Sleeper") == "Sleeper is removed.\n"
    assert machine.refused("query", "Sleeper") == Error.SERVICE_DOES_NOT_EXIST


def test_exit_statuses_and_usages(machine: Machine) -> None:
    for arguments in ([], ["sc"], ["sc", "nonsense"], ["sc", "qc"], ["sc", "create", "X"]):
        done = machine.try_scmd(*arguments)
        assert done.returncode == 2, done
        assert "usage" in (done.stdout + done.stderr).lower(), done
    assert machine.try_scmd("net").returncode == 1
    assert machine.try_scmd("nonsense").returncode == 2
    for command in ("run", "demo", "install", "remove", "set", "get", "status", "logs", "events"):
        assert f"usage: scmd {command}" in machine.scmd(command, "--help")
        if command not in ("run", "demo", "status", "events"):
            machine.scmd(command, status=2)
    assert machine.try_scmd("sc", "//host", "query").returncode == 1
    assert "\r" not in machine.sc(status=2)


def test_status_tells_of_the_scm(machine: Machine) -> None:
    assert machine.process is not None
    status = machine.json("status")
    assert status["keeper_pid"] == machine.process.pid
    parent = Path(f"/proc/{status['manager_pid']}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) == status["keeper_pid"]
    assert status["end_points"] == [f"unix:{machine.runtime}/scm.sock"]
    assert {"version", "uptime_ms", "counts"} <= set(status)
    assert status["keeper_version"] == status["version"]
    assert "uptime" in machine.scmd("status")


def test_links_make_sc_and_net_commands(machine: Machine) -> None:
    if len(SCMD) > 1:
        pytest.fail("scmd is not installed as a command")
    links = machine.folder / "links"
    links.mkdir()
    machine.scmd("links", str(links))
    machine.sc("create", "Web", "binPath=", "/x")
    done = machine.run(str(links / "sc"), "query", "Web")
    assert (done.returncode, "SERVICE_NAME: Web" in done.stdout) == (0, True)
    assert machine.run(str(links / "net"), "start").returncode == 0
    machine.scmd("links", str(links))
    (links / "sc").unlink()
    (links / "sc").write_text("somebody else's")
    machine.scmd("links", str(links), status=1)
    assert (links / "sc").read_text() == "somebody else's"


def test_without_an_scm_every_command_says_so(bare: Machine) -> None:
    assert bare.refused("query") == Error.RPC_SERVER_UNAVAILABLE
    assert "1722" in bare.try_scmd("net", "start").stderr
    done = bare.try_scmd("status")
    assert done.returncode == 1
    assert str(bare.runtime) in done.stderr
