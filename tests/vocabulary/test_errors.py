"""Win32 errors: numbers, texts and refusals."""

from __future__ import annotations

import pytest

from scmd.vocabulary.error_texts import TEXTS
from scmd.vocabulary.errors import Error, Refused, error_text


@pytest.mark.parametrize("error", list(Error))
def test_every_error_has_a_text_of_one_line(error: Error) -> None:
    assert error in TEXTS
    assert error.text
    assert error.text == error.text.strip()
    assert "\n" not in error.text


def test_texts_belong_to_known_errors() -> None:
    assert set(TEXTS) <= {int(error) for error in Error}


def test_a_number_without_text_shows_itself() -> None:
    assert "4242" in error_text(4242)


def test_a_refusal_says_what_and_why() -> None:
    refusal = Refused(Error.SERVICE_NOT_ACTIVE, "Web is stopped")
    assert refusal.error is Error.SERVICE_NOT_ACTIVE
    assert str(refusal) == "SERVICE_NOT_ACTIVE (1062): Web is stopped"
    assert str(Refused(Error.ACCESS_DENIED)) == "ACCESS_DENIED (5)"
