"""Everything at once: many clients, real processes, kills from outside; and at last all rests."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import signal
import threading

from scmd.client.scm import connect
from scmd.client.service import Service
from scmd.vocabulary.service import PENDING_STATES
from scmd.vocabulary.winerror import WinError
from tests.system import programs
from tests.system.machine import Machine, eventually
from tests.system.programs import PYTHON

CLIENTS = 6
STEPS = 60
ALLOWED = {120, 258, 1051, 1052, 1053, 1056, 1060, 1061, 1062, 1066, 1067, 1068, 1069, 1072}
"""What may go wrong where others do as they like."""


def act(dice: random.Random, service: Service) -> None:
    action = dice.randrange(8)
    if action < 3:
        service.start(wait=dice.random() < 0.3 and 5)
    elif action < 5:
        service.stop(wait=dice.random() < 0.3 and 5)
    elif action == 5:
        service.control(dice.choice([2, 3, 4, 200]))
    elif action == 6:
        service.config  # noqa: B018 # asked for its own sake
    else:
        process_id = service.status.process_id
        if process_id:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


def client(seed: int, failures: list[BaseException]) -> None:
    dice = random.Random(seed)
    try:
        with connect(timeout=60) as scm:
            names = ["Base", "Middle", "Top", "Clock", "First", "Second"]
            for _ in range(STEPS):
                try:
                    act(dice, scm[dice.choice(names)])
                except WinError as error:
                    if error.winerror not in ALLOWED:
                        raise
    except BaseException as failed:
        failures.append(failed)


def test_many_clients_and_kills_leave_everything_in_order(machine: Machine) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    machine.install("Base", "sleep", "1000")
    machine.scmd("install", "Middle", "--depend", "Base", "--", "sleep", "1000")
    machine.scmd("install", "Top", "--depend", "Middle", "--", "sleep", "1000")
    for name, text in (("clock.py", programs.CLOCK), ("pair.py", programs.PAIR)):
        program = programs.write(machine.folder, name, text)
        machine.run(PYTHON, program, "install").check_returncode()
    failures: list[BaseException] = []
    with machine.as_environment():
        clients = [
            threading.Thread(target=client, args=(seed + number, failures))
            for number in range(CLIENTS)
        ]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
    assert failures == []
    eventually(lambda: rests(machine), "all services to rest")
    for service in machine.scm.services("active"):
        with contextlib.suppress(WinError):
            service.stop(dependents=True)
    eventually(lambda: not machine.scm.services("active"), "all services to stop")
    machine.disconnect()
    # A process may outlive its last service's STOPPED for a moment.
    eventually(lambda: nothing_is_left(machine), "launches and handles to go")
    # A start works as on the first day.
    machine.scmd("net", "start", "Top")
    machine.scmd("net", "start", "Clock")
    machine.scmd("net", "start", "First")


def nothing_is_left(machine: Machine) -> bool:
    counts = machine.json("status")["counts"]
    return (counts["running"], counts["launches"], counts["handles"]) == (0, 0, 0)


def rests(machine: Machine) -> bool:
    return not any(
        service.last_status.state in PENDING_STATES for service in machine.scm.services()
    )
