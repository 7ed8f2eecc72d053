"""Every served operation: what it asks of the core, and each out-parameter, on error too."""

from __future__ import annotations

import pytest

from scmd.core.messages import HandleId, ServiceId
from scmd.core.messages.commands import (
    ChangeConfig,
    ChangeConfig2,
    CheckScmHandle,
    CloseHandle,
    Config2Value,
    ControlService,
    CreateService,
    DeleteService,
    EnumDependents,
    EnumServices,
    FailureActionsChange,
    GetDisplayName,
    GetKeyName,
    IdentifyService,
    OpenScm,
    OpenService,
    QueryConfig,
    QueryStatus,
    ServiceEntry,
    StartService,
)
from scmd.core.messages.effects import Reply
from scmd.ndr.errors import INVALID_TAG
from scmd.ndr.structure import BIG_ENDIAN, NDR, NDR64
from scmd.ndr.values import NULL_HANDLE, Guid
from scmd.server.handles import ForeignHandle
from scmd.server.resume import LAST_DIRECT
from scmd.server.running import NO_STATUS
from scmd.server.steps import Fault
from scmd.server.svcctl_server import SVCCTL_OPERATIONS
from scmd.svcctl import buffers, configuration, control, opening
from scmd.svcctl.administration import NotifyParams
from scmd.svcctl.config2_buffers import QUERY_LEVELS, pack_config2
from scmd.svcctl.configuration import ConfigInfo
from scmd.svcctl.interface import ServiceRequest
from scmd.svcctl.operations import OPERATIONS
from scmd.vocabulary.configuration import (
    FailureAction,
    FailureActions,
    ServiceConfig,
    Trigger,
    TriggerItem,
)
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import ActionType, ConfigLevel, ScmAccess, ServiceAccess
from scmd.vocabulary.status import ServiceStatus
from tests.server.exchange import (
    CALL,
    FOREIGN,
    HANDLES,
    SCM,
    SERVICE,
    WIRE_SCM,
    WIRE_SERVICE,
    Exchange,
    error,
    ok,
)

RUNNING = ServiceStatus(
    type=0x10, state=4, controls_accepted=5, check_point=1, wait_hint=2000, process_id=4711
)
SEVEN = RUNNING.replace(process_id=0)
"""What SERVICE_STATUS keeps of it."""
CONFIG = ServiceConfig(
    name="Web",
    display_name="The Web",
    image_path='"/usr/bin/web server" -x',
    load_order_group="Net",
    tag=3,
    dependencies=("Tcp", "+Disks"),
    account="NT AUTHORITY\\LocalService",
    description="Serves €",
    failure_actions=FailureActions(
        reset_period_s=60,
        reboot_message="bye",
        command="run",
        actions=(FailureAction(type=ActionType.RESTART, delay=5000),),
    ),
    delayed_auto_start=True,
    required_privileges=("SeChangeNotifyPrivilege",),
    preferred_node=2,
    triggers=(
        Trigger(
            type=20, action=1, subtype=b"0123456789abcdef", items=(TriggerItem(type=1, data=b"x"),)
        ),
        Trigger(type=2, action=2, subtype=bytes(16)),
    ),
)
FORMS = [NDR, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN]


def entries(*names: str) -> tuple[ServiceEntry, ...]:
    return tuple(
        ServiceEntry(ServiceId(number), name, f"{name} shown", RUNNING)
        for number, name in enumerate(names, 10)
    )


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
        assert exchange.asked == [ControlService(CALL, SERVICE, 1, 0x40040004, "upgrade")]
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
    assert exchange.asked == [ControlService(CALL, SERVICE, 4)]


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


# Enumerations -------------------------------------------------------------------------------

ENUMERATIONS = [
    control.ENUM_SERVICES_STATUS_W,
    control.ENUM_SERVICES_STATUS_A,
]
EX_ENUMERATIONS = [
    control.ENUM_SERVICES_STATUS_EX_W,
    control.ENUM_SERVICES_STATUS_EX_A,
]


