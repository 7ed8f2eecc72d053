"""Names: which are legal, when two are the same, how one is shown.

Lengths are UTF-16 units, as on the wire. A name never becomes a file, cgroup or
socket name; the record number does.
"""

from __future__ import annotations

from scmd.vocabulary.errors import Error, Refused
from scmd.vocabulary.service import MAX_NAME_UNITS

INSTANCE_MARK = "@"
"""Between a template's name and an instance's number."""


def name_key(name: str) -> str:
    """What two spellings of one name have in common.

    Upper-cases each character that has a one-to-one upper case inside the Basic
    Multilingual Plane, as the Windows table does: `ß`, `ı` and `İ` stay themselves.
    """
    if name.isascii():
        return name.upper()
    return "".join(_upper(character) for character in name)


def _upper(character: str) -> str:
    upper = character.upper()
    if len(upper) != 1 or ord(character) > 0xFFFF:
        return character
    # A pair such as ſ and S, or K (Kelvin) and k, must not collapse names.
    return upper if upper.lower() == character else character


def utf16_units(text: str) -> int:
    """Length in UTF-16 units: characters past U+FFFF count twice."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > "\uffff" for character in text)


def check_text(text: str, limit: int = 0, error: Error = Error.INVALID_NAME) -> None:
    """Refuse NUL, lone surrogates and more than `limit` UTF-16 units (0: any length)."""
    if "\0" in text or (not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)):
        raise Refused(error)
    if limit and utf16_units(text) > limit:
        raise Refused(error)


def check_service_name(name: str) -> None:
    """Refuse with ERROR_INVALID_NAME what CreateService and OpenService refuse.

    1 to 256 units; `/` and `\\` are illegal, the comma too ([MS-SCMR] 2.2.10); spaces are not.
    """
    check_text(name, MAX_NAME_UNITS)
    if not name or "/" in name or "\\" in name or "," in name:
        raise Refused(Error.INVALID_NAME)


def template_and_number(name: str) -> tuple[str, int] | None:
    """`Web@2` as ("Web", 2), its template's name and its own number; None: no instance's name."""
    template, mark, number = name.rpartition(INSTANCE_MARK)
    if mark and number.isascii() and number.isdecimal() and not number.startswith("0"):
        return template, int(number)
    return None


def escaped(text: str) -> str:
    """The text with control characters made visible, safe to print on a terminal."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
