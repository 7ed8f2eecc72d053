"""The machine starts: automatic starts in their order, and the picture of them."""

from __future__ import annotations

from tests.system.machine import Machine

SLEEPS = ("/bin/sleep", "1000")


def test_what_is_automatic_runs_again_with_what_it_needs(machine: Machine) -> None:
    machine.scmd("install", "Base", "--", *SLEEPS)
    machine.scmd("install", "Web", "--start", "auto", "--depend", "Base", "--", *SLEEPS)
    machine.scmd("install", "Off", "--start", "disabled", "--", *SLEEPS)
    machine.scmd("install", "Needs", "--start", "auto", "--depend", "Off", "--", *SLEEPS)
    machine.scmd("set", "Base", "AppSettleTime", "50")
    machine.restart()
    machine.await_state("Web", "RUNNING")
    machine.await_state("Base", "RUNNING")
    machine.await_event(7001, "Needs")
    picture = machine.folder / "boot.svg"
    said = machine.scmd("boot-plot", str(picture))
    assert said.startswith("3 services, 1 failed; critical path: Base (")
    assert "> Web (" in said
    assert picture.read_text().count('class="start critical"') == 2


def test_a_delayed_service_comes_after_the_delay(bare: Machine) -> None:
    bare.start()
    bare.scmd("install", "Late", "--start", "delayed", "--", *SLEEPS)
    bare.scmd("install", "Soon", "--start", "auto", "--", *SLEEPS)
    assert bare.stop() == 0
    bare.set_control(AutoStartDelay=0)
    bare.start()
    bare.await_state("Late", "RUNNING")
    assert "2 services" in bare.scmd("boot-plot", "-")
