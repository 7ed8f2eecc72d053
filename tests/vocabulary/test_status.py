"""Which values SetServiceStatus takes, [MS-SCMR] 3.1.4.8."""

from __future__ import annotations

import pytest

from scmd.vocabulary.status import ServiceStatus, illegal


def test_types_are_a_drivers_or_those_of_win32_and_interactive() -> None:
    taken = {type for type in range(0x800) if not illegal(ServiceStatus(type=type, state=4))}
    assert taken == {1, 2, 4, 8, 0x10, 0x20, 0x30, 0x110, 0x120, 0x130}


def test_states_are_1_to_7() -> None:
    states = [-1, *range(20), 0xFFFFFFFF]
    assert [s for s in states if not illegal(ServiceStatus(state=s))] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("bit", range(32))
def test_only_known_controls_are_accepted(bit: int) -> None:
    known = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14}
    status = ServiceStatus(state=4, controls_accepted=1 << bit)
    assert (not illegal(status)) == (bit in known)


def test_no_number_below_zero_is_taken() -> None:
    for fields in ({"controls_accepted": -1}, {"type": -0x10}, {"state": -4}):
        assert illegal(ServiceStatus(**{"state": 4, **fields}))
