"""The SCM is told to end: who hears of it first, who last, and who not at all."""

from __future__ import annotations

import os
import signal

from tests.system import programs
from tests.system.machine import Machine, eventually, is_gone
from tests.system.programs import PYTHON

WITNESS = """\
import scmd

def witness(name, accepts):
    @scmd.service(name, accepts=accepts)
    def run(svc):
        svc.ready()
        svc.wait()
        svc.progress("writing")
        with open({path!r}, "a") as file:
            print(name, file=file)
    return run

scmd.run(
    witness("Second", ("stop", "preshutdown")),
    witness("First", ("stop", "preshutdown")),
    witness("Other", ("stop", "preshutdown")),
    witness("Last", ("stop", "shutdown")),
)
"""


def test_preshutdown_in_its_order_then_shutdown(bare: Machine) -> None:
    bare.set_control(PreshutdownOrder=("First", "Second"))
    bare.start()
    witnesses = bare.folder / "witnesses"
    text = WITNESS.format(path=str(witnesses))
    program = programs.write(bare.folder, "witness.py", text)
    for name in ("Last", "Other", "Second", "First"):
        bare.create(name, PYTHON, program, kind="share")
        bare.sc("start", name)
        bare.await_state(name, "RUNNING")
    assert "ACCEPTS_PRESHUTDOWN" in bare.sc("query", "First")
    assert bare.stop() == 0
    assert witnesses.read_text().split() == ["First", "Second", "Other", "Last"]


def test_who_does_not_hear_is_killed_and_named(bare: Machine) -> None:
    bare.set_control(WaitToKillServiceTimeout=300)
    bare.start()
    bare.install("Deaf", "/bin/sh", "-c", "trap '' TERM; echo up; sleep 1000 & wait; wait")
    bare.sc("start", "Deaf")
    bare.await_log("Deaf", "up")
    process = bare.status("Deaf").process_id
    assert bare.stop() == 0
    assert is_gone(process)
    bare.start()
    (event,) = bare.events(7043)
    assert event["strings"] == ["Deaf", "shutdown"]


FOR_EVER = "while :; do sleep 0.02; done"
PATIENT = """\
import os, time, scmd

folder = {folder!r}

def write(text):
    with open(folder + "/witnesses", "a") as file:
        print(text, file=file)

@scmd.service("Patient", accepts=("stop", "preshutdown"))
def patient(svc):
    svc.ready()
    svc.wait()
    write("Patient was told")
    while not os.path.exists(folder + "/go"):
        svc.progress("writing")
        time.sleep(0.02)
    write("Patient has written")

@scmd.service("Last", accepts=("stop", "shutdown"))
def last(svc):
    svc.ready()
    svc.wait()
    write("Last was told")

scmd.run(patient, last)
"""


def test_a_shutdown_goes_on_when_its_manager_is_killed(bare: Machine) -> None:
    bare.start()
    witnesses = bare.folder / "witnesses"
    text = PATIENT.format(folder=str(bare.folder))
    program = programs.write(bare.folder, "patient.py", text)
    for name in ("Patient", "Last"):
        bare.create(name, PYTHON, program, kind="share")
        bare.sc("start", name)
        bare.await_state(name, "RUNNING")
    script = f"trap 'echo Program was told >>{witnesses}; exit' TERM; echo up; {FOR_EVER}"
    bare.install("Program", "/bin/sh", "-c", script)
    bare.sc("start", "Program")
    bare.await_log("Program", "up")
    manager = int(str(bare.scm.status()["manager_pid"]))
    bare.ask_to_stop()
    eventually(witnesses.exists, "the first service to be told")
    os.kill(manager, signal.SIGKILL)
    bare.await_line("a new one goes on with the shutdown")
    bare.await_line("ready again")
    assert "Last" not in witnesses.read_text()
    (bare.folder / "go").touch()
    assert bare.await_end() == 0
    told = witnesses.read_text().splitlines()
    assert told[:2] == ["Patient was told", "Patient has written"]
    assert sorted(told[2:]) == ["Last was told", "Program was told"]
