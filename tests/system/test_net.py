"""`scmd net`: NET.EXE's service part against a real SCM."""

from __future__ import annotations

import pytest

from tests.system.machine import Machine


@pytest.fixture
def chain(machine: Machine) -> Machine:
    """Top needs Middle, Middle needs Base; none runs."""
    machine.scmd("install", "Base", "--display", "The base", "--", "sleep", "1000")
    machine.scmd("install", "Middle", "--depend", "Base", "--", "sleep", "1000")
    machine.scmd("install", "Top", "--depend", "Middle", "--", "sleep", "1000")
    return machine


def states(machine: Machine) -> dict[str, str]:
    return {
        service.name: service.last_status.state.name.lower()  # type: ignore[attr-defined] # a known one
        for service in machine.scm.services()
    }


def test_start_starts_what_is_needed_first(chain: Machine) -> None:
    assert chain.scmd("net", "start", "Top") == (
        "The Top service is starting.\nThe Top service was started successfully.\n\n"
    )
    assert states(chain) == {"Base": "running", "Middle": "running", "Top": "running"}
    assert chain.scmd("net", "start") == (
        "These Windows services are started:\n\n   Middle\n   The base\n   Top\n\n"
        "The command completed successfully.\n\n"
    )
    started = [event["strings"][0] for event in chain.events(7036)]
    assert started == ["The base", "Middle", "Top"]


def test_stop_asks_about_dependents_and_stops_them_in_order(chain: Machine) -> None:
    chain.scmd("net", "start", "Top")
    asked = chain.scmd("net", "stop", "The base", input="n\n", status=2)
    assert "   Top\n   Middle\n" in asked
    assert asked.endswith("Do you want to continue this operation? (Y/N) [N]: \n")
    assert set(states(chain).values()) == {"running"}
    stopped = chain.scmd("net", "stop", "the BASE", input="y\n")
    assert stopped.count("was stopped successfully.") == 3
    order = [event["strings"][0] for event in chain.events(7036) if "stopped" in event["strings"]]
    assert order == ["Top", "Middle", "The base"]
    assert set(states(chain).values()) == {"stopped"}


def test_y_answers_the_question(chain: Machine) -> None:
    chain.scmd("net", "start", "Top")
    assert "(Y/N)" not in chain.scmd("net", "stop", "Base", "/y")
    assert set(states(chain).values()) == {"stopped"}


def test_errors_have_nets_messages(chain: Machine) -> None:
    def failing(*arguments: str) -> str:
        done = chain.try_scmd("net", *arguments)
        assert done.returncode == 2, done
        return done.stderr

    assert "NET HELPMSG 2185" in failing("start", "Nobody")
    assert "NET HELPMSG 3521" in failing("stop", "Base")
    chain.scmd("net", "start", "Base")
    assert "NET HELPMSG 2182" in failing("start", "Base")
    assert "NET HELPMSG 2191" in failing("pause", "Base")
    chain.install("Broken", "false", AppSettleTime=5000)
    assert "could not be started" in failing("start", "Broken")
