"""sc: SC.EXE's grammar, output and exit status, against a real core."""

from __future__ import annotations

import json

import pytest

from scmd.client.scm import Scm
from scmd.tools.sc_json import failure_object
from scmd.tools.sc_output import failure_block
from scmd.vocabulary.configuration import FailureAction, FailureActions
from scmd.vocabulary.service import Control, ServiceState
from tests.client.world import World, report
from tests.tools.conftest import Run

STOPPED = """
SERVICE_NAME: Web \n\
        TYPE               : 10  WIN32_OWN_PROCESS  \n\
        STATE              : 1  STOPPED \n\
        WIN32_EXIT_CODE    : 1077  (0x435)
        SERVICE_EXIT_CODE  : 0  (0x0)
        CHECKPOINT         : 0x0
        WAIT_HINT          : 0x0
"""
RUNNING = """
SERVICE_NAME: Web \n\
        TYPE               : 10  WIN32_OWN_PROCESS  \n\
        STATE              : 4  RUNNING \n\
                                (STOPPABLE, PAUSABLE, IGNORES_SHUTDOWN)
        WIN32_EXIT_CODE    : 0  (0x0)
        SERVICE_EXIT_CODE  : 0  (0x0)
        CHECKPOINT         : 0x0
        WAIT_HINT          : 0x0
"""


def failure(operation: str, number: int, text: str) -> str:
    return f"[SC] {operation} FAILED {number}:\n\n{text}\n\n"


UNKNOWN = "The specified service does not exist as an installed service."


def test_query_prints_one_block(web: World, run: Run) -> None:
    outcome = run("sc", "query", "Web")
    assert (outcome.status, outcome.out, outcome.err) == (0, STOPPED, "")


def test_start_prints_the_extended_block_and_hands_the_arguments_on(web: World, run: Run) -> None:
    outcome = run("sc", "start", "Web", "a", "--json")
    assert outcome.status == 0
    assert (
        outcome.out
        == RUNNING + "        PID                : 1001\n        FLAGS              : \n"
    )
    assert web.program("Web").arguments == ("Web", "a", "--json")
    assert run("sc", "query", "Web").out == RUNNING
    assert run("sc", "queryex", "web").out.endswith(": 1001\n        FLAGS              : \n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["query", "Nope"], failure("EnumQueryServicesStatus:OpenService", 1060, UNKNOWN)),
        (["start", "Nope"], failure("StartService: OpenService", 1060, UNKNOWN)),
        (["stop", "Nope"], failure("OpenService", 1060, UNKNOWN)),
        (["qc", "Nope"], failure("OpenService", 1060, UNKNOWN)),
        (["delete", "Nope"], failure("OpenService", 1060, UNKNOWN)),
        (["stop", "Web"], failure("ControlService", 1062, "The service has not been started.")),
        (["GetKeyName", "Nope"], failure("GetServiceKeyName", 1060, UNKNOWN)),
        (
            ["create", "Web", "binPath=", "/bin/x"],
            failure("CreateService", 1073, "The specified service already exists."),
        ),
        (
            ["query", "a/b"],
            failure(
                "EnumQueryServicesStatus:OpenService",
                123,
                "The filename, directory name, or volume label syntax is incorrect.",
            ),
        ),
    ],
)
def test_failures_name_the_operation_the_number_and_the_text(
    web: World, run: Run, arguments: list[str], text: str
) -> None:
    outcome = run("sc", *arguments)
    assert (outcome.status, outcome.out) == (1, text)


def test_starting_twice_fails_with_1056(web: World, run: Run) -> None:
    run("sc", "start", "Web")
    outcome = run("sc", "start", "Web")
    assert outcome.out == failure(
        "StartService", 1056, "An instance of the service is already running."
    )


def test_stop_pause_continue_and_interrogate_print_a_block_without_pid(
    web: World, run: Run
) -> None:
    run("sc", "start", "Web")
    assert "STATE              : 7  PAUSED \n" in run("sc", "pause", "Web").out
    assert run("sc", "continue", "Web").out == RUNNING
    assert run("sc", "INTERROGATE", "Web").out == RUNNING
    stopped = run("sc", "stop", "Web")
    assert stopped.out == STOPPED.replace("1077  (0x435)", "0  (0x0)")


