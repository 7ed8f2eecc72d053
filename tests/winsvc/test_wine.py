"""The notifications of `scmd.winsvc` beside those of Wine's advapi32, called by a Windows CPython.

Both go through `notify_scenarios`. What comes of them is the same, except where DIFFERENCES says
what each does, and what the documentation says about it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.system import programs
from tests.system.machine import Machine
from tests.winsvc.conftest import LIMIT_S, Windows, windows_path

HERE = Path(__file__).parent
SCENARIOS = HERE / "notify_scenarios.py"


def told(bit: int, state: int, status: int = 0) -> list[int]:
    """dwNotificationStatus, dwNotificationTriggered, dwCurrentState."""
    return [status, bit, state]


RUNNING, PAUSED, MARKED = told(0x8, 4), told(0x40, 7), told(0x200, 4)
SAME: dict[str, Any] = {
    "STOPPED is entered": [0, [told(0x1, 1)]],
    "START_PENDING is entered": [0, [told(0x2, 2)]],
    "STOP_PENDING is entered": [0, [told(0x4, 3)]],
    "RUNNING is entered": [0, [RUNNING, RUNNING]],
    "CONTINUE_PENDING is entered": [0, [told(0x10, 5)]],
    "PAUSE_PENDING is entered": [0, [told(0x20, 6)]],
    "PAUSED is entered": [0, [PAUSED]],
    "the state it is in is told at once": [0, [RUNNING]],
    "the same entry is not told again on this handle": [0, 1],
    "another handle is told of it too": [0, [RUNNING], 0, [RUNNING]],
    "who was told has to ask again": [1, 0, 2],
    "nothing is called without an alertable wait": [[], [RUNNING]],
    "of several bits the one that happened is told": [0, [PAUSED]],
    "one request a handle": [0, 1242],
    "two handles are both told": [[0, 0], [[PAUSED], [PAUSED]]],
    "closing cancels": [0, []],
    "the handle needs SERVICE_QUERY_STATUS": 5,
    "a closed handle": 6,
}


class Difference(NamedTuple):
    ours: Any
    wine: Any
    ruling: str
    """What the documentation says about it."""


MARKS_UNTOLD = "1000"
"""Wine tells nobody of a mark for deletion: so long is waited for it."""
CHECKED_MASK = "[MS-SCMR] 3.1.4.43: 87 for a mask with bits that do not go together, or with none."
ABOUT_MARKS = "The function's page, dwNotifyMask: whoever asked is told of DeleteService."
DIFFERENCES = {
    "the state it is in is reported again": Difference(
        [0, 1],
        [0, 2],
        "The function's page, Remarks: told when the service next enters the state; a report of "
        "the state that it is in enters nothing.",
    ),
    "CREATED is for handles to the SCM": Difference(
        6, 0, "The function's page, dwNotifyMask: such a handle must be one to the SCM."
    ),
    "kinds of bits do not mix": Difference(87, 0, CHECKED_MASK),
    "a mask without bits": Difference(87, 0, CHECKED_MASK),
    "a bit that there is not": Difference(87, 0, CHECKED_MASK),
    "version 1 of the buffer": Difference(
        [0, [told(0, 4)]],
        [0, [RUNNING]],
        "[MS-SCMR] 2.2.43: level 1 has no dwNotificationTriggered; Wine writes it all the same.",
    ),
    "version 3 of the buffer": Difference(50, 0, "[MS-SCMR] 3.1.4.43: 50 for a level above 2."),
    "a mark for deletion is told": Difference([0, [MARKED]], [0, []], ABOUT_MARKS),
    "a mark for deletion ends what was asked about a state": Difference(
        [0, [told(0, 4, 1072)]],
        [0, []],
        "SERVICE_NOTIFY's page, dwNotificationStatus: 1072 when the service was marked.",
    ),
    "a service that is marked for deletion": Difference(
        1072, 0, "The function's page, Return value: 1072, and the handle is to be closed."
    ),
}


def test_scmd_notifies_as_documented(machine: Machine) -> None:
    program = programs.write(machine.folder, "obedient.py", programs.OBEDIENT)
    seen = subprocess.run(
        [programs.PYTHON, SCENARIOS, "scmd.winsvc", f"{programs.PYTHON} {program}", "30000"],
        env=machine.environment,
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=True,
    ).stdout
    assert json.loads(seen) == SAME | {name: each.ours for name, each in DIFFERENCES.items()}


@pytest.mark.peers("wine64")
def test_wine_notifies_the_same_way_but_for_what_is_listed(
    folder: Path, windows: Windows, windows_python: str
) -> None:
    text = programs.OBEDIENT.replace(
        "from scmd import winsvc",
        f"sys.path.insert(0, {windows_path(folder)!r})\nimport advapi32 as winsvc",
    )
    for name in ("advapi32.py", SCENARIOS.name):
        (folder / name).write_text((HERE / name).read_text())
    program = programs.write(folder, "obedient.py", text)
    seen = windows(
        windows_python,
        windows_path(folder / SCENARIOS.name),
        "advapi32",
        f"{windows_python} {windows_path(Path(program))}",
        MARKS_UNTOLD,
    )
    assert json.loads(seen) == SAME | {name: each.wine for name, each in DIFFERENCES.items()}
