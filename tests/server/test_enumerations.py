"""Enumerations: what is asked of the core, pages, buffers that are too small, and errors."""

from __future__ import annotations

import pytest

from scmd.core.messages import ServiceId
from scmd.core.messages.commands import (
    CheckScmHandle,
    EnumDependents,
    EnumServices,
    ServiceEntry,
)
from scmd.core.messages.effects import Reply
from scmd.server.resume import LAST_DIRECT, SUBSTITUTES, ResumeIndexes
from scmd.svcctl import buffers, control
from scmd.vocabulary.service import ScmAccess
from tests.server.exchange import (
    CALL,
    RUNNING,
    SCM,
    SERVICE,
    WIRE_SCM,
    WIRE_SERVICE,
    Exchange,
    error,
    ok,
)


def entries(*names: str) -> tuple[ServiceEntry, ...]:
    return tuple(
        ServiceEntry(ServiceId(number), name, f"{name} shown", RUNNING)
        for number, name in enumerate(names, 10)
    )


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
        assert exchange.asked == [EnumServices(CALL, SCM, 0x10, 1, "", 4)]
    exchange = Exchange()
    group_request = control.EnumServiceGroupRequest(
        scm=WIRE_SCM, type=0x10, state=1, buffer_size=0, resume_index=5, group="Net"
    )
    exchange.run(control.ENUM_SERVICE_GROUP_W, group_request, ok(()))
    assert exchange.asked == [EnumServices(CALL, SCM, 0x10, 1, "Net", 4)]


def test_pages_hold_whole_entries_and_go_on_with_the_next_one() -> None:
    everything = entries("One", "Two", "Three", "Four", "Five")
    for operation in (control.ENUM_SERVICES_STATUS_EX_W,):
        collected: list[ServiceEntry] = []
        index, result = 0, 234
        while result == 234:
            exchange = Exchange()
            request = control.EnumServicesStatusExRequest(
                scm=WIRE_SCM, type=0x30, state=3, buffer_size=200, resume_index=index
            )
            rest = tuple(entry for entry in everything if entry.id >= index)
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
    assert (one_less.returned, one_less.error, one_less.resume_index) == (1, 234, 11)


@pytest.mark.parametrize("index", [0, 4, 10])
def test_a_page_without_an_entry_says_which_is_the_next_one(index: int) -> None:
    """[MS-SCMR] 3.1.4.14: not 0, which is for an enumeration that has ended."""
    request = control.EnumServicesStatusRequest(
        scm=WIRE_SCM, type=0x30, state=3, buffer_size=10, resume_index=index
    )
    response = Exchange().run(control.ENUM_SERVICES_STATUS_W, request, ok(entries("One")))
    assert (response.returned, response.resume_index, response.error) == (0, 10, 234)


def test_a_resume_index_stays_within_the_wires_range() -> None:
    resume = ResumeIndexes()
    assert resume.index(ServiceId(LAST_DIRECT)) == LAST_DIRECT
    given = [resume.index(ServiceId(1_000_000 + number)) for number in range(SUBSTITUTES)]
    assert given == list(range(LAST_DIRECT + 1, LAST_DIRECT + SUBSTITUTES + 1))
    assert [resume.after(index) for index in given] == list(range(999_999, 999_999 + SUBSTITUTES))
    # The next one takes the place of the oldest.
    assert resume.index(ServiceId(5_000_000)) == LAST_DIRECT + 1
    assert resume.after(LAST_DIRECT + 1) == 4_999_999
    assert [resume.after(index) for index in (0, 1, 2)] == [0, 0, 1]


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
        after = exchange.resume.after(index)
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