def test_pending_states_show_check_point_and_hint(web: World, run: Run) -> None:
    web.program("Web").reports[Control.STOP] = [
        report(ServiceState.STOP_PENDING, check_point=3, wait_hint=20_000)
    ]
    run("sc", "start", "Web")
    out = run("sc", "stop", "Web").out
    assert "STATE              : 3  STOP_PENDING \n" in out
    assert "(NOT_STOPPABLE, NOT_PAUSABLE, IGNORES_SHUTDOWN)" in out
    assert "CHECKPOINT         : 0x3\n        WAIT_HINT          : 0x4e20\n" in out


def test_stop_takes_a_reason(web: World, run: Run) -> None:
    run("sc", "start", "Web")
    outcome = run("sc", "stop", "Web", "4:2:4", "an upgrade")
    assert outcome.status == 0
    assert "STOPPED" in outcome.out
    wrong = run("sc", "stop", "Web", "3:2:4")
    assert wrong.status == 2
    assert run("sc", "stop", "Web", "4:2").status == 2


def test_control_takes_names_and_user_codes(web: World, run: Run) -> None:
    run("sc", "start", "Web")
    assert run("sc", "control", "Web", "200").out == RUNNING
    assert run("sc", "control", "Web", "ParamChange").status == 0
    assert web.program("Web").controls == [200, Control.PARAMCHANGE]
    for wrong in ("127", "256", "foo"):
        assert run("sc", "control", "Web", wrong).status == 2


def test_a_handler_error_comes_back(web: World, run: Run) -> None:
    web.program("Web").errors[130] = 120
    run("sc", "start", "Web")
    outcome = run("sc", "control", "Web", "130")
    assert outcome.status == 1
    assert outcome.out.startswith("[SC] ControlService FAILED 120:\n\n")


# Enumerations -------------------------------------------------------------------------------------


@pytest.fixture
def several(web: World, scm: Scm) -> World:
    scm.create("Db", "/usr/bin/db", display="Data\x1b[31mbase", group="Stores")
    scm.create("App", "/usr/bin/app", depends=["Db", "Web"])
    scm["Web"].start()
    return web


def test_query_lists_what_is_active_with_display_names(several: World, run: Run) -> None:
    head = "\nSERVICE_NAME: Web\nDISPLAY_NAME: Web Server\n"
    assert run("sc", "query").out == RUNNING.replace("\nSERVICE_NAME: Web \n", head)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["state=", "all"], ["Web", "Db", "App"]),
        (["state=inactive"], ["Db", "App"]),
        (["STATE=", "ALL", "group=", "Stores"], ["Db"]),
        (["state=", "all", "group=", ""], ["Web", "App"]),
        (["state=", "all", "type=", "driver"], []),
        (["state=", "all", "type=", "service", "type=", "own"], ["Web", "Db", "App"]),
        (["state=", "all", "type=", "share"], []),
        (["type=all", "state=all", "ri=", "0"], ["Web", "Db", "App"]),
    ],
)
def test_query_filters(several: World, run: Run, options: list[str], names: list[str]) -> None:
    outcome = run("sc", "query", *options)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert [line[14:] for line in lines if line.startswith("SERVICE_NAME: ")] == names


def test_a_small_buffer_says_where_to_go_on(several: World, run: Run) -> None:
    first = run("sc", "query", "state=", "all", "bufsize=", "100").out
    assert "SERVICE_NAME: Web\n" in first
    assert "SERVICE_NAME: Db\n" not in first
    last_line = first.splitlines()[-1]
    assert last_line.startswith("Enum: more data, need ")
    index = last_line.rpartition(" ")[2]
    rest = run("sc", "query", "state=", "all", "ri=", index).out
    assert "SERVICE_NAME: Web\n" not in rest
    assert "SERVICE_NAME: App\n" in rest


def test_control_characters_are_shown_not_sent(several: World, run: Run) -> None:
    assert "DISPLAY_NAME: Data\\x1b[31mbase\n" in run("sc", "query", "state=all").out


def test_enumdepend_counts_and_lists(several: World, run: Run) -> None:
    out = run("sc", "EnumDepend", "Web").out
    assert out.startswith("[SC] EnumDependentServices: entriesread = 1\n\nSERVICE_NAME: App\n")
    assert run("sc", "enumdepend", "App").out == ("[SC] EnumDependentServices: entriesread = 0\n")


