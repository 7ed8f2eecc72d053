"""Every operation of svcctl: round trips, bytes from the reference, hostile bytes."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scmd.ndr.errors import BAD_STUB_DATA, INVALID_TAG, NdrError
from scmd.ndr.structure import ANSI, BIG_ENDIAN, NDR64, Structure
from scmd.ndr.values import NULL_GUID, NULL_HANDLE, ContextHandle
from scmd.rpc.interface import Operation
from scmd.svcctl.administration import (
    GET_NOTIFY_RESULTS,
    GetNotifyResultsResponse,
    NotifyParams,
    NotifyParams2,
    NotifyParamsList,
)
from scmd.svcctl.configuration import (
    CHANGE_SERVICE_CONFIG_2_W,
    CHANGE_SERVICE_CONFIG_W,
    CREATE_SERVICE_W,
    CREATE_WOW_SERVICE,
    QUERY_SERVICE_CONFIG_EX,
    QUERY_SERVICE_CONFIG_W,
    ChangeServiceConfig2Request,
    ChangeServiceConfigRequest,
    ChangeServiceConfigResponse,
    ConfigInfo,
    CreateServiceRequest,
    CreateWowServiceRequest,
    PreferredNode,
    QueryServiceConfig,
    QueryServiceConfigExResponse,
    QueryServiceConfigResponse,
    ScAction,
    ServiceFailureActions,
    ServiceFlag,
    ServiceTrigger,
    TriggerInfo,
)
from scmd.svcctl.control import (
    CONTROL_SERVICE_EX_W,
    GET_SERVICE_DISPLAY_NAME_W,
    QUERY_SERVICE_STATUS,
    START_SERVICE_A,
    START_SERVICE_W,
    Argument,
    ControlReasonIn,
    ControlServiceExRequest,
    ControlServiceExResponse,
    EnumServicesResponse,
    NameResponse,
    StartServiceRequest,
    StatusResponse,
)
from scmd.svcctl.interface import ServiceRequest
from scmd.svcctl.opening import OPEN_SC_MANAGER_A, OPEN_SC_MANAGER_W, OpenScManagerRequest
from scmd.svcctl.operations import OPERATIONS, SVCCTL
from scmd.vocabulary.status import ServiceStatus
from tests.ndr.strategies import instances, unhurried

HANDLE = ContextHandle.of(bytes(range(16)))
WIRE_HANDLE = "00000000 000102030405060708090a0b0c0d0e0f"
RESERVED = {10, 22, 34, 43, 46, 52, 53, 54, 55, 57, 58, 59, 61, 62, 63}
ANSI_NUMBERS = {23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 36, 38, 41, 44, 50}


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def test_every_published_operation_is_declared() -> None:
    assert set(OPERATIONS) == set(range(65)) - RESERVED
    assert {number for number, op in OPERATIONS.items() if op.charset == ANSI} == ANSI_NUMBERS
    for number, operation in OPERATIONS.items():
        assert operation.opnum == number
        assert operation.interface is SVCCTL
        assert operation.response._fields[-1] == "error"
        assert (operation.name[-1] == "A") == (number in ANSI_NUMBERS)
    assert (str(SVCCTL.uuid), SVCCTL.major, SVCCTL.minor) == (
        "367abb81-9844-35f1-ad32-98f038001003",
        2,
        0,
    )


@pytest.mark.parametrize("number", sorted(OPERATIONS))
@settings(unhurried, max_examples=12)
@given(data=st.data(), form=st.sampled_from([0, BIG_ENDIAN, NDR64, NDR64 | BIG_ENDIAN]))
def test_each_operation_survives_its_wire(number: int, data: st.DataObject, form: int) -> None:
    operation = OPERATIONS[number]
    request = data.draw(instances(operation.request))
    response = data.draw(instances(operation.response))
    assert operation.decode_request(operation.encode_request(request, form), form) == request
    assert operation.decode_response(operation.encode_response(response, form), form) == response


@unhurried
@given(
    operation=st.sampled_from(sorted(OPERATIONS.values(), key=lambda op: op.opnum)),
    data=st.binary(max_size=300),
    form=st.integers(0, 3),
)
def test_hostile_bytes_raise_ndr_error_alone(
    operation: Operation[Any, Any], data: bytes, form: int
) -> None:
    for kind in (operation.request, operation.response):
        with suppress(NdrError):
            kind.decode(data, form)


@unhurried
@given(data=st.data(), number=st.sampled_from(sorted(OPERATIONS)))
def test_damaged_requests_raise_ndr_error_alone(data: st.DataObject, number: int) -> None:
    operation = OPERATIONS[number]
    stub = bytearray(operation.encode_request(data.draw(instances(operation.request))))
    for position in data.draw(st.lists(st.integers(0, len(stub) - 1), max_size=4)):
        stub[position] = data.draw(st.integers(0, 255))
    with suppress(NdrError):
        operation.decode_request(bytes(stub[: data.draw(st.integers(0, len(stub)))]))


# The bytes of the reference -----------------------------------------------------------------


def test_a_status_query_is_twenty_bytes_and_its_answer_thirty_two() -> None:
    assert QUERY_SERVICE_STATUS.encode_request(ServiceRequest(service=HANDLE)) == h(WIRE_HANDLE)
    status = ServiceStatus(
        type=0x10, state=4, controls_accepted=3, win32_exit_code=5, check_point=6, wait_hint=7
    )
    stub = QUERY_SERVICE_STATUS.encode_response(StatusResponse(status=status, error=0))
    assert stub == h("10000000 04000000 03000000 05000000 00000000 06000000 07000000 00000000")
    assert QUERY_SERVICE_STATUS.decode_response(stub).status == status


def test_a_boolean_level_is_the_referenced_forty_bytes() -> None:
    request = ChangeServiceConfig2Request(
        service=HANDLE, config=ConfigInfo(level=3, info=ServiceFlag(value=1))
    )
    assert CHANGE_SERVICE_CONFIG_2_W.encode_request(request) == h(
        WIRE_HANDLE + "03000000 03000000 04000200 01000000"
    )


def test_the_request_that_keeps_everything_is_sixty_eight_bytes() -> None:
    stub = CHANGE_SERVICE_CONFIG_W.encode_request(ChangeServiceConfigRequest(service=HANDLE))
    assert stub == h(WIRE_HANDLE) + b"\xff" * 12 + bytes(36)
    answer = CHANGE_SERVICE_CONFIG_W.encode_response(ChangeServiceConfigResponse(error=0))
    assert answer == bytes(8)


def test_opening_the_scm_as_people_do() -> None:
    request = OpenScManagerRequest(machine="DUMMY", database="ServicesActive", desired_access=0x3F)
    assert OPEN_SC_MANAGER_W.encode_request(request) == (
        h("04000200 06000000 00000000 06000000")
        + "DUMMY\0".encode("utf-16-le")
        + h("08000200 0f000000 00000000 0f000000")
        + "ServicesActive\0".encode("utf-16-le")
        + h("0000 3f000000")
    )
    assert OPEN_SC_MANAGER_A.encode_request(request) == (
        h("04000200 06000000 00000000 06000000")
        + b"DUMMY\0"
        + h("0000 08000200 0f000000 00000000 0f000000")
        + b"ServicesActive\0"
        + h("00 3f000000")
    )


def test_the_texts_of_arguments_follow_all_their_pointers() -> None:
    request = StartServiceRequest(
        service=HANDLE, arguments=(Argument(text="ab"), Argument(text=None), Argument(text="c"))
    )
    assert START_SERVICE_W.encode_request(request) == h(
        WIRE_HANDLE
        + "03000000 04000200 03000000 08000200 00000000 0c000200"
        + "03000000 00000000 03000000 6100 6200 0000 0000"
        + "02000000 00000000 02000000 6300 0000"
    )
    assert START_SERVICE_A.encode_request(request)[-14:] == h("02000000 00000000 02000000 6300")


def test_a_config_on_error_is_thirty_six_zero_bytes() -> None:
    response = QueryServiceConfigResponse(config=QueryServiceConfig(), bytes_needed=9000, error=122)
    assert QUERY_SERVICE_CONFIG_W.encode_response(response) == bytes(36) + h("00200000 7a000000"), (
        "and the needed bytes are clamped to their range"
    )


def test_a_name_has_the_buffers_capacity() -> None:
    stub = GET_SERVICE_DISPLAY_NAME_W.encode_response(
        NameResponse(name="Web", capacity=257, length=3, error=0)
    )
    assert stub == h("01010000 00000000 04000000 5700 6500 6200 0000 03000000 00000000")


def test_control_reasons_are_a_union_parameter() -> None:
    request = ControlServiceExRequest(
        service=HANDLE, control=1, parameters=ControlReasonIn(reason=0x40040001)
    )
    assert CONTROL_SERVICE_EX_W.encode_request(request) == h(
        WIRE_HANDLE + "01000000 01000000 01000000 04000200 01000440 00000000"
    )
    nothing = ControlServiceExResponse(parameters=None, error=124)
    assert CONTROL_SERVICE_EX_W.encode_response(nothing) == h("01000000 00000000 7c000000")
    assert CONTROL_SERVICE_EX_W.decode_response(h("01000000 00000000 7c000000")) == nothing


def test_a_trigger_info_is_answered_in_ndr() -> None:
    info = TriggerInfo(
        triggers=(ServiceTrigger(trigger_type=3, action=1, trigger_subtype=NULL_GUID),)
    )
    response = QueryServiceConfigExResponse(config=ConfigInfo(level=8, info=info), error=0)
    assert QUERY_SERVICE_CONFIG_EX.encode_response(response) == h(
        "08000000 08000000 04000200 01000000 08000200 00000000"
        "01000000 03000000 01000000 0c000200 00000000 00000000"
    ) + bytes(20)


def test_a_preferred_node_deletes_with_one_byte() -> None:
    request = ChangeServiceConfig2Request(
        service=HANDLE, config=ConfigInfo(level=9, info=PreferredNode(preferred_node=2, delete=1))
    )
    assert CHANGE_SERVICE_CONFIG_2_W.encode_request(request)[-3:] == h("0200 01")


def test_notifications_are_eight_aligned_behind_the_list() -> None:
    params = NotifyParams2(notify_mask=1, service_status=ServiceStatus(), service_names="a\0b\0")
    response = GetNotifyResultsResponse(
        notify_params=NotifyParamsList(elements=(NotifyParams(params=params),)), error=0
    )
    stub = GET_NOTIFY_RESULTS.encode_response(response)
    assert stub[:24] == h("04000200 01000000 01000000 02000000 02000000 08000200")
    assert stub[24:36] == bytes(8) + h("01000000"), "thread id at 24, then the mask"
    decoded = GET_NOTIFY_RESULTS.decode_response(stub).notify_params
    assert decoded is not None
    assert decoded.elements[0].params == params


def test_wow_services_add_a_machine_type_at_the_end() -> None:
    values: dict[str, Any] = {
        "scm": HANDLE,
        "name": "a",
        "desired_access": 1,
        "type": 16,
        "start_type": 3,
        "error_control": 1,
        "binary_path_name": "/bin/true",
    }
    plain = CREATE_SERVICE_W.encode_request(CreateServiceRequest(**values))
    wow = CREATE_WOW_SERVICE.encode_request(CreateWowServiceRequest(**values, wow_type=0x8664))
    assert wow == plain + h("6486")


# Tolerance and limits -----------------------------------------------------------------------


def test_a_password_size_of_zero_is_forgiven() -> None:
    request = ChangeServiceConfigRequest(service=HANDLE, password=b"secret\0\0", password_size=8)
    stub = bytearray(CHANGE_SERVICE_CONFIG_W.encode_request(request))
    assert stub[-8:-4] == h("08000000")
    stub[-8:-4] = bytes(4)
    decoded = CHANGE_SERVICE_CONFIG_W.decode_request(bytes(stub))
    assert decoded.password == b"secret\0\0"


def test_a_dependency_size_that_disagrees_is_not() -> None:
    request = ChangeServiceConfigRequest(service=HANDLE, dependencies=b"abcd")
    stub = bytearray(CHANGE_SERVICE_CONFIG_W.encode_request(request))
    assert stub[-20:-16] == h("04000000")
    stub[-20] = 3
    with pytest.raises(NdrError) as caught:
        CHANGE_SERVICE_CONFIG_W.decode_request(bytes(stub))
    assert caught.value.status == BAD_STUB_DATA


@pytest.mark.parametrize("level", [0, 13, 0xFFFFFFFF])
def test_an_unknown_level_is_an_invalid_tag(level: int) -> None:
    tag = level.to_bytes(4, "little")
    with pytest.raises(NdrError) as caught:
        CHANGE_SERVICE_CONFIG_2_W.decode_request(h(WIRE_HANDLE) + tag + tag + bytes(4))
    assert caught.value.status == INVALID_TAG


def test_null_actions_and_no_actions_are_different() -> None:
    keep = ServiceFailureActions(reset_period=1)
    delete = ServiceFailureActions(reset_period=1, actions=())
    some = ServiceFailureActions(reset_period=1, actions=(ScAction(type=1, delay=60000),))
    for info in (keep, delete, some):
        request = ChangeServiceConfig2Request(service=HANDLE, config=ConfigInfo(level=2, info=info))
        stub = CHANGE_SERVICE_CONFIG_2_W.encode_request(request)
        decoded = CHANGE_SERVICE_CONFIG_2_W.decode_request(stub).config.info
        assert isinstance(decoded, ServiceFailureActions)
        assert decoded.actions == info.actions


def test_more_arguments_than_texts_reach_the_server() -> None:
    request = StartServiceRequest(service=HANDLE, argument_count=3)
    assert START_SERVICE_W.decode_request(START_SERVICE_W.encode_request(request)) == request


@pytest.mark.parametrize("count", [1025, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_enormous_count_costs_nothing(count: int) -> None:
    number = count.to_bytes(4, "little")
    stub = h(WIRE_HANDLE) + number + h("04000200") + number + bytes(60)
    tracemalloc.start()
    with pytest.raises(NdrError):
        START_SERVICE_W.decode_request(stub)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (EnumServicesResponse, "bytes_needed", 1_000_000),
        (EnumServicesResponse, "returned", 262_145),
    ],
)
def test_answers_are_clamped_to_what_a_client_accepts(
    kind: type[Structure], field: str, value: int
) -> None:
    values = {"buffer": b"", "bytes_needed": 0, "returned": 0, "error": 0, field: value}
    decoded = kind.decode(kind(**values).encode())
    assert getattr(decoded, field) == 262_144


def test_a_null_handle_is_twenty_zero_bytes() -> None:
    assert ServiceRequest.decode(bytes(20)).service == NULL_HANDLE
