"""The short way of RGetNotifyResults' usual answer is held to the declarations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.ndr.codec import compile_parameters
from scmd.ndr.errors import NdrError
from scmd.ndr.structure import NDR
from scmd.svcctl import administration
from scmd.svcctl.administration import (
    GetNotifyResultsResponse,
    NotifyParams,
    NotifyParams1,
    NotifyParams2,
    NotifyParamsList,
)
from scmd.vocabulary.status import ServiceStatus

DECLARED = compile_parameters(GetNotifyResultsResponse, NDR)
DWORDS = st.integers(0, 0xFFFF_FFFF)
OPAQUE = st.sampled_from([bytes(16), b"\1" + bytes(15)])
STATUSES = st.builds(ServiceStatus, **dict.fromkeys(ServiceStatus._fields, DWORDS))
OF_MAKERS: dict[str, Any] = {
    "thread_id": st.sampled_from([0, 1]),
    "callback_address": OPAQUE,
    "callback_parameter": OPAQUE,
}
FIELDS: dict[str, Any] = {
    "notify_mask": DWORDS,
    "service_status": STATUSES,
    "notification_status": DWORDS,
    "sequence": DWORDS,
}
NEW: dict[str, Any] = {"notification_triggered": DWORDS}
NAMES = {"service_names": st.sampled_from([None, "", "/A\0"])}


def listed(level: int, params: NotifyParams1 | None) -> NotifyParamsList:
    return NotifyParamsList(elements=(NotifyParams(level=level, params=params),))


USUAL = st.builds(NotifyParams2, **FIELDS, **NEW)
OTHERS = st.builds(NotifyParams2, **FIELDS, **NEW, **OF_MAKERS, **NAMES)
LISTS = st.one_of(
    USUAL.map(lambda params: listed(2, params)),
    OTHERS.map(lambda params: listed(2, params)),
    st.builds(NotifyParams1, **FIELDS).map(lambda params: listed(1, params)),
    st.sampled_from([None, listed(2, None), NotifyParamsList(elements=())]),
    st.lists(USUAL, min_size=2, max_size=3).map(
        lambda some: NotifyParamsList(elements=tuple(NotifyParams(params=each) for each in some))
    ),
)
RESPONSES = st.builds(GetNotifyResultsResponse, notify_params=LISTS, error=DWORDS)


@given(RESPONSES)
def test_it_is_encoded_and_decoded_as_declared(response: GetNotifyResultsResponse) -> None:
    stub = DECLARED.encode(response)
    assert response.encode() == stub
    assert GetNotifyResultsResponse.decode(stub) == DECLARED.decode(stub)


@given(USUAL, DWORDS, st.integers(0, 123), st.integers(0, 255))
def test_a_byte_that_makes_it_unusual_means_what_is_declared(
    params: NotifyParams2, error: int, place: int, byte: int
) -> None:
    usual = GetNotifyResultsResponse(notify_params=listed(2, params), error=error).encode()
    stub = usual[:place] + bytes([byte]) + usual[place + 1 :]
    assert outcome(GetNotifyResultsResponse.decode, stub) == outcome(DECLARED.decode, stub)


def outcome(decode: Any, stub: bytes) -> object:
    try:
        return decode(stub)
    except NdrError as error:
        return str(error)


def test_the_usual_answer_goes_the_short_way() -> None:
    params = NotifyParams2(notify_mask=8, service_status=ServiceStatus(state=4))
    response = GetNotifyResultsResponse(notify_params=listed(2, params), error=0)
    assert administration._packed(response) == DECLARED.encode(response)
    assert administration._unpacked(response.encode()) == params


def test_what_does_not_fit_is_refused() -> None:
    params = NotifyParams2(notify_mask=1 << 32, service_status=ServiceStatus())
    with pytest.raises(NdrError):
        GetNotifyResultsResponse(notify_params=listed(2, params), error=0).encode()