def test_enumdepend_with_a_small_buffer_lists_what_fits_and_says_what_all_need(
    several: World, run: Run
) -> None:
    run("sc", "create", "Late", "binPath=", "/bin/late", "depend=", "Web")
    most = run("sc", "enumdepend", "Web", "100")
    assert most.status == 1
    assert most.out.startswith("[SC] EnumDependentServices: entriesread = 1\n\nSERVICE_NAME: App\n")
    failed, _, needed = most.out.partition("[SC] EnumDependentServices: more data, need ")
    assert failed.endswith(failure("EnumDependentServices", 234, "More data is available."))
    size = needed.removesuffix(" bytes\n")
    assert run("sc", "enumdepend", "Web", size).status == 0
    assert run("sc", "enumdepend", "Web", str(int(size) - 1)).status == 1
    assert run("sc", "enumdepend", "Web", "99999999").status == 0
    assert run("sc", "enumdepend", "Web", "10", "--json").out.startswith("[SC]")


@pytest.mark.parametrize(
    ("verb", "operation"),
    [
        *((verb, "QueryServiceConfig") for verb in ("qc", "quserservice")),
        *(
            (verb, "QueryServiceConfig2")
            for verb in (
                *("qdescription", "qfailure", "qfailureflag", "qsidtype", "qprivs"),
                *("qpreferrednode", "qmanagedaccount", "qprotection", "qrunlevel"),
            )
        ),
    ],
)
def test_a_query_with_too_small_a_buffer_says_what_it_needs(
    web: World, run: Run, verb: str, operation: str
) -> None:
    run("sc", "description", "Web", "Says the weather.")
    short = run("sc", verb, "Web", "2")
    text = "The data area passed to a system call is too small."
    head = failure(operation, 122, text) + f"[SC] {operation} needs "
    assert (short.status, short.out[: len(head)]) == (1, head)
    size = short.out[len(head) :].removesuffix(" bytes\n")
    assert run("sc", verb, "Web", str(int(size) - 1)).out == short.out
    for enough in (size, "8192", "1000000"):
        assert run("sc", verb, "Web", enough).out == run("sc", verb, "Web").out


@pytest.mark.parametrize(
    ("verb", "name", "answer"),
    [("GetDisplayName", "Web", "Web Server"), ("GetKeyName", "Web Server", "Web")],
)
def test_a_name_needs_room_for_its_end(
    web: World, run: Run, verb: str, name: str, answer: str
) -> None:
    short = run("sc", verb, name, str(len(answer)))
    assert short.status == 1
    assert short.out.startswith(f"[SC] {verb.replace('Get', 'GetService')} FAILED 122:\n")
    assert short.out.endswith(f" needs {len(answer) + 1} characters\n")
    assert run("sc", verb, name, str(len(answer) + 1)).out.endswith(f"\nName = {answer}\n")


# JSON ---------------------------------------------------------------------------------------------


def test_json_of_one_service_is_an_object(web: World, run: Run) -> None:
    run("sc", "start", "Web")
    usage = {"usage": {"processes": 1}}
    for line, more in (
        (["query", "Web", "--json"], {}),
        (["queryex", "--json", "Web"], usage),
    ):
        assert json.loads(run("sc", *line).out) == {
            **more,
            "service_name": "Web",
            "display_name": "Web Server",
            "type": "WIN32_OWN_PROCESS",
            "state": "RUNNING",
            "controls_accepted": 11,
            "win32_exit_code": 0,
            "service_specific_exit_code": 0,
            "check_point": 0,
            "wait_hint": 0,
            "process_id": 1001,
            "service_flags": 0,
        }


def test_json_of_an_enumeration_is_a_list(several: World, run: Run) -> None:
    listed = json.loads(run("sc", "query", "state=", "all", "--json").out)
    assert [entry["service_name"] for entry in listed] == ["Web", "Db", "App"]
    assert [entry["state"] for entry in listed] == ["RUNNING", "STOPPED", "STOPPED"]
    assert json.loads(run("sc", "enumdepend", "Web", "--json").out)[0]["service_name"] == "App"
    assert json.loads(run("sc", "query", "type=", "driver", "--json").out) == []