def test_enumerations_ask_for_what_the_request_says() -> None:
    for operation in ENUMERATIONS:
        exchange = Exchange()
        request = control.EnumServicesStatusRequest(
            scm=WIRE_SCM, type=0x30, state=3, buffer_size=0, resume_index=None
        )
        exchange.run(operation, request, ok(()))
        assert exchange.asked == [EnumServices(CALL, SCM, 0x30, 3, None, 0)]
    for ex_operation in EX_ENUMERATIONS:
        exchange = Exchange()
        ex_request = control.EnumServicesStatusExRequest(
            scm=WIRE_SCM, type=0x10, state=1, buffer_size=0, resume_index=5, group=""
        )
        exchange.run(ex_operation, ex_request, ok(()))
        assert exchange.asked == [EnumServices(CALL, SCM, 0x10, 1, "", 5)]
    exchange = Exchange()
    group_request = control.EnumServiceGroupRequest(
        scm=WIRE_SCM, type=0x10, state=1, buffer_size=0, resume_index=5, group="Net"
    )
    exchange.run(control.ENUM_SERVICE_GROUP_W, group_request, ok(()))
    assert exchange.asked == [EnumServices(CALL, SCM, 0x10, 1, "Net", 5)]


def test_pages_hold_whole_entries_and_go_on_where_the_last_one_ended() -> None:
    everything = entries("One", "Two", "Three", "Four", "Five")
    for operation in (control.ENUM_SERVICES_STATUS_EX_W,):
        collected: list[ServiceEntry] = []
        index, result = 0, 234
        while result == 234:
            exchange = Exchange()
            request = control.EnumServicesStatusExRequest(
                scm=WIRE_SCM, type=0x30, state=3, buffer_size=200, resume_index=index
            )
            rest = tuple(entry for entry in everything if entry.id > index)
            response = exchange.run(operation, request, ok(rest))
            assert len(response.buffer) == 200
            collected += rest[: response.returned]
            unpacked = buffers.unpack_services(
                response.buffer, response.returned, with_process=True
            )
            assert [name for name, _, _ in unpacked] == [
                entry.name for entry in rest[: response.returned]
            ]
            assert response.returned
            assert response.resume_index is not None
            index, result = response.resume_index, response.error
        assert result == 0
        assert index == 0
        assert tuple(collected) == everything


def test_a_buffer_too_small_for_one_entry_says_what_the_rest_needs() -> None:
    everything = entries("One", "Two")
    request = control.EnumServicesStatusRequest(
        scm=WIRE_SCM, type=0x30, state=3, buffer_size=0, resume_index=None
    )
    short = Exchange().run(control.ENUM_SERVICES_STATUS_W, request, ok(everything))
    assert (short.buffer, short.returned, short.resume_index, short.error) == (b"", 0, None, 234)
    full = Exchange().run(
        control.ENUM_SERVICES_STATUS_W,
        request.replace(buffer_size=short.bytes_needed),
        ok(everything),
    )
    assert (full.returned, full.error, full.bytes_needed) == (2, 0, short.bytes_needed)
    one_less = Exchange().run(
        control.ENUM_SERVICES_STATUS_W,
        request.replace(buffer_size=short.bytes_needed - 1, resume_index=4),
        ok(everything),
    )
    assert (one_less.returned, one_less.error, one_less.resume_index) == (1, 234, 10)


def test_a_page_without_an_entry_keeps_the_resume_index() -> None:
    request = control.EnumServicesStatusRequest(
        scm=WIRE_SCM, type=0x30, state=3, buffer_size=10, resume_index=4
    )
    response = Exchange().run(control.ENUM_SERVICES_STATUS_W, request, ok(entries("One")))
    assert (response.returned, response.resume_index, response.error) == (0, 4, 234)


