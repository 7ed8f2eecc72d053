"""What is asked at a terminal: the password of a caller, and that of a new user."""

from __future__ import annotations

import os
import pty
import select
import time

import pytest

from tests.remote.reach import ADMINISTRATOR, PASSWORD, Reach
from tests.system.machine import LIMIT_S, SCMD, Machine

pytestmark = pytest.mark.root
END_OF_FILE = "\4"
INTERRUPT = "\3"


def typed(machine: Machine, *arguments: str, answers: tuple[str, ...]) -> tuple[int, str]:
    """The exit status and all that is seen of a command at a terminal, each prompt answered."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir("/")
        os.execvpe(SCMD[0], [*SCMD, *arguments], machine.environment)
    seen, waiting, end = "", list(answers), time.monotonic() + 2 * LIMIT_S
    while True:
        if not (select.select([terminal], [], [], 5)[0] or waiting) and INTERRUPT in answers:
            # A signal just before it slept is one that CPython sleeps over: a user tries again.
            os.write(terminal, INTERRUPT.encode())
            continue
        try:
            seen += os.read(terminal, 4096).decode()
        except OSError:
            break  # So a terminal ends.
        assert time.monotonic() < end, seen
        if waiting and seen.endswith(": "):
            answer = waiting.pop(0)
            seen += "|"
            os.write(terminal, answer.encode())
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert waiting == [], seen
    return os.waitstatus_to_exitcode(status), seen


def test_the_callers_password_is_asked_for_and_not_shown(machine: Machine) -> None:
    reach = Reach(machine).open()
    query = ("sc", reach.host, "-U", ADMINISTRATOR, "query", "state=", "all", "--json")
    prompt = f"Password of {ADMINISTRATOR} at {reach.host}: "
    status, seen = typed(machine, *query, answers=(f"{PASSWORD}\n",))
    assert (status, seen.split()) == (0, f"{prompt}| []".split())
    status, seen = typed(machine, *query, answers=("wrong\n",))
    assert (status, "the server refuses the credentials" in seen) == (1, True), seen
    assert "wrong" not in seen
    status, seen = typed(machine, *query, answers=(END_OF_FILE,))
    assert (status, "no password was given" in seen) == (2, True), seen
    status, seen = typed(machine, *query, answers=(INTERRUPT,))
    assert (status, seen.removeprefix(prompt).strip("|^C\r\n")) == (130, "")


def test_a_new_users_password_is_asked_for_twice(machine: Machine) -> None:
    add = ("remote", "adduser", "ann")
    status, seen = typed(machine, "remote", "passwd", "ann", answers=())
    assert (status, "there is no user ann: `scmd remote adduser`" in seen) == (1, True), seen
    status, seen = typed(machine, *add, answers=("one\n", "two\n"))
    assert (status, "the two passwords differ" in seen) == (1, True), seen
    status, seen = typed(machine, *add, answers=(END_OF_FILE,))
    assert (status, "no password was given" in seen) == (1, True), seen
    assert machine.json("remote", "status")["users"] == []
    status, seen = typed(machine, *add, answers=("one\n", "one\n"))
    assert (status, "may come" in seen, "one" in seen) == (0, True, False), seen
    status, seen = typed(machine, *add, answers=())
    assert (status, "there is a user ann already" in seen) == (1, True), seen