def test_json_of_the_configuration_queries(several: World, run: Run) -> None:
    run("sc", "config", "App", "start=", "delayed-auto", "type=", "own", "type=", "interact")
    assert json.loads(run("sc", "qc", "App", "--json").out) == {
        "service_name": "App",
        "service_type": "WIN32_OWN_PROCESS|INTERACTIVE_PROCESS",
        "start_type": "AUTO_START",
        "delayed_autostart": True,
        "error_control": "NORMAL",
        "binary_path_name": "/usr/bin/app",
        "load_order_group": "",
        "tag_id": 0,
        "dependencies": ["Db", "Web"],
        "service_start_name": "LocalSystem",
        "display_name": "App",
    }
    run("sc", "failure", "Web", "reset=", "60", "actions=", "restart/5000/run/0")
    assert json.loads(run("sc", "qfailure", "Web", "--json").out) == {
        "service_name": "Web",
        "reset_period": 60,
        "reboot_msg": "",
        "command": "",
        "actions": [{"type": "RESTART", "delay": 5000}, {"type": "RUN_COMMAND", "delay": 0}],
    }
    documents: dict[str, dict[str, object]] = {
        "qdescription": {"description": "Serves."},
        "qfailureflag": {"failure_actions_on_non_crash_failures": False},
        "qsidtype": {"service_sid_type": "NONE"},
        "qprivs": {"required_privileges": []},
        "getdisplayname": {"display_name": "Web Server"},
    }
    for verb, document in documents.items():
        out = run("sc", verb, "Web", "--json").out
        assert json.loads(out) == {"service_name": "Web", **document}


# Configuration ------------------------------------------------------------------------------------


def test_create_records_what_it_is_told(world: World, scm: Scm, run: Run) -> None:
    outcome = run(
        *("sc", "create", "New", "BINPATH=", '"/opt/my app" -x', "start=auto", "type=", "share"),
        *("error=", "severe", "group=", "Stores", "depend=", "A/+B", "DisplayName=", "A New One"),
    )
    assert (outcome.status, outcome.out) == (0, "[SC] CreateService SUCCESS\n")
    assert run("sc", "qc", "New").out == (
        "[SC] QueryServiceConfig SUCCESS\n\nSERVICE_NAME: New\n"
        "        TYPE               : 20  WIN32_SHARE_PROCESS \n"
        "        START_TYPE         : 2   AUTO_START\n"
        "        ERROR_CONTROL      : 2   SEVERE\n"
        '        BINARY_PATH_NAME   : "/opt/my app" -x\n'
        "        LOAD_ORDER_GROUP   : Stores\n"
        "        TAG                : 0\n"
        "        DISPLAY_NAME       : A New One\n"
        "        DEPENDENCIES       : A\n"
        "                           : +B\n"
        "        SERVICE_START_NAME : LocalSystem\n"
    )
    assert run("sc", "getdisplayname", "new").out == (
        "[SC] GetServiceDisplayName SUCCESS\nName = A New One\n"
    )
    assert run("sc", "getkeyname", "a new one").out == (
        "[SC] GetServiceKeyName SUCCESS\nName = New\n"
    )


def test_create_has_the_documented_defaults(world: World, scm: Scm, run: Run) -> None:
    run("sc", "create", "New", "binPath=/bin/x")
    config = scm["New"].config
    assert config.display_name == "New"
    assert (config.type, config.start_type, config.error_control) == (0x10, 3, 1)
    assert not config.failure_actions_flag


def test_config_changes_only_what_is_named(several: World, scm: Scm, run: Run) -> None:
    before = scm["App"].config
    outcome = run("sc", "config", "App", "start=", "disabled", "depend=", "")
    assert outcome.out == "[SC] ChangeServiceConfig SUCCESS\n"
    assert scm["App"].config == before.replace(start_type=4, dependencies=())
    run("sc", "config", "App", "start=", "delayed-auto")
    assert "START_TYPE         : 2   AUTO_START  (DELAYED)\n" in run("sc", "qc", "App").out
    run("sc", "config", "App", "start=", "auto")
    assert "START_TYPE         : 2   AUTO_START\n" in run("sc", "qc", "App").out


