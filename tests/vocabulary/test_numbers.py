from __future__ import annotations

import pytest

from scmd.vocabulary.numbers import decimal


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("0042", 42),
        (str(2**64 - 1), 2**64 - 1),
        ("1" * 21, None),
        ("9" * 5000, None),
        *((text, None) for text in ("", "-1", "+1", " 1", "1_0", "1.0", "\u0663", "\u00b2", "x")),
    ],
)
def test_only_digits_and_not_too_many(text: str, number: int | None) -> None:
    assert decimal(text) == number
