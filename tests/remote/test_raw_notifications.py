"""Operations 47 to 49 with a client that is not ours, by TCP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scmd.vocabulary.service import ServiceState
from tests.remote.reach import ADMINISTRATOR, PASSWORD, Reach
from tests.started import started
from tests.system import programs
from tests.system.machine import Machine, eventually

pytestmark = pytest.mark.root

CLIENT = Path(__file__).with_name("raw_notifications.py")
MASKS = {
    "STOPPED": 0x001,
    "START_PENDING": 0x002,
    "STOP_PENDING": 0x004,
    "RUNNING": 0x008,
    "CONTINUE_PENDING": 0x010,
    "PAUSE_PENDING": 0x020,
    "PAUSED": 0x040,
}
REFUSALS = {
    # The union has no such arm: its reader faults, before anybody could answer 50.
    "level 3": "nca_s_fault_invalid_tag",
    "mixed mask": 87,
    "empty mask": 87,
    "state of the SCM": 6,
    "second": 1242,
    "of another group": 6,
    "closed before": [0, 0],
    "closed while waiting": [0, 0],
    "who waited": 1235,
    "service closed": 1235,
}


def told(level: int, mask: int, bit: int, state: int, status: int = 0, names: str = "") -> Any:
    """What RGetNotifyResults answers."""
    more = [bit, names or None] if level == 2 else [None, None]
    return [level, mask, state, status, *more, 0]


@pytest.mark.parametrize("syntax", [(), ("ndr64",)], ids=["ndr", "ndr64"])
def test_each_bit_by_hand(machine: Machine, syntax: tuple[str, ...]) -> None:
    """By each level; then the client is killed while it waits, and leaves nothing."""
    reach = Reach(machine).open()
    program = programs.write(machine.folder, "obedient.py", programs.OBEDIENT)
    machine.create("Obedient", programs.PYTHON, program, "Obedient")
    machine.sc("start", "Obedient")
    machine.await_state("Obedient", "RUNNING")
    arguments = (reach.address, str(reach.port), ADMINISTRATOR, PASSWORD, *syntax)
    with started([sys.executable, CLIENT, *arguments]) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        line = client.stdout.readline()
        assert line, client.stderr.read()
        before = machine.json("status")["counts"]
    said = json.loads(line)
    check(said)
    eventually(lambda: reach.status()["connections"] == 0, "the end of its connections")
    assert before["notification_requests"] > 0
    assert machine.json("status")["counts"]["notification_requests"] == 0
    machine.sc("stop", "Obedient")
    machine.sc("delete", "Obedient")
    machine.await_gone("Obedient")


def check(said: dict[str, Any]) -> None:
    assert said["refusals"] == REFUSALS
    for level in (1, 2):
        states = said[f"states {level}"]
        running = told(level, 0x8, 0x8, ServiceState.RUNNING)
        assert states.pop("RUNNING at once") == running
        assert len(states) == 2 * len(MASKS)
        for name, bit in MASKS.items():
            expected = told(level, bit, bit, ServiceState[name])
            # And its notify handle, once closed: it had come, no error.
            for where in ("same", "second"):
                assert states[f"{name} {where}"] == [*expected, 1, 0], (name, where)
        lifetime = said[f"lifetime {level}"]
        assert lifetime == {
            "CREATED": told(level, 0x180, 0x80, 0, names="/Brief\0\0"),
            "DELETE_PENDING": told(level, 0x200, 0x200, ServiceState.STOPPED),
            "marked without asking": told(level, 0x8, 0, ServiceState.STOPPED, 1072),
            "marked already": 1072,
            "DELETED": told(level, 0x180, 0x100, 0, names="Brief\0\0"),
        }
