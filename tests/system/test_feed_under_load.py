"""The feed while services change without a pause and managers die."""

from __future__ import annotations

import os
import signal

import scmd
from scmd.vocabulary.service import ServiceState
from tests.system.crowd import Crowd, name_of
from tests.system.machine import Machine

CHANGING = 40
CHANGES = 2_600
DEATHS = (1_000, 2_500)
"""After so many changes."""


def test_no_change_is_missed_or_repeated_across_deaths(bare: Machine) -> None:
    """Nor is who watches one that does not change told that something is missing."""
    with Crowd(bare, CHANGING + 1, CHANGING) as crowd, bare.as_environment():
        bare.expected_complaints = "manager ended"
        quiet = name_of(CHANGING)
        with scmd.watch() as changes, scmd.watch(quiet) as of_quiet:
            crowd.start()
            told = [next(changes)]
            while len(told) < CHANGES:
                if len(told) in DEATHS:
                    os.kill(int(str(bare.scm.status()["manager_pid"])), signal.SIGKILL)
                    bare.disconnect()
                if told[-1].state != ServiceState.START_PENDING:
                    crowd.change(int(told[-1].name[1:]))
                told.append(next(changes))
            bare.sc("config", quiet, "displayname=", "Last")
            first = next(of_quiet)
    numbers = [change.sequence for change in told]
    assert numbers == list(range(numbers[0], numbers[0] + CHANGES))
    assert (first.kind, first.gap) == ("config", False)
    states = dict.fromkeys(map(name_of, range(CHANGING)), int(ServiceState.STOPPED))
    for change in told:
        assert states[change.name] == change.before
        states[change.name] = change.state