def test_record_numbers_past_the_range_of_a_resume_index_page_all_the_same() -> None:
    numbers = [LAST_DIRECT, LAST_DIRECT + 1, 262_144, 262_145, 5_000_000]
    everything = tuple(
        ServiceEntry(ServiceId(number), f"S{number:07}", "", RUNNING) for number in numbers
    )
    exchange = Exchange()
    index, seen, result = 0, [], 234
    while result == 234:
        request = control.EnumServicesStatusRequest(
            scm=WIRE_SCM, type=0x30, state=3, buffer_size=100, resume_index=index
        )
        after = exchange.resume.number(index)
        rest = tuple(entry for entry in everything if entry.id > after)
        response = exchange.run(control.ENUM_SERVICES_STATUS_W, request, ok(rest))
        assert exchange.asked[-1] == EnumServices(CALL, SCM, 0x30, 3, None, after)
        seen += [entry.id for entry in rest[: response.returned]]
        assert response.resume_index is not None
        index, result = response.resume_index, response.error
    assert seen == numbers


def test_enumerations_on_error_have_full_zero_buffers() -> None:
    for operation in ENUMERATIONS:
        request = control.EnumServicesStatusRequest(
            scm=WIRE_SCM, type=0, state=3, buffer_size=50, resume_index=7
        )
        response = Exchange().run(operation, request, error(87))
        assert (
            response.buffer,
            response.bytes_needed,
            response.returned,
            response.resume_index,
        ) == (bytes(50), 0, 0, 0)
        assert response.error == 87
    dependents = control.EnumDependentServicesRequest(service=WIRE_SERVICE, state=0, buffer_size=50)
    answer = Exchange().run(control.ENUM_DEPENDENT_SERVICES_W, dependents, error(87))
    assert (answer.buffer, answer.bytes_needed, answer.returned, answer.error) == (
        bytes(50),
        0,
        0,
        87,
    )


@pytest.mark.parametrize(("reply", "expected"), [(ok(), 124), (error(5), 5)])
def test_an_unknown_enumeration_level_is_124_to_who_may_enumerate(
    reply: Reply, expected: int
) -> None:
    exchange = Exchange()
    request = control.EnumServicesStatusExRequest(
        scm=WIRE_SCM, level=1, type=0x30, state=3, buffer_size=8
    )
    response = exchange.run(control.ENUM_SERVICES_STATUS_EX_W, request, reply)
    assert exchange.asked == [CheckScmHandle(CALL, SCM, ScmAccess.ENUMERATE_SERVICE)]
    assert (response.buffer, response.error) == (bytes(8), expected)


def test_dependents_keep_the_order_the_core_gives() -> None:
    found = entries("B", "A")[::-1]
    for operation, ansi in (
        (control.ENUM_DEPENDENT_SERVICES_W, False),
        (control.ENUM_DEPENDENT_SERVICES_A, True),
    ):
        exchange = Exchange()
        request = control.EnumDependentServicesRequest(
            service=WIRE_SERVICE, state=3, buffer_size=500
        )
        response = exchange.run(operation, request, ok(found))
        assert exchange.asked == [EnumDependents(CALL, SERVICE, 3)]
        unpacked = buffers.unpack_services(
            response.buffer, response.returned, with_process=False, ansi=ansi
        )
        assert [name for name, _, _ in unpacked] == ["A", "B"]
        short = exchange.run(operation, request.replace(buffer_size=0), ok(found))
        assert (short.returned, short.error) == (0, 234)
        assert short.bytes_needed == response.bytes_needed
        half = exchange.run(operation, request.replace(buffer_size=60), ok(found))
        assert (half.returned, half.bytes_needed) == (1, response.bytes_needed)


# Records ------------------------------------------------------------------------------------


