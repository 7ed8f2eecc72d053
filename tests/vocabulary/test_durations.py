from __future__ import annotations

import pytest

from scmd.vocabulary.durations import span


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (12_345, "12.3 s"),
        (61_000, "1 min 1 s"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 5 min"),
        (8 * 86_400_000, "8 d 0 h"),
    ],
)
def test_spans_for_people(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text
