"""Command lines: the documented examples, and joining undone by splitting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scmd.vocabulary.command_line import join_command_line, split_command_line


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        # The examples of CommandLineToArgvW and of the C run-time's parsing rules.
        (r'"abc" d e', ["abc", "d", "e"]),
        (r'"a b c" d e', ["a b c", "d", "e"]),
        (r'"ab\"c" "\\" d', ['ab"c', "\\", "d"]),
        (r'a\\\b d"e f"g h', ["a\\\\\\b", "de fg", "h"]),
        (r"a\\\"b c d", ['a\\"b', "c", "d"]),
        (r'a\\\\"b c" d e', ["a\\\\b c", "d", "e"]),
        (r'a"b"" c d', ['ab" c d']),
        # Ours: blanks, empty arguments, quotes that are not closed.
        ("", []),
        (" \t ", []),
        ("  a\t b ", ["a", "b"]),
        ('""', [""]),
        ('a "" b', ["a", "", "b"]),
        ('"a b', ["a b"]),
        ('"', [""]),
        ("a\\", ["a\\"]),
        ("/usr/sbin/nginx -g 'daemon off;'", ["/usr/sbin/nginx", "-g", "'daemon", "off;'"]),
        ("a\nb", ["a\nb"]),
        ("a\u00a0b", ["a\u00a0b"]),
    ],
)
def test_lines_are_split_by_the_documented_rules(line: str, arguments: list[str]) -> None:
    assert split_command_line(line) == arguments


@given(st.lists(st.text(alphabet='ab\\" \t\né') | st.text()))
def test_splitting_undoes_joining(arguments: list[str]) -> None:
    assert split_command_line(join_command_line(arguments)) == arguments


@given(st.text(alphabet='ab\\" \t', max_size=30))
def test_any_line_can_be_joined_again(line: str) -> None:
    arguments = split_command_line(line)
    assert split_command_line(join_command_line(tuple(arguments))) == arguments


def test_plain_arguments_stay_as_they_are() -> None:
    assert join_command_line(["/usr/bin/sleep", "10", "C:\\x"]) == "/usr/bin/sleep 10 C:\\x"
    assert join_command_line(["a b", ""]) == '"a b" ""'
