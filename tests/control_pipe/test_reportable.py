"""Which status values SetServiceStatus takes."""

from __future__ import annotations

import pytest

from scmd.vocabulary.status import ServiceStatus, is_reportable

LEGAL_TYPES = {0x1, 0x2} | {
    base | flags
    for base in (0x10, 0x20)
    for flags in (
        a | b | c | d for a in (0, 0x40) for b in (0, 0x80) for c in (0, 0x100) for d in (0, 0x200)
    )
}


def test_only_single_legal_types_are_reportable() -> None:
    taken = {type for type in range(0x800) if is_reportable(ServiceStatus(type=type, state=4))}
    assert taken == LEGAL_TYPES


def test_only_the_seven_states_are_reportable() -> None:
    taken = [state for state in range(-1, 20) if is_reportable(ServiceStatus(state=state))]
    assert taken == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("bit", range(32))
def test_only_known_accept_bits_are_reportable(bit: int) -> None:
    known = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14}
    status = ServiceStatus(state=4, controls_accepted=1 << bit)
    assert is_reportable(status) == (bit in known)
