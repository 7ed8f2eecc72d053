"""The scmd interface: Parameters, logs, events, the manager's state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scmd.core.findings import Code, Finding
from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import (
    BootEntry,
    CheckScmHandle,
    CloseHandle,
    ExplainService,
    FailureActionsChange,
    IdentifyService,
    KillService,
    OpenScm,
    PrepareService,
    QueryBoot,
    QueryParameters,
    QueryRecovery,
    QueryStatus,
    SetParameters,
)
from scmd.core.recovery import Preview, Step
from scmd.core.why import Explanation, Holder
from scmd.scmd_interface import operations as scmd_operations
from scmd.scmd_interface.operations import LOG_END
from scmd.scmd_interface.parameters import pack_changes, pack_parameters, unpack_parameters
from scmd.server.handles import ForeignHandle
from scmd.server.host_requests import (
    QueryManagerStatus,
    QueryUsage,
    ReadCrash,
    ReadEvents,
    ReadHistory,
    ReadLog,
    ReplaceManager,
    ReportEvent,
)
from scmd.server.scmd_server import SCMD_OPERATIONS
from scmd.vocabulary.configuration import FailureAction
from scmd.vocabulary.registry import RegistryType, RegistryValue
from scmd.vocabulary.service import ActionType, ConfigLevel, ScmAccess, ServiceAccess
from scmd.vocabulary.status import ServiceStatus
from tests.server.exchange import (
    CALL,
    FOREIGN,
    SCM,
    SERVICE,
    WIRE_SCM,
    WIRE_SERVICE,
    Exchange,
    error,
    ok,
)

VALUES = {
    "Application": RegistryValue.of("/usr/bin/web"),
    "AppEvents\\Start\\Pre": RegistryValue(type=RegistryType.EXPAND_SZ, data="%x%"),
    "AppEnvironment": RegistryValue.of(("A=1", "B=€")),
    "AppStopTime": RegistryValue.of(1500),
    "Big": RegistryValue.of(2**40),
    "Raw": RegistryValue.of(b"\0\1"),
}


def test_every_operation_is_served() -> None:
    assert set(SCMD_OPERATIONS) == set(scmd_operations.SCMD.operations)


def test_manager_status() -> None:
    exchange = Exchange()
    request = scmd_operations.EmptyRequest()
    opened = (ok(7), ok())
    operation = scmd_operations.QUERY_MANAGER_STATUS
    response = exchange.run(operation, request, *opened, ok(b'{"a":1}'))
    assert exchange.asked == [
        OpenScm(CALL, None, int(ScmAccess.ENUMERATE_SERVICE)),
        CloseHandle(CALL, HandleId(7)),
        QueryManagerStatus(CALL),
    ]
    assert (response.document, response.error) == (b'{"a":1}', 0)
    for replies in ((error(5),), (*opened, error(1115))):
        refused = exchange.run(operation, request, *replies)
        assert (refused.document, refused.error) == (b"", replies[-1].error)


def test_the_boot_comes_in_as_many_parts_as_it_needs() -> None:
    long = "x" * 200_000
    starts = [
        BootEntry(ServiceId(id), long, "", ("A",), False, 0, 5, None, 0) for id in range(3, 12)
    ]
    exchange = Exchange()
    request = scmd_operations.QueryBootRequest(scm=WIRE_SCM, after=2)
    response = exchange.run(scmd_operations.QUERY_BOOT, request, ok(starts))
    assert exchange.asked == [QueryBoot(CALL, SCM, 2)]
    assert (response.next, response.error) == (7, 0)
    lines = [json.loads(line) for line in response.starts.splitlines()]
    assert [line["id"] for line in lines] == [3, 4, 5, 6, 7]
    assert lines[0] == {
        "id": 3,
        "name": long,
        "group": "",
        "dependencies": ["A"],
        "delayed": False,
        "asked": 0,
        "begun": 5,
        "ended": None,
        "error": 0,
    }
    last = Exchange().run(scmd_operations.QUERY_BOOT, request, ok(starts[:1]))
    assert last.next == 0
    refused = Exchange().run(scmd_operations.QUERY_BOOT, request, error(5))
    assert (refused.starts, refused.next, refused.error) == (b"", 0, 5)


def test_recovery_in_words() -> None:
    schedule = (Step(2, ActionType.RUN_COMMAND, 0), Step(3, ActionType.NONE, 7))
    seen = Preview(1, False, ActionType.RESTART, 600, schedule)
    exchange = Exchange()
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    response = exchange.run(scmd_operations.QUERY_RECOVERY, request, ok(seen))
    assert exchange.asked == [QueryRecovery(CALL, SERVICE)]
    assert json.loads(response.document) == {
        "failures": 1,
        "failed": False,
        "pending_action": "RESTART",
        "due_in_ms": 600,
        "schedule": [
            {"failure": 2, "action": "RUN_COMMAND", "delay_ms": 0},
            {"failure": 3, "action": "NONE", "delay_ms": 7},
        ],
    }
    refused = Exchange().run(scmd_operations.QUERY_RECOVERY, request, error(5))
    assert (refused.document, refused.error) == (b"", 5)


def test_the_use_of_the_process_of_a_status() -> None:
    exchange = Exchange()
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    operation = scmd_operations.QUERY_USAGE
    response = exchange.run(operation, request, ok(ServiceStatus(process_id=44)), ok(b"{}"))
    assert exchange.asked == [QueryStatus(CALL, SERVICE), QueryUsage(CALL, 44)]
    assert (response.document, response.error) == (b"{}", 0)
    refused = Exchange().run(operation, request, error(5))
    assert (refused.document, refused.error) == (b"", 5)


def test_the_version_is_the_interfaces() -> None:
    exchange = Exchange()
    response = exchange.run(scmd_operations.QUERY_VERSION, scmd_operations.EmptyRequest())
    assert (response.major, response.minor, response.error) == (1, 9, 0)
    assert exchange.asked == []


def test_a_new_manager_needs_full_access() -> None:
    exchange = Exchange()
    request = scmd_operations.ScmRequest(scm=WIRE_SCM)
    assert exchange.run(scmd_operations.REPLACE_MANAGER, request, ok(None), ok(None)).error == 0
    assert exchange.asked == [CheckScmHandle(CALL, SCM, 0xF003F), ReplaceManager(CALL)]
    refused = Exchange()
    assert refused.run(scmd_operations.REPLACE_MANAGER, request, error(5)).error == 5
    assert len(refused.asked) == 1


def test_parameters_out() -> None:
    exchange = Exchange()
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    response = exchange.run(scmd_operations.QUERY_PARAMETERS, request, ok(VALUES))
    assert exchange.asked == [QueryParameters(CALL, SERVICE)]
    assert unpack_parameters(response.parameters) == VALUES
    refused = exchange.run(scmd_operations.QUERY_PARAMETERS, request, error(5))
    assert (refused.parameters, refused.error) == (None, 5)


def test_parameters_in() -> None:
    exchange = Exchange()
    changes = {**VALUES, "Gone": None}
    request = scmd_operations.SetParametersRequest(
        service=WIRE_SERVICE, changes=pack_changes(changes)
    )
    assert exchange.run(scmd_operations.SET_PARAMETERS, request, error(1072)).error == 1072
    assert exchange.asked == [SetParameters(CALL, SERVICE, changes)]


def test_what_is_wrong_with_a_value_is_told() -> None:
    request = scmd_operations.SetParametersRequest(service=WIRE_SERVICE)
    told = (
        ("Port: expected", "Port: expected"),
        (None, None),
        ("\U0001f600" * 600, "\U0001f600" * 511),
    )
    for detail, expected in told:
        reply = error(87, detail)
        response = Exchange().run(scmd_operations.SET_PARAMETERS, request, reply)
        assert (response.error, response.detail) == (87, expected)


@pytest.mark.parametrize(
    "changes",
    [
        (scmd_operations.ParameterChange(name=None, type=1),),
        (scmd_operations.ParameterChange(name="A", type=99),),
        (scmd_operations.ParameterChange(name="A", type=4, data=b"123"),),
        (scmd_operations.ParameterChange(name="A", type=1, data=b"odd"),),
        (scmd_operations.ParameterChange(name="A", type=4, data=b"1234"),) * 2,
    ],
)
def test_parameters_that_mean_nothing_are_87_to_who_may_change(
    changes: tuple[scmd_operations.ParameterChange, ...],
) -> None:
    request = scmd_operations.SetParametersRequest(service=WIRE_SERVICE, changes=changes)
    for reply, expected in ((ok(ServiceId(1)), 87), (error(5), 5)):
        exchange = Exchange()
        response = exchange.run(scmd_operations.SET_PARAMETERS, request, reply)
        assert response.error == expected
        assert exchange.asked == [IdentifyService(CALL, SERVICE, ServiceAccess.CHANGE_CONFIG)]


def test_a_log_is_read_after_the_core_agreed() -> None:
    exchange = Exchange()
    request = scmd_operations.ReadLogRequest(service=WIRE_SERVICE, position=LOG_END, count=100)
    response = exchange.run(
        scmd_operations.READ_LOG, request, ok(ServiceId(44)), ok((2**33, b"line\n", 2**33 + 5))
    )
    assert exchange.asked == [
        IdentifyService(CALL, SERVICE, ServiceAccess.START),
        ReadLog(CALL, ServiceId(44), LOG_END, 100),
    ]
    assert (response.start, response.data, response.next_position, response.error) == (
        2**33,
        b"line\n",
        2**33 + 5,
        0,
    )


def test_a_log_is_not_read_without_the_right() -> None:
    exchange = Exchange()
    request = scmd_operations.ReadLogRequest(service=WIRE_SERVICE, position=0, count=100)
    response = exchange.run(scmd_operations.READ_LOG, request, error(5))
    assert len(exchange.asked) == 1
    assert (response.start, response.data, response.next_position, response.error) == (0, b"", 0, 5)
    response = exchange.run(scmd_operations.READ_LOG, request, ok(ServiceId(44)), error(2))
    assert (response.data, response.error) == (b"", 2)


def test_events_are_read_after_the_core_agreed() -> None:
    exchange = Exchange()
    request = scmd_operations.ReadEventsRequest(scm=WIRE_SCM, after=7, count=10, source="SCM")
    response = exchange.run(scmd_operations.READ_EVENTS, request, ok(), ok((b"{}\n", 9)))
    assert exchange.asked == [
        CheckScmHandle(CALL, SCM, ScmAccess.ENUMERATE_SERVICE),
        ReadEvents(CALL, 7, 10, "SCM"),
    ]
    assert (response.events, response.next, response.error) == (b"{}\n", 9, 0)
    refused = exchange.run(scmd_operations.READ_EVENTS, request, error(5))
    assert (refused.events, refused.next, refused.error) == (b"", 0, 5)


def test_a_program_reports_an_event_with_all_access_only() -> None:
    exchange = Exchange()
    request = scmd_operations.ReportEventRequest(
        scm=WIRE_SCM,
        source="Backup",
        type=4,
        event_id=100,
        strings=(
            scmd_operations.EventString(text="one"),
            scmd_operations.EventString(text=None),
        ),
    )
    assert exchange.run(scmd_operations.REPORT_EVENT, request, ok(), ok()).error == 0
    assert exchange.asked == [
        CheckScmHandle(CALL, SCM, ScmAccess.ALL_ACCESS),
        ReportEvent(CALL, "Backup", 4, 100, ("one", "")),
    ]
    assert Exchange().run(scmd_operations.REPORT_EVENT, request, error(5)).error == 5


def test_foreign_handles_are_found_first() -> None:
    service = scmd_operations.ReadLogRequest(service=FOREIGN, position=0, count=0)
    with pytest.raises(ForeignHandle):
        Exchange().run(scmd_operations.READ_LOG, service)
    scm = scmd_operations.ReadEventsRequest(scm=FOREIGN, after=0, count=0)
    with pytest.raises(ForeignHandle):
        Exchange().run(scmd_operations.READ_EVENTS, scm)
    parameters = scmd_operations.SetParametersRequest(service=FOREIGN)
    with pytest.raises(ForeignHandle):
        Exchange().run(scmd_operations.SET_PARAMETERS, parameters)


def test_a_history_is_read_after_the_core_agreed() -> None:
    exchange = Exchange()
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    response = exchange.run(
        scmd_operations.READ_HISTORY, request, ok(ServiceId(44)), ok(b'{"a":1}\n')
    )
    assert (response.document, response.error) == (b'{"a":1}\n', 0)
    assert exchange.asked == [
        IdentifyService(CALL, SERVICE, ServiceAccess.QUERY_STATUS),
        ReadHistory(CALL, ServiceId(44)),
    ]
    refused = exchange.run(scmd_operations.READ_HISTORY, request, error(5))
    assert (refused.document, refused.error) == (b"", 5)


def test_of_a_history_that_does_not_fit_the_newest_lines_are_sent() -> None:
    line = b"x" * 999 + b"\n"
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    response = Exchange().run(
        scmd_operations.READ_HISTORY, request, ok(ServiceId(44)), ok(line * 2000)
    )
    assert response.document == line * 1048
    line = b"x" * 1023 + b"\n"
    for count in (1024, 1025):
        response = Exchange().run(
            scmd_operations.READ_HISTORY, request, ok(ServiceId(44)), ok(line * count)
        )
        assert response.document == line * 1024


def test_an_explanation_is_sent_as_json() -> None:
    finding = Finding(Code.NEVER_STARTED, "Web\ud800", "has not been started", left=5)
    explanation = Explanation(
        *("Web", "Web Server", "STOPPED", None, "", "", "", 0, 0, False),
        holders=(Holder("root", "local pid 1", 2),),
        findings=(finding,),
    )
    exchange = Exchange()
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    response = exchange.run(scmd_operations.EXPLAIN, request, ok(explanation))
    assert exchange.asked == [ExplainService(CALL, SERVICE)]
    document = json.loads(response.document)
    assert (document["scmd_explanation"], document["state"], document["lasted"]) == (
        *(1, "STOPPED", None),
    )
    assert document["holders"] == [{"name": "root", "origin": "local pid 1", "handles": 2}]
    [found] = document["findings"]
    assert (found["code"], found["left"], found["depth"]) == ("never_started", 5, 0)
    assert exchange.run(scmd_operations.EXPLAIN, request, error(5)).document == b""


def test_a_crash_is_read_by_who_may_read_log_and_configuration() -> None:
    exchange = Exchange()
    request = scmd_operations.ReadCrashRequest(service=WIRE_SERVICE, age=2)
    response = exchange.run(scmd_operations.READ_CRASH, request, ok(ServiceId(44)), ok(b"{}"))
    assert (response.document, response.error) == (b"{}", 0)
    access = ServiceAccess.START | ServiceAccess.QUERY_CONFIG
    assert exchange.asked == [
        IdentifyService(CALL, SERVICE, access),
        ReadCrash(CALL, ServiceId(44), 2),
    ]
    refused = exchange.run(scmd_operations.READ_CRASH, request, error(5))
    assert (refused.document, refused.error) == (b"", 5)


def test_a_kill_is_the_core_s() -> None:
    exchange = Exchange()
    request = scmd_operations.ServiceRequest(service=WIRE_SERVICE)
    assert exchange.run(scmd_operations.KILL_SERVICE, request, error(1062)).error == 1062
    assert exchange.asked == [KillService(CALL, SERVICE)]


def test_what_is_prepared_comes_to_the_core_as_changes_would() -> None:
    request = scmd_operations.PrepareServiceRequest(
        scm=WIRE_SCM,
        image_path="srvany",
        description="",
        delayed=1,
        failure_actions_flag=7,
        reset_period=60,
        actions=(scmd_operations.PreparedAction(type=1, delay=5),),
        values=pack_parameters(VALUES),
    )
    exchange = Exchange()
    response = exchange.run(scmd_operations.PREPARE_SERVICE, request, error(87, "Port: expected"))
    assert (response.error, response.detail) == (87, "Port: expected")
    restart = FailureActionsChange(
        60, None, None, (FailureAction(type=ActionType.RESTART, delay=5),)
    )
    changes = (
        (ConfigLevel.DESCRIPTION, ""),
        (ConfigLevel.DELAYED_AUTO_START_INFO, True),
        (ConfigLevel.FAILURE_ACTIONS_FLAG, True),
        (ConfigLevel.FAILURE_ACTIONS, restart),
    )
    assert exchange.asked == [PrepareService(CALL, SCM, "srvany", VALUES, changes)]
    exchange = Exchange()
    exchange.run(
        scmd_operations.PREPARE_SERVICE, scmd_operations.PrepareServiceRequest(scm=WIRE_SCM), ok()
    )
    assert exchange.asked == [PrepareService(CALL, SCM, "", {}, ())]


@pytest.mark.parametrize(
    "wrong",
    [
        {"actions": (scmd_operations.PreparedAction(type=99, delay=5),)},
        {"values": (scmd_operations.Parameter(name="A", type=99),)},
    ],
)
def test_what_means_nothing_is_87_to_who_may_create(wrong: dict[str, Any]) -> None:
    request = scmd_operations.PrepareServiceRequest(scm=WIRE_SCM, **wrong)
    for reply, expected in ((ok(None), 87), (error(5), 5)):
        exchange = Exchange()
        assert exchange.run(scmd_operations.PREPARE_SERVICE, request, reply).error == expected
        assert exchange.asked == [CheckScmHandle(CALL, SCM, ScmAccess.CREATE_SERVICE)]
