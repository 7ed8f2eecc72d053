"""Opening, status, controls and starts: what they ask of the core, and each out-parameter.

On error too. The next files of this kind are `test_enumerations`, `test_records` and
`test_config_queries`; the table of all operations is below.
"""

from __future__ import annotations

import pytest

from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import (
    CloseHandle,
    ControlService,
    GetDisplayName,
    GetKeyName,
    IdentifyService,
    OpenScm,
    OpenService,
    QueryStatus,
    StartService,
)
from scmd.core.messages.effects import Reply
from scmd.ndr.values import NULL_HANDLE, Guid
from scmd.server.handles import ForeignHandle
from scmd.server.running import NO_STATUS
from scmd.server.svcctl_server import SVCCTL_OPERATIONS
from scmd.svcctl import buffers, control, opening
from scmd.svcctl.administration import NotifyParams
from scmd.svcctl.configuration import ConfigInfo
from scmd.svcctl.interface import ServiceRequest
from scmd.svcctl.operations import OPERATIONS
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ServiceAccess
from scmd.vocabulary.status import ServiceStatus
from tests.server.exchange import (
    CALL,
    FOREIGN,
    FORMS,
    HANDLES,
    RUNNING,
    SCM,
    SERVICE,
    WIRE_SCM,
    WIRE_SERVICE,
    Exchange,
    error,
    ok,
)

SEVEN = RUNNING.replace(process_id=0)
"""What SERVICE_STATUS keeps of it."""


# Opening ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_open_scm(form: int) -> None:
    request = opening.OpenScManagerRequest(
        machine="DUMMY", database="ServicesActive", desired_access=0x3F
    )
    for operation in (opening.OPEN_SC_MANAGER_W, opening.OPEN_SC_MANAGER_A):
        exchange = Exchange(form)
        response = exchange.run(operation, request, ok(HandleId(9)))
        assert exchange.asked == [OpenScm(CALL, "ServicesActive", 0x3F)]
        assert (response.handle, response.error) == (HANDLES.to_wire(HandleId(9)), 0)


def test_open_scm_2_and_its_refusal() -> None:
    exchange = Exchange()
    request = opening.OpenScManager2Request(database=None, desired_access=1)
    response = exchange.run(opening.OPEN_SC_MANAGER_2, request, error(Error.ACCESS_DENIED))
    assert exchange.asked == [OpenScm(CALL, None, 1)]
    assert (response.handle, response.error) == (NULL_HANDLE, 5)


def test_open_service() -> None:
    request = opening.OpenServiceRequest(scm=WIRE_SCM, name="Wéb", desired_access=4)
    for operation in (opening.OPEN_SERVICE_W, opening.OPEN_SERVICE_A):
        exchange = Exchange()
        response = exchange.run(operation, request, ok(HandleId(10)))
        assert exchange.asked == [OpenService(CALL, SCM, "Wéb", 4)]
        assert response.handle == HANDLES.to_wire(HandleId(10))
        response = exchange.run(operation, request, error(Error.SERVICE_DOES_NOT_EXIST))
        assert (response.handle, response.error) == (NULL_HANDLE, 1060)


@pytest.mark.parametrize("result", [0, 6, 0xFFFF75FD, 0xFFFF75FE])
def test_close_handle_answers_a_zero_handle(result: int) -> None:
    exchange = Exchange()
    request = opening.CloseServiceHandleRequest(handle=WIRE_SERVICE)
    response = exchange.run(opening.CLOSE_SERVICE_HANDLE, request, error(result))
    assert exchange.asked == [CloseHandle(CALL, SERVICE)]
    assert (response.handle, response.error) == (NULL_HANDLE, result)


@pytest.mark.parametrize(
    ("buffer_size", "expected"),
    [
        (4, ("", 4, 5, 122)),
        (5, ("Wéb€", 4, 6, 0)),
        (0, ("", 4, 1, 122)),
        (99999, ("Wéb€", 4, 4097, 0)),
    ],
)
def test_names_count_characters_without_the_nul(
    buffer_size: int, expected: tuple[str, int, int, int]
) -> None:
    for operation, asked in (
        (control.GET_SERVICE_DISPLAY_NAME_W, GetDisplayName(CALL, SCM, "x")),
        (control.GET_SERVICE_KEY_NAME_W, GetKeyName(CALL, SCM, "x")),
    ):
        exchange = Exchange()
        request = control.NameRequest(scm=WIRE_SCM, name="x", buffer_size=buffer_size)
        response = exchange.run(operation, request, ok("Wéb€"))
        assert exchange.asked == [asked]
        assert (response.name, response.length, response.capacity, response.error) == expected