def test_description_failure_and_their_queries(web: World, run: Run) -> None:
    assert run("sc", "description", "Web", "Says so.").out == (
        "[SC] ChangeServiceConfig2 SUCCESS\n"
    )
    assert run("sc", "qdescription", "Web").out == (
        "[SC] QueryServiceConfig2 SUCCESS\n\nSERVICE_NAME: Web\nDESCRIPTION:  Says so.\n"
    )
    assert run("sc", "description", "Web").out == "[SC] ChangeServiceConfig2 SUCCESS\n"
    assert run("sc", "qdescription", "Web").out.endswith("DESCRIPTION:  Says so.\n")
    assert run("sc", "description", "Web", "").status == 0
    assert run("sc", "qdescription", "Web").out.endswith("DESCRIPTION:  \n")
    run("sc", "failure", "Web", "reset=", "86400", "actions=", "restart/5000/reboot/60000//10")
    run("sc", "failure", "Web", "command=", "/bin/mail")
    assert run("sc", "qfailure", "Web").out == (
        "[SC] QueryServiceConfig2 SUCCESS\n\nSERVICE_NAME: Web\n"
        "        RESET_PERIOD (in seconds)    : 86400\n"
        "        REBOOT_MESSAGE               : \n"
        "        COMMAND_LINE                 : /bin/mail\n"
        "        FAILURE_ACTIONS              : RESTART -- Delay = 5000 milliseconds.\n"
        "                                       REBOOT -- Delay = 60000 milliseconds.\n"
        "                                       NONE -- Delay = 10 milliseconds.\n"
    )
    alone = run("sc", "failure", "Web", "reset=", "5")
    assert alone.status == 2
    assert alone.out.startswith("ERROR:  The reset and actions options must be set")


@pytest.mark.parametrize(
    ("kind", "shown", "name"),
    [
        (0, "NONE", "NONE"),
        (1, "RESTART", "RESTART"),
        (2, "REBOOT", "REBOOT"),
        (3, "RUN PROCESS", "RUN_COMMAND"),
        (4, "OWN_RESTART", "OWN_RESTART"),
        (5, "5", "5"),
    ],
)
def test_failure_actions_of_any_server_are_shown(kind: int, shown: str, name: str) -> None:
    failure = FailureActions(actions=(FailureAction(type=kind, delay=7),))
    assert f": {shown} -- Delay = 7 milliseconds.\n" in failure_block("Web", failure)
    assert failure_object("Web", failure)["actions"] == [{"type": name, "delay": 7}]


def test_flags_sid_types_and_privileges(web: World, run: Run) -> None:
    head = "[SC] QueryServiceConfig2 SUCCESS\n\nSERVICE_NAME: Web\n"
    assert run("sc", "failureflag", "Web", "1").status == 0
    assert run("sc", "qfailureflag", "Web").out == (
        head + "FAILURE_ACTIONS_ON_NONCRASH_FAILURES: TRUE\n"
    )
    assert run("sc", "sidtype", "Web", "Unrestricted").status == 0
    assert run("sc", "qsidtype", "Web").out == head + "SERVICE_SID_TYPE:  UNRESTRICTED\n"
    assert run("sc", "privs", "Web", "SeBackupPrivilege/SeRestorePrivilege").status == 0
    assert run("sc", "qprivs", "Web").out == (
        head + "        PRIVILEGES         : SeBackupPrivilege\n"
        "                           : SeRestorePrivilege\n"
    )


def test_delete_is_final_when_stopped(web: World, run: Run) -> None:
    assert run("sc", "delete", "Web").out == "[SC] DeleteService SUCCESS\n"
    assert run("sc", "query", "Web").status == 1


def test_showsid_needs_no_right(web: World, run: Run) -> None:
    run("sc", "sdset", "Web", "D:")
    assert run("sc", "showsid", "Web").out.endswith("STATUS: Active\n")


def test_showsid_needs_no_service(web: World, run: Run) -> None:
    assert run("sc", "showsid", "NotThere").out.endswith("STATUS: Inactive\n")
    out = run("sc", "showsid", "Web").out
    assert out.startswith("\nNAME: Web\nSERVICE SID: S-1-5-80-")
    assert out.endswith("STATUS: Active\n")
