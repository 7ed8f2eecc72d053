"""Context handles and association groups."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.core.messages import HandleId
from scmd.ndr.values import NULL_HANDLE, ContextHandle
from scmd.server.associations import Associations
from scmd.server.handles import ContextHandles, ForeignHandle

NONCE = b"nonce-01"


@given(st.integers(0, 2**64 - 1))
def test_a_handle_survives_the_wire(number: int) -> None:
    handles = ContextHandles(NONCE)
    wire = handles.to_wire(HandleId(number))
    assert len(wire) == 20
    assert wire.attributes == 0
    assert handles.from_wire(wire) == number


def test_handles_of_another_instance_are_foreign() -> None:
    ours = ContextHandles(NONCE)
    theirs = ContextHandles(b"nonce-02").to_wire(HandleId(1))
    for handle in (theirs, NULL_HANDLE, ContextHandle(b"\1" + ours.to_wire(HandleId(1))[1:])):
        with pytest.raises(ForeignHandle):
            ours.from_wire(handle)


@pytest.mark.parametrize("nonce", [b"", b"short", b"far too long", bytes(8)])
def test_a_nonce_that_would_not_distinguish_is_refused(nonce: bytes) -> None:
    with pytest.raises(ValueError, match="nonce"):
        ContextHandles(nonce)


def test_a_group_ends_with_its_last_connection() -> None:
    groups = Associations()
    group = groups.join(0, "ann")
    assert group is not None
    assert groups.join(group, "ann") == group
    ann = groups.association(group, "ann")
    assert groups.association(group, "ann") == ann
    assert not groups.leave(group)
    assert groups.leave(group) == (ann,)
    assert groups.join(group, "ann") is None
    assert len(groups) == 0


def test_a_group_does_not_exist_for_anybody_else() -> None:
    groups = Associations()
    group = groups.join(0, "ann")
    assert group is not None
    assert groups.join(group, "bob") is None
    assert groups.join(group + 1, None) is None
    assert groups.leave(group) == ()


def test_callers_of_a_group_have_associations_of_their_own() -> None:
    groups = Associations()
    first, second = groups.join(0, "10.0.0.7"), groups.join(0, "10.0.0.8")
    assert first is not None
    assert second is not None
    found = [groups.association(first, "ann"), groups.association(first, "bob")]
    other = groups.association(second, "ann")
    third = groups.join(0, "10.0.0.9")
    assert len({*found, other, third}) == 4
    assert groups.leave(first) == tuple(found)
    assert groups.leave(second) == (other,)


def test_group_numbers_are_not_zero_and_not_taken_twice() -> None:
    groups = Associations()
    first = groups.join(0, "ann")
    groups._last = 0xFFFF_FFFF  # As after four thousand million groups.
    second = groups.join(0, "ann")
    assert first == 1
    assert second == 2