def test_ansi_names_answer_the_double_count_when_short_and_the_given_one_otherwise() -> None:
    for operation in (control.GET_SERVICE_DISPLAY_NAME_A, control.GET_SERVICE_KEY_NAME_A):
        short = control.NameRequest(scm=WIRE_SCM, name="x", buffer_size=4)
        response = Exchange().run(operation, short, ok("Wéb"))
        assert (response.name, response.length, response.error) == ("", 8, 122)
        enough = control.NameRequest(scm=WIRE_SCM, name="x", buffer_size=5)
        response = Exchange().run(operation, enough, ok("Wéb"))
        assert (response.name, response.length, response.error) == ("Wéb", 5, 0)


def test_an_unknown_name_has_an_empty_string() -> None:
    request = control.NameRequest(scm=WIRE_SCM, name="x", buffer_size=10)
    response = Exchange().run(
        control.GET_SERVICE_DISPLAY_NAME_W, request, error(Error.SERVICE_DOES_NOT_EXIST)
    )
    assert (response.name, response.length, response.error) == ("", 0, 1060)


# Running services ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_query_status(form: int) -> None:
    exchange = Exchange(form)
    request = ServiceRequest(service=WIRE_SERVICE)
    response = exchange.run(control.QUERY_SERVICE_STATUS, request, ok(RUNNING))
    assert exchange.asked == [QueryStatus(CALL, SERVICE)]
    assert (response.status, response.error) == (SEVEN, 0)
    response = exchange.run(control.QUERY_SERVICE_STATUS, request, error(5))
    assert (response.status, response.error) == (NO_STATUS, 5)


def test_a_status_that_is_not_given_is_all_zeros() -> None:
    assert not any(NO_STATUS.as_dict().values())


@pytest.mark.parametrize(
    ("reply", "status"),
    [(ok(RUNNING), SEVEN)]
    + [(error(number, RUNNING), SEVEN) for number in (1051, 1052, 1061, 1062)]
    + [(error(number), NO_STATUS) for number in (5, 6, 87, 1053, 1115)],
)
def test_control_carries_the_status_the_core_gives(reply: Reply, status: ServiceStatus) -> None:
    exchange = Exchange()
    request = control.ControlServiceRequest(service=WIRE_SERVICE, control=200)
    response = exchange.run(control.CONTROL_SERVICE, request, reply)
    assert exchange.asked == [ControlService(CALL, SERVICE, 200)]
    assert response.status == status


def test_control_ex_carries_reason_and_comment() -> None:
    for operation in (control.CONTROL_SERVICE_EX_W, control.CONTROL_SERVICE_EX_A):
        exchange = Exchange()
        request = control.ControlServiceExRequest(
            service=WIRE_SERVICE,
            control=1,
            parameters=control.ControlReasonIn(reason=0x40040004, comment="upgrade"),
        )
        response = exchange.run(operation, request, ok(RUNNING))
        asked = ControlService(CALL, SERVICE, 1, 0x40040004, "upgrade", is_extended=True)
        assert exchange.asked == [asked]
        assert response.parameters == control.ControlReasonOut(status=RUNNING)
        response = exchange.run(operation, request, error(1053))
        assert (response.parameters, response.error) == (None, 1053)
        response = exchange.run(operation, request, error(1062, RUNNING))
        assert response.parameters == control.ControlReasonOut(status=RUNNING)


@pytest.mark.parametrize(("identified", "expected"), [(ok(ServiceId(1)), 87), (error(5), 5)])
def test_control_ex_stops_for_a_reason_only(identified: Reply, expected: int) -> None:
    for given in (None, control.ControlReasonIn(reason=0)):
        exchange = Exchange()
        request = control.ControlServiceExRequest(service=WIRE_SERVICE, control=1, parameters=given)
        response = exchange.run(control.CONTROL_SERVICE_EX_W, request, identified)
        assert exchange.asked == [IdentifyService(CALL, SERVICE, ServiceAccess.STOP)]
        assert (response.parameters, response.error) == (None, expected)


def test_control_ex_without_parameters_is_a_plain_control() -> None:
    exchange = Exchange()
    request = control.ControlServiceExRequest(service=WIRE_SERVICE, control=4, parameters=None)
    exchange.run(control.CONTROL_SERVICE_EX_W, request, ok(RUNNING))
    assert exchange.asked == [ControlService(CALL, SERVICE, 4, is_extended=True)]