def test_create_with_everything() -> None:
    request = configuration.CreateServiceRequest(
        scm=WIRE_SCM,
        name="Web",
        display_name="The Wéb",
        desired_access=0xF01FF,
        type=0x20,
        start_type=2,
        error_control=1,
        binary_path_name="/bin/web",
        load_order_group="Net",
        tag_id=0,
        dependencies="Tcp\0+Disks\0\0".encode("utf-16-le"),
        service_start_name="ann",
        password="geheim\0".encode("utf-16-le"),
    )
    expected = ServiceConfig(
        name="Web",
        display_name="The Wéb",
        type=0x20,
        start_type=2,
        error_control=1,
        image_path="/bin/web",
        load_order_group="Net",
        dependencies=("Tcp", "+Disks"),
        account="ann",
    )
    asked = CreateService(CALL, SCM, expected, 0xF01FF, assign_tag=True)
    for operation in (configuration.CREATE_SERVICE_W, configuration.CREATE_SERVICE_WOW64_W):
        exchange = Exchange()
        response = exchange.run(operation, request, ok((HandleId(8), 17)))
        assert exchange.asked == [asked]
        assert (response.tag_id, response.handle, response.error) == (
            17,
            HANDLES.to_wire(HandleId(8)),
            0,
        )
    ansi = request.replace(dependencies=b"Tcp\0+Disks\0\0", password=b"geheim\0")
    for operation in (configuration.CREATE_SERVICE_A, configuration.CREATE_SERVICE_WOW64_A):
        exchange = Exchange()
        exchange.run(operation, ansi, ok((HandleId(8), 17)))
        assert exchange.asked == [asked]
        response = exchange.run(operation, ansi, error(1073))
        assert (response.tag_id, response.handle, response.error) == (0, NULL_HANDLE, 1073)


MINIMAL = configuration.CreateServiceRequest(
    scm=WIRE_SCM,
    name="Web",
    desired_access=0,
    type=0x10,
    start_type=3,
    error_control=1,
    binary_path_name="/bin/web",
)


def test_create_with_the_least() -> None:
    exchange = Exchange()
    response = exchange.run(configuration.CREATE_SERVICE_W, MINIMAL, ok((HandleId(8), 0)))
    config = ServiceConfig(name="Web", image_path="/bin/web")
    assert exchange.asked == [CreateService(CALL, SCM, config, 0)]
    assert response.tag_id is None
    response = exchange.run(configuration.CREATE_SERVICE_W, MINIMAL, error(5))
    assert (response.tag_id, response.handle, response.error) == (None, NULL_HANDLE, 5)


def test_half_a_character_is_87_after_handle_and_right() -> None:
    half = MINIMAL.replace(dependencies=b"abc")
    change = configuration.ChangeServiceConfigRequest(
        service=WIRE_SERVICE, tag_id=5, dependencies=b"abc"
    )
    for reply, expected in ((ok(), 87), (error(5), 5), (error(6), 6)):
        exchange = Exchange()
        response = exchange.run(configuration.CREATE_SERVICE_W, half, reply)
        assert (response.handle, response.error) == (NULL_HANDLE, expected)
        answer = exchange.run(configuration.CHANGE_SERVICE_CONFIG_W, change, reply)
        assert (answer.tag_id, answer.error) == (0, expected)
        assert exchange.asked == [
            CheckScmHandle(CALL, SCM, ScmAccess.CREATE_SERVICE),
            IdentifyService(CALL, SERVICE, ServiceAccess.CHANGE_CONFIG),
        ]


def test_a_password_goes_no_further_than_the_request_and_shows_nowhere() -> None:
    secret = b"geheim\xff"
    request = MINIMAL.replace(password=secret)
    assert "geheim" not in repr(request)
    exchange = Exchange()
    exchange.run(configuration.CREATE_SERVICE_W, request, ok((HandleId(8), 0)))
    assert exchange.asked == [
        CreateService(CALL, SCM, ServiceConfig(name="Web", image_path="/bin/web"), 0)
    ]


@pytest.mark.parametrize("wow_type", [0, 1])
def test_create_wow_for_this_architecture(wow_type: int) -> None:
    values = MINIMAL.as_dict()
    request = configuration.CreateWowServiceRequest(**values, wow_type=wow_type)
    exchange = Exchange()
    response = exchange.run(configuration.CREATE_WOW_SERVICE, request, ok((HandleId(8), 0)))
    assert response.error == 0
    foreign = request.replace(wow_type=0x1C4)
    for reply, expected in ((ok(), 50), (error(5), 5)):
        response = Exchange().run(configuration.CREATE_WOW_SERVICE, foreign, reply)
        assert (response.handle, response.error) == (NULL_HANDLE, expected)


