"""Event records, their lines, and the SCM's messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.core.event_ids import INSERTS, EventId
from scmd.storage import event_messages, event_record
from scmd.storage.event_record import EventError, EventRecord

SOUND = st.text(st.characters(codec="utf-8"))
RECORDS = st.builds(
    EventRecord,
    number=st.integers(1, 2**63),
    time=st.just("2031-07-01T12:00:00.000Z"),
    source=SOUND,
    id=st.integers(0, 2**32 - 1),
    type=st.sampled_from(("error", "warning", "information")),
    category=st.integers(0, 65535),
    user=SOUND,
    strings=st.lists(SOUND).map(tuple),
)


@given(RECORDS)
def test_a_record_goes_round(record: EventRecord) -> None:
    line = event_record.record_to_line(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert event_record.record_from_line(line) == record
    assert event_record.number_of_line(line) == record.number


@given(st.binary() | st.text(alphabet='{"number":1,x}').map(str.encode))
def test_any_other_line_is_one_error(line: bytes) -> None:
    for read in (event_record.record_from_line, event_record.number_of_line):
        with pytest.raises(EventError):
            read(line)


def test_a_header_carries_format_and_first_number() -> None:
    line = event_record.header_line(17)
    assert line == b'{"scmd_events":1,"first":17}\n'
    assert event_record.first_number(line) == 17
    with pytest.raises(EventError, match="newer"):
        event_record.first_number(b'{"scmd_events":2,"first":1}')
    with pytest.raises(EventError, match="not an event log"):
        event_record.first_number(b"hello")


def test_strings_are_bounded_and_sound() -> None:
    assert event_record.sound_strings(["a\udc00b"]) == ("a\ufffdb",)
    assert event_record.sound_strings(["\ud83d\ude00"]) == ("😀",)
    assert len(event_record.sound_strings(["x" * 40_000])[0]) == event_record.MAX_STRING
    assert sum(map(len, event_record.sound_strings(["x" * 40_000] * 3))) == 61_440
    assert len(event_record.sound_strings(["x"] * 300)) == 256


def scm_record(event_id: int, *strings: str) -> EventRecord:
    return EventRecord(
        number=1,
        time="",
        source=event_messages.SCM_SOURCE,
        id=event_id,
        type="error",
        strings=strings,
    )


def test_messages_have_their_inserts() -> None:
    record = scm_record(7036, "Web", "running")
    assert event_messages.message(record) == "The Web service entered the running state."
    assert event_messages.message(scm_record(7034, "100%1", "2")).startswith("The 100%1 service")


@pytest.mark.parametrize("event_id", sorted(INSERTS))
def test_every_event_of_the_core_has_a_message_that_uses_every_insert(event_id: int) -> None:
    assert event_id in event_messages.MESSAGES[event_messages.SCM_SOURCE]
    inserts = INSERTS[event_id]  # type: ignore[index] # keyed by IntEnum members
    strings = tuple(f"<{number}>" for number in range(len(inserts)))
    text = event_messages.message(scm_record(event_id, *strings))
    assert all(text.count(string) == 1 for string in strings)
    assert "%" not in text


def test_every_event_of_the_core_has_its_inserts_tabled() -> None:
    assert set(INSERTS) == set(EventId)


def test_other_sources_show_their_strings() -> None:
    record = EventRecord(number=1, time="", source="Web", id=1, type="error", strings=("a", "b"))
    assert event_messages.message(record) == "a\nb"


@pytest.mark.parametrize(
    ("text", "strings", "expected"),
    [
        ("%1 and %2", ("a", "b"), "a and b"),
        ("%1 and %2", ("a",), "a and %2"),
        ("100%", (), "100%"),
        ("%%1", ("a",), "%a"),
        ("%1", ("%2",), "%2"),
        ("%²", ("a",), "%²"),
    ],
)
def test_inserts(text: str, strings: tuple[str, ...], expected: str) -> None:
    assert event_messages.insert(text, strings) == expected


def test_types_are_words() -> None:
    words = [event_messages.type_word(type) for type in (0, 1, 2, 4, 8, 16, 99)]
    assert words == [
        "information",
        "error",
        "warning",
        "information",
        "audit success",
        "audit failure",
        "information",
    ]
    assert event_messages.scm_event_type(7000) == 1
    assert event_messages.scm_event_type(7036) == 4
    assert event_messages.scm_event_type(9999) == 4
