"""Every fuzzing target for a moment, and hostile counts, which may cost neither time nor memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import DECLARED, FORMS, TARGETS, ndr, rpc_server, spnego

edits = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(-1, 255), st.binary(max_size=4)), max_size=6
)


def edited(seed: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """A seed with bytes changed (or, at -1, cut off there) and others slipped in."""
    data = bytearray(seed)
    for at, value, slipped in changes:
        if not data:
            break
        at %= len(data)
        if value < 0:
            del data[at:]
        else:
            data[at] = value
        data[at:at] = slipped
    return bytes(data)


@pytest.mark.parametrize("name", TARGETS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_target_raises_what_it_declares(name: str, data: st.DataObject) -> None:
    target, seeds = TARGETS[name]
    if data.draw(st.booleans()):
        target(edited(data.draw(st.sampled_from(seeds)), data.draw(edits)))
    else:
        target(data.draw(st.binary(max_size=300)))


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_fit(name: str) -> None:
    target, seeds = TARGETS[name]
    for seed in seeds:
        target(seed)


def peak(function: object, data: bytes) -> int:
    """The most memory that the call held, in bytes; what is compiled once does not count."""
    assert callable(function)
    function(data)
    tracemalloc.start()
    try:
        function(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f"])
def test_counts_of_gibibytes_in_a_hundred_bytes_cost_nothing(count: bytes) -> None:
    for number in range(len(DECLARED)):
        for form in range(2 * len(FORMS)):
            assert peak(ndr, bytes((number, form)) + count * 25) < 100_000


def test_lengths_of_gibibytes_in_a_token_cost_nothing() -> None:
    assert peak(spnego, b"\xa1\x84\xff\xff\xff\xff" + bytes(90)) < 100_000
    assert peak(spnego, b"\x60\x84\x7f\xff\xff\xff" + bytes(90)) < 100_000


def test_a_connection_that_sends_little_holds_little() -> None:
    header = b"\xff\5\0\x0b\3\x10\0\0\0\xff\xff\0\0\1\0\0\0"
    assert peak(rpc_server, header + bytes(80)) < 200_000
