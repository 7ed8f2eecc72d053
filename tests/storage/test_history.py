"""Histories and crash bundles as documents."""

from __future__ import annotations

import json

import pytest

from scmd.storage import crash_document
from scmd.storage.history import (
    FORMAT,
    HEADER,
    HistoryError,
    Transition,
    check_header,
    sound_lines,
    to_line,
)
from scmd.vocabulary.configuration import FailureAction, FailureActions, ServiceConfig
from scmd.vocabulary.registry import RegistryValue
from scmd.vocabulary.service import ActionType

TIME = "2031-07-01T12:00:00.000Z"


def test_a_transition_is_one_line_without_what_it_does_not_have() -> None:
    line = to_line(Transition(time=TIME, state="RUNNING", cause="it\nruns", actor="SCM"))
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "time": TIME,
        "state": "RUNNING",
        "cause": "it\nruns",
        "actor": "SCM",
    }


def test_a_lone_surrogate_is_no_obstacle() -> None:
    line = to_line(
        Transition(time=TIME, state="STOPPED", cause="\ud800", actor="j\udcff", origin="é")
    )
    expected = {"cause": "\ufffd", "actor": "j\ufffd", "origin": "é"}
    assert json.loads(line) == {"time": TIME, "state": "STOPPED", **expected}


def test_the_header_tells_the_format() -> None:
    check_header(HEADER[:-1])
    for wrong in (b"", b"{}", b"[]", b"\xff", b'{"scmd_history":"1"}'):
        with pytest.raises(HistoryError, match="not a history"):
            check_header(wrong)
    with pytest.raises(HistoryError, match=f"newer than {FORMAT}"):
        check_header(b'{"scmd_history":%d}' % (FORMAT + 1))


def test_only_entries_are_read() -> None:
    line = to_line(Transition(time=TIME, state="RUNNING", cause="x", actor="SCM"))[:-1]
    assert sound_lines([line, b"", b"{}", line[:-4], b"\xff", line]) == [line, line]


# Bundles --------------------------------------------------------------------------------------

TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in <module>',
    "    f()",
    "KeyError: 'x'",
]
CHAINED = [
    *TRACEBACK,
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    *TRACEBACK[:-1],
    "ValueError: y",
]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        (["all is well"], None),
        (["before", *TRACEBACK, "after"], TRACEBACK),
        ([*TRACEBACK, "between", *TRACEBACK[:-1], "OSError: z"], [*TRACEBACK[:-1], "OSError: z"]),
        (["before", *CHAINED, "after"], CHAINED),
        (TRACEBACK[:2], TRACEBACK[:2]),
        (TRACEBACK[1:], None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "2031-07-01T12:00:00.000Z web: "])
def test_the_last_traceback_is_found(
    lines: list[str], expected: list[str] | None, prefix: str
) -> None:
    found = crash_document.traceback_in([prefix + line for line in lines])
    assert found == (None if expected is None else "\n".join(expected))


def test_output_is_the_last_lines_and_not_too_much() -> None:
    lines = [f"line {number}" for number in range(500)]
    assert crash_document.output_lines("\n".join(lines).encode()) == lines[-200:]
    long = b"x" * 60_000
    assert crash_document.output_lines(long + b"\n" + long + b"\nend\n") == ["x" * 60_000, "end"]
    assert crash_document.output_lines(b"\xff\n") == ["\ufffd"]
    assert crash_document.output_lines(b"") == []


def test_the_configuration_is_plain() -> None:
    action = FailureAction(type=ActionType.RESTART, delay=5)
    config = ServiceConfig(
        name="Web",
        dependencies=("A",),
        failure_actions=FailureActions(actions=(action,)),
        security=b"\1",
        description="\ud800",
    )
    plain = json.loads(json.dumps(crash_document.configuration(config)))
    assert (plain["name"], plain["dependencies"]) == ("Web", ["A"])
    assert plain["failure_actions"]["actions"] == [{"type": 1, "delay": 5}]
    assert "security" not in plain


def test_secrets_of_a_service_stay_out() -> None:
    values = {
        "Application": RegistryValue.of("/bin/web"),
        "AppEnvironmentExtra": RegistryValue.of(("PASSWORD=secret", "HOME=/")),
        "AppStopTime": RegistryValue.of(5),
        "Password": RegistryValue.of("secret"),
        "AppBlob": RegistryValue.of(b"secret"),
    }
    found = crash_document.hosting_parameters(values)
    assert found == {
        "Application": "/bin/web",
        "AppEnvironmentExtra": ["PASSWORD", "HOME"],
        "AppStopTime": 5,
    }