@pytest.mark.parametrize(
    ("size", "error_number"), [(0, 122), (35, 122), (36, 0), (100, 0), (8192, 0)]
)
def test_query_status_ex_fills_a_buffer_of_the_size_asked_for(size: int, error_number: int) -> None:
    request = control.QueryServiceStatusExRequest(service=WIRE_SERVICE, buffer_size=size)
    response = Exchange().run(control.QUERY_SERVICE_STATUS_EX, request, ok(RUNNING))
    assert (response.bytes_needed, response.error) == (36, error_number)
    expected = b"" if error_number else buffers.pack_status_process(RUNNING)
    assert response.buffer == expected.ljust(size, b"\0")


@pytest.mark.parametrize(
    ("level", "reply", "expected"), [(1, ok(RUNNING), 124), (1, error(5), 5), (0, error(6), 6)]
)
def test_query_status_ex_refused(level: int, reply: Reply, expected: int) -> None:
    request = control.QueryServiceStatusExRequest(service=WIRE_SERVICE, level=level, buffer_size=40)
    response = Exchange().run(control.QUERY_SERVICE_STATUS_EX, request, reply)
    assert (response.buffer, response.error) == (bytes(40), expected)


def argument(text: str | None) -> control.Argument:
    return control.Argument(text=text)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ((), ()),
        ((argument("Web"), argument(""), argument("a b")), ("Web", "", "a b")),
    ],
)
def test_start_passes_the_strings_that_follow_the_service_name(
    given: tuple[control.Argument, ...] | None, expected: tuple[str, ...]
) -> None:
    for operation in (control.START_SERVICE_W, control.START_SERVICE_A):
        exchange = Exchange()
        request = control.StartServiceRequest(service=WIRE_SERVICE, arguments=given)
        assert exchange.run(operation, request, error(1056)).error == 1056
        assert exchange.asked == [StartService(CALL, SERVICE, expected)]


@pytest.mark.parametrize(("identified", "expected"), [(ok(ServiceId(1)), 87), (error(5), 5)])
def test_start_with_fewer_strings_than_it_says_is_87(identified: Reply, expected: int) -> None:
    exchange = Exchange()
    request = control.StartServiceRequest(
        service=WIRE_SERVICE, arguments=(argument("a"), argument(None))
    )
    response = exchange.run(control.START_SERVICE_W, request, identified)
    assert response.error == expected
    assert exchange.asked == [IdentifyService(CALL, SERVICE, ServiceAccess.START)]


# The table ----------------------------------------------------------------------------------


def test_the_table_serves_what_is_published() -> None:
    assert set(SVCCTL_OPERATIONS) == set(OPERATIONS)


HANDLE_FIELDS = ("service", "scm", "handle", "lock", "notify_handle")


@pytest.mark.parametrize("opnum", sorted(set(SVCCTL_OPERATIONS) - {9, 15, 27, 64}))
def test_a_foreign_handle_is_found_before_anything_is_asked(opnum: int) -> None:
    entry = SVCCTL_OPERATIONS[opnum]
    kind = entry.operation.request
    field = next(name for name in HANDLE_FIELDS if name in kind._fields)
    values = {
        name: 8 if name == "level" else 0
        for name in kind._fields
        if name not in kind._defaults and name != field
    }
    for name in ("name", "binary_path_name"):
        if name in values:
            values[name] = "x"  # type: ignore[assignment] # built from the declaration
    if "security_descriptor" in values:
        values["security_descriptor"] = b""  # type: ignore[assignment] # likewise
    if "status" in values:
        values["status"] = ServiceStatus()  # type: ignore[assignment] # likewise
    if "config" in values:
        values["config"] = ConfigInfo(level=1, info=None)  # type: ignore[assignment] # likewise
    if "parameters" in values:
        values["parameters"] = None  # type: ignore[assignment] # likewise
    if "notify_params" in values:
        nothing = NotifyParams(level=2, params=None)
        values["notify_params"] = nothing  # type: ignore[assignment] # likewise
        values["client_process"] = Guid(bytes(16))  # type: ignore[assignment] # likewise
    if "level" in kind._defaults:
        values["level"] = kind._defaults["level"]
    request = kind(**{field: FOREIGN}, **values)
    with pytest.raises(ForeignHandle):
        Exchange().run(entry.operation, request)
