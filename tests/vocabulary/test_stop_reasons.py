"""SERVICE_STOP_REASON_*: every flag with every kind of code."""

from __future__ import annotations

from itertools import product

from scmd.vocabulary.stop_reasons import (
    FLAGS,
    MAJORS,
    MINORS,
    is_stop_reason,
    stop_reason,
    stop_reason_text,
)


def test_custom_codes_go_with_the_custom_flag_and_no_other() -> None:
    majors = 0, *MAJORS, 7, 0x3F, 0x40, 0xFF
    minors = 0, *MINORS, 0x18, 0xFF, 0x100, 0xFFFF
    for flag, major, minor in product(range(16), majors, minors):
        if flag == 2:
            expected = major >= 0x40 and minor >= 0x100
        else:
            expected = flag in (1, 4) and 1 <= major <= 6 and 1 <= minor <= 0x17
        assert is_stop_reason(stop_reason(flag, major, minor)) == expected, (flag, major, minor)


def test_the_bits_between_flag_and_major_code_mean_nothing() -> None:
    good = stop_reason(4, 5, 6)
    assert is_stop_reason(good)
    assert not any(is_stop_reason(good | 1 << bit) for bit in range(24, 28))


def test_a_reason_in_words() -> None:
    assert stop_reason_text(0x4005_000A) == "planned, application, environment (0x4005000a)"
    assert stop_reason_text(0x2040_0100) == "custom, 64, 256 (0x20400100)"
    assert set(FLAGS) == {1, 2, 4}