def test_delete() -> None:
    exchange = Exchange()
    request = ServiceRequest(service=WIRE_SERVICE)
    assert exchange.run(configuration.DELETE_SERVICE, request, error(1072)).error == 1072
    assert exchange.asked == [DeleteService(CALL, SERVICE)]


def test_change_that_keeps_everything() -> None:
    exchange = Exchange()
    request = configuration.ChangeServiceConfigRequest(service=WIRE_SERVICE)
    response = exchange.run(configuration.CHANGE_SERVICE_CONFIG_W, request, ok(0))
    assert exchange.asked == [ChangeConfig(CALL, SERVICE)]
    assert (response.tag_id, response.error) == (None, 0)


def test_change_of_everything() -> None:
    request = configuration.ChangeServiceConfigRequest(
        service=WIRE_SERVICE,
        type=0x20,
        start_type=4,
        error_control=2,
        binary_path_name="/bin/x",
        load_order_group="",
        tag_id=0,
        dependencies=b"",
        service_start_name="bob",
        password=b"",
        display_name="X",
    )
    for operation in (
        configuration.CHANGE_SERVICE_CONFIG_W,
        configuration.CHANGE_SERVICE_CONFIG_A,
    ):
        exchange = Exchange()
        response = exchange.run(operation, request, ok(4))
        assert exchange.asked == [
            ChangeConfig(
                CALL,
                SERVICE,
                type=0x20,
                start_type=4,
                error_control=2,
                image_path="/bin/x",
                load_order_group="",
                assign_tag=True,
                dependencies=(),
                account="bob",
                display_name="X",
            )
        ]
        assert (response.tag_id, response.error) == (4, 0)
        response = exchange.run(operation, request, error(1059))
        assert (response.tag_id, response.error) == (0, 1059)


CONFIG2_CHANGES: list[tuple[ConfigInfo, ConfigLevel, Config2Value]] = [
    (
        ConfigInfo(level=1, info=configuration.ServiceDescription(description="says €")),
        ConfigLevel.DESCRIPTION,
        "says €",
    ),
    (
        ConfigInfo(level=1, info=configuration.ServiceDescription(description=None)),
        ConfigLevel.DESCRIPTION,
        None,
    ),
    (
        ConfigInfo(
            level=2,
            info=configuration.ServiceFailureActions(
                reset_period=60,
                reboot_message="m",
                command=None,
                actions=(configuration.ScAction(type=3, delay=60000),),
            ),
        ),
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(
            60, "m", None, (FailureAction(type=ActionType.RUN_COMMAND, delay=60000),)
        ),
    ),
    (
        ConfigInfo(level=2, info=configuration.ServiceFailureActions(reset_period=9)),
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(9, None, None, None),
    ),
    (
        ConfigInfo(level=2, info=configuration.ServiceFailureActions(reset_period=9, actions=())),
        ConfigLevel.FAILURE_ACTIONS,
        FailureActionsChange(9, None, None, ()),
    ),
    (
        ConfigInfo(level=3, info=configuration.ServiceFlag(value=7)),
        ConfigLevel.DELAYED_AUTO_START_INFO,
        True,
    ),
    (
        ConfigInfo(level=4, info=configuration.ServiceFlag(value=0)),
        ConfigLevel.FAILURE_ACTIONS_FLAG,
        False,
    ),
    (ConfigInfo(level=5, info=configuration.ServiceFlag(value=3)), ConfigLevel.SERVICE_SID_INFO, 3),
    (
        ConfigInfo(
            level=6,
            info=configuration.RequiredPrivileges(
                required_privileges="SeA\0SeB\0\0".encode("utf-16-le")
            ),
        ),
        ConfigLevel.REQUIRED_PRIVILEGES_INFO,
        ("SeA", "SeB"),
    ),
    (
        ConfigInfo(level=7, info=configuration.ServiceFlag(value=5000)),
        ConfigLevel.PRESHUTDOWN_INFO,
        5000,
    ),
    (
        ConfigInfo(
            level=8,
            info=configuration.TriggerInfo(
                triggers=(
                    configuration.ServiceTrigger(
                        trigger_type=3,
                        action=1,
                        trigger_subtype=Guid(b"0123456789abcdef"),
                        data_items=(
                            configuration.TriggerDataItem(data_type=1, data=b"xyz"),
                            configuration.TriggerDataItem(data_type=2, data=None),
                        ),
                    ),
                )
            ),
        ),
        ConfigLevel.TRIGGER_INFO,
        (
            Trigger(
                type=3,
                action=1,
                subtype=b"0123456789abcdef",
                items=(TriggerItem(type=1, data=b"xyz"), TriggerItem(type=2, data=b"")),
            ),
        ),
    ),
    (ConfigInfo(level=8, info=configuration.TriggerInfo()), ConfigLevel.TRIGGER_INFO, ()),
    (
        ConfigInfo(level=9, info=configuration.PreferredNode(preferred_node=3)),
        ConfigLevel.PREFERRED_NODE,
        3,
    ),
    (
        ConfigInfo(level=9, info=configuration.PreferredNode(preferred_node=3, delete=1)),
        ConfigLevel.PREFERRED_NODE,
        None,
    ),
    *(
        (ConfigInfo(level=level, info=None), ConfigLevel.DESCRIPTION, None)
        for level in range(1, 13)
    ),
]


