"""The SCM is told to end: who hears of it first, who last, and who not at all."""

from __future__ import annotations

from tests.system import programs
from tests.system.machine import Machine, is_gone
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
