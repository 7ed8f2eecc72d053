"""Who is spared by the kernel's out-of-memory killer: run by `test_oom_scores.py`, under another
kernel, where we have every right; in a container root usually may not lower a score."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scmd.linux import oom_score
from tests.system import programs
from tests.system.installation import command
from tests.system.machine import LIMIT_S, Machine
from tests.system.programs import PYTHON
from tests.system.test_init import NAMESPACE, children

SHELL = "/bin/sh"
HOOK = "/bin/cat /proc/self/oom_score_adj"
SAY = f"{HOOK}; exec sleep 1000"
SPARED, WITHOUT_THE_RIGHT = -900, ("setpriv", "--bounding-set", "-sys_resource")


@pytest.fixture
def own() -> Iterator[int]:
    """What this process has, and whatever it starts."""
    oom_score.put(300)
    yield 300
    oom_score.put(0)


def test_the_scm_is_spared_and_services_have_what_it_began_with(bare: Machine, own: int) -> None:
    bare.start()
    bare.install("Plain", SHELL, "-c", SAY)
    bare.install("Limited", SHELL, "-c", SAY, **{"AppLimit\\MemoryMax": "64M"})
    bare.install("Hooked", SHELL, "-c", SAY, **{"AppEvents\\Start\\Pre": HOOK})
    bare.sc("config", "Plain", "obj=", "nobody")
    bare.run(PYTHON, programs.write(bare.folder, "clock.py", programs.CLOCK), "install")
    said = {"Plain": 1, "Limited": 1, "Hooked": 2, "Clock": 0}
    for name, lines in said.items():
        bare.scm[name].start(wait=LIMIT_S)
        assert adjustment(bare.status(name).process_id) == own
        if lines:
            bare.await_log(name, "^" + f"{own}\\n" * lines + "$")
    assert [adjustment(pid) for pid in own_processes(bare)] == [SPARED] * 3


def adjustment(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def own_processes(machine: Machine) -> list[int]:
    """Keeper, manager and logger."""
    assert machine.process is not None
    keeper = machine.process.pid
    ours = [pid for pid in children(keeper) if b"scmd.daemon" in _command_line(pid)]
    assert len(ours) == 2
    return [keeper, *ours]


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.parametrize("right", [True, False])
def test_init_is_spared_where_it_may_be(bare: Machine, right: bool) -> None:
    within = () if right else WITHOUT_THE_RIGHT
    script = "cat /proc/1/oom_score_adj /proc/self/oom_score_adj"
    done = subprocess.run(
        [*within, *NAMESPACE, *command(), "init", "--", SHELL, "-c", script],
        env=bare.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(SPARED if right else 0), "0"]