@pytest.mark.parametrize("form", [NDR, NDR64])
@pytest.mark.parametrize(("config", "level", "value"), CONFIG2_CHANGES)
def test_change_config_2(
    config: ConfigInfo, level: ConfigLevel, value: Config2Value, form: int
) -> None:
    exchange = Exchange(form)
    request = configuration.ChangeServiceConfig2Request(service=WIRE_SERVICE, config=config)
    response = exchange.run(configuration.CHANGE_SERVICE_CONFIG_2_W, request, error(1072))
    assert exchange.asked == [ChangeConfig2(CALL, SERVICE, level, value)]
    assert response.error == 1072


@pytest.mark.parametrize(
    "config",
    [
        ConfigInfo(
            level=2,
            info=configuration.ServiceFailureActions(
                reset_period=0, actions=(configuration.ScAction(type=4, delay=0),)
            ),
        ),
        ConfigInfo(level=6, info=configuration.RequiredPrivileges(required_privileges=b"odd")),
        ConfigInfo(
            level=8,
            info=configuration.TriggerInfo(
                triggers=(configuration.ServiceTrigger(trigger_type=1, action=1),)
            ),
        ),
    ],
)
def test_change_config_2_of_what_means_nothing_is_87(config: ConfigInfo) -> None:
    request = configuration.ChangeServiceConfig2Request(service=WIRE_SERVICE, config=config)
    operation = configuration.CHANGE_SERVICE_CONFIG_2_W
    assert Exchange().run(operation, request, ok()).error == 87
    assert Exchange().run(operation, request, error(5)).error == 5


# Queries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_query_config_in_two_steps(form: int) -> None:
    for operation in (
        configuration.QUERY_SERVICE_CONFIG_W,
        configuration.QUERY_SERVICE_CONFIG_A,
    ):
        exchange = Exchange(form)
        request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=36)
        short = exchange.run(operation, request, ok(CONFIG))
        assert (short.config, short.error) == (configuration.QueryServiceConfig(), 122)
        full = exchange.run(operation, request.replace(buffer_size=short.bytes_needed), ok(CONFIG))
        assert (full.bytes_needed, full.error) == (short.bytes_needed, 0)
        assert full.config == configuration.QueryServiceConfig(
            type=0x10,
            start_type=3,
            error_control=1,
            binary_path_name='"/usr/bin/web server" -x',
            load_order_group="Net",
            tag_id=3,
            dependencies="Tcp/+Disks",
            service_start_name="NT AUTHORITY\\LocalService",
            display_name="The Web",
        )
        assert exchange.asked == [QueryConfig(CALL, SERVICE)] * 2
        one_less = request.replace(buffer_size=short.bytes_needed - 1)
        assert exchange.run(operation, one_less, ok(CONFIG)).error == 122


