"""The verification trailer: each of its commands, and stubs that only look like having one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.rpc.security.verification import SIGNATURE, Believed, agrees, append

SYNTAXES = bytes(range(40))


def believed(**changes: object) -> Believed:
    values: dict[str, object] = {
        "order": "<",
        "call_id": 7,
        "context_id": 1,
        "opnum": 15,
        "syntaxes": SYNTAXES,
        "header_signing": True,
    }
    return Believed(**(values | changes))  # type: ignore[arg-type] # of each field's own type


@given(st.binary(max_size=100))
def test_what_is_appended_agrees(stub: bytes) -> None:
    whole = append(stub, believed())
    assert whole.startswith(stub)
    assert agrees(whole, believed())


@pytest.mark.parametrize(
    "changes",
    [
        {"call_id": 8},
        {"context_id": 2},
        {"opnum": 16},
        {"order": ">"},
        {"syntaxes": bytes(40)},
        {"header_signing": False},
    ],
)
def test_each_difference_is_noticed(changes: dict[str, object]) -> None:
    assert not agrees(append(b"stub", believed()), believed(**changes))


def trailer(*commands: tuple[int, bytes]) -> bytes:
    return SIGNATURE + b"".join(
        kind.to_bytes(2, "little") + len(value).to_bytes(2, "little") + value
        for kind, value in commands
    )


@pytest.mark.parametrize(
    ("commands", "is_fine"),
    [
        ([(0x4001, bytes(4))], True),
        ([(1, b"\1\0\0\0"), (0x4002, SYNTAXES)], True),
        ([(0x4001, bytes(3))], False),
        ([(0x4002, SYNTAXES[:39])], False),
        ([(0xC002, SYNTAXES)], True),
        ([(0xC002, bytes(40))], False),
        ([(0x4005, b"new")], True),
        ([(0xC005, b"new")], False),
        ([(0x8005, b"new"), (0x4001, bytes(4))], False),
    ],
)
def test_commands_that_are_not_understood_may_be_passed_over_unless_they_must_not(
    commands: list[tuple[int, bytes]], is_fine: bool
) -> None:
    assert agrees(b"arguments..." + trailer(*commands) + bytes(12), believed()) is is_fine


@pytest.mark.parametrize(
    "stub",
    [
        b"",
        bytes(2000),
        b"." + trailer((0xC005, b"")),
        trailer((0x8005, b"")),
        trailer((0x8005, b"past the end"))[:-4],
        trailer((0xC005, b"")) + bytes(2000),
    ],
)
def test_arguments_are_not_taken_for_a_trailer(stub: bytes) -> None:
    assert agrees(stub, believed())