def test_query_config_has_no_null_pointers() -> None:
    request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=8192)
    bare = ServiceConfig(name="X", display_name="X", image_path="/x", account="")
    config = Exchange().run(configuration.QUERY_SERVICE_CONFIG_W, request, ok(bare)).config
    assert None not in config.as_dict().values()


@pytest.mark.parametrize("number", [5, 6, 1115])
def test_query_config_refused(number: int) -> None:
    request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=8192)
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_W, request, error(number))
    assert (response.config, response.bytes_needed, response.error) == (
        configuration.QueryServiceConfig(),
        0,
        number,
    )


def test_a_configuration_that_no_buffer_holds_is_122() -> None:
    request = configuration.QueryServiceConfigRequest(service=WIRE_SERVICE, buffer_size=8192)
    long = CONFIG.replace(image_path="/" + "x" * 30000)
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_W, request, ok(long))
    assert (response.bytes_needed, response.error) == (8192, 122)


@pytest.mark.parametrize("level", QUERY_LEVELS)
def test_query_config_2_in_two_steps(level: int) -> None:
    for operation, ansi in (
        (configuration.QUERY_SERVICE_CONFIG_2_W, False),
        (configuration.QUERY_SERVICE_CONFIG_2_A, True),
    ):
        data = pack_config2(level, CONFIG, ansi=ansi)
        exchange = Exchange()
        request = configuration.QueryServiceConfig2Request(
            service=WIRE_SERVICE, level=level, buffer_size=len(data) - 1
        )
        short = exchange.run(operation, request, ok(CONFIG))
        assert (short.buffer, short.bytes_needed, short.error) == (
            bytes(len(data) - 1),
            len(data),
            122,
        )
        full = exchange.run(operation, request.replace(buffer_size=len(data) + 5), ok(CONFIG))
        assert (full.buffer, full.bytes_needed, full.error) == (data + bytes(5), len(data), 0)
        assert exchange.asked == [QueryConfig(CALL, SERVICE)] * 2


@pytest.mark.parametrize("level", [0, 8, 13, 0xFFFFFFFF])
def test_query_config_2_of_another_level_is_124(level: int) -> None:
    request = configuration.QueryServiceConfig2Request(
        service=WIRE_SERVICE, level=level, buffer_size=10
    )
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_2_W, request, ok(CONFIG))
    assert (response.buffer, response.error) == (bytes(10), 124)
    response = Exchange().run(configuration.QUERY_SERVICE_CONFIG_2_W, request, error(5))
    assert (response.buffer, response.error) == (bytes(10), 5)


@pytest.mark.parametrize("form", FORMS)
def test_triggers_come_back_as_they_went_in(form: int) -> None:
    request = configuration.QueryServiceConfigExRequest(service=WIRE_SERVICE, level=8)
    response = Exchange(form).run(configuration.QUERY_SERVICE_CONFIG_EX, request, ok(CONFIG))
    assert response.error == 0
    exchange = Exchange(form)
    change = configuration.ChangeServiceConfig2Request(service=WIRE_SERVICE, config=response.config)
    exchange.run(configuration.CHANGE_SERVICE_CONFIG_2_W, change, ok())
    assert exchange.asked == [
        ChangeConfig2(CALL, SERVICE, ConfigLevel.TRIGGER_INFO, CONFIG.triggers)
    ]
    refused = Exchange(form).run(configuration.QUERY_SERVICE_CONFIG_EX, request, error(5))
    assert (refused.config, refused.error) == (ConfigInfo(level=8, info=None), 5)


@pytest.mark.parametrize("level", [*range(8), *range(9, 16)])
def test_query_config_ex_of_another_level_is_a_fault(level: int) -> None:
    request = configuration.QueryServiceConfigExRequest(service=WIRE_SERVICE, level=level)
    with pytest.raises(Fault) as fault:
        Exchange().run(configuration.QUERY_SERVICE_CONFIG_EX, request)
    assert fault.value.status == INVALID_TAG


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
