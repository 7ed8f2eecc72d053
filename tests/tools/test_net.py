"""net: NET.EXE's messages and exit codes, against a real core."""

from __future__ import annotations

import io
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import cast

import pytest

from scmd.client.calls import Calls
from scmd.client.scm import Scm
from scmd.ndr.values import NULL_HANDLE
from scmd.tools import net
from scmd.vocabulary.service import Control, ServiceState
from tests.client.world import World, report
from tests.tools.conftest import Run

MORE = "\nMore help is available by typing NET HELPMSG {}.\n"


def test_start_and_stop_speak_of_the_display_name(web: World, run: Run) -> None:
    web.program("Web").reports[0] = [
        report(ServiceState.START_PENDING, check_point=1),
        report(ServiceState.START_PENDING, check_point=2),
        report(ServiceState.RUNNING),
    ]
    started = run("net", "start", "web server")
    assert (started.status, started.err) == (0, "")
    assert started.out == (
        "The Web Server service is starting.\nThe Web Server service was started successfully.\n\n"
    )
    stopped = run("net", "stop", "Web")
    assert (stopped.status, stopped.err) == (0, "")
    assert stopped.out == (
        "The Web Server service is stopping.\nThe Web Server service was stopped successfully.\n\n"
    )


def test_the_last_look_is_no_dot(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = [report(state) for state in (ServiceState.STOP_PENDING, ServiceState.STOPPED)]
    calls = SimpleNamespace(query_status=lambda handle: looks.pop(0))
    statuses = SimpleNamespace(next=lambda progress: looks.pop(0))
    monkeypatch.setattr(net, "Statuses", lambda *arguments: nullcontext(statuses))
    monkeypatch.setattr(net, "_DOT_S", 0.0)
    web = object.__new__(net.Net)
    web.name = web.display_name = "Web"
    web._calls = cast(Calls, calls)
    web._wait(NULL_HANDLE, "stopping", None, ServiceState.STOPPED)
    assert capsys.readouterr().out == "The Web service is stopping.\n"


def test_start_alone_lists_what_runs(web: World, scm: Scm, run: Run) -> None:
    scm.create("Db", "/usr/bin/db", display="A Base").start()
    scm["Web"].start()
    assert run("net", "start").out == (
        "These Windows services are started:\n\n   A Base\n   Web Server\n\n"
        "The command completed successfully.\n\n"
    )


def test_pause_and_continue(web: World, scm: Scm, run: Run) -> None:
    scm["Web"].start()
    paused = run("net", "pause", "Web")
    assert paused.out == "The Web Server service was paused successfully.\n\n"
    continued = run("net", "continue", "Web")
    assert continued.out == "The Web Server service was continued successfully.\n\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["start", "Nope"], "The service name is invalid.\n" + MORE.format(2185)),
        (["start", "a/b"], "The service name is invalid.\n" + MORE.format(2185)),
        (["stop", "Web"], "The Web Server service is not started.\n" + MORE.format(3521)),
        (["pause", "Web"], "The Web Server service is not started.\n" + MORE.format(3521)),
    ],
)
def test_errors_are_nets_own(web: World, run: Run, arguments: list[str], text: str) -> None:
    outcome = run("net", *arguments)
    assert (outcome.status, outcome.out, outcome.err) == (2, "", text + "\n")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2185, "The service name is invalid."),
        (3521, "The *** service is not started."),
        (1053, "The service did not respond to the start or control request in a timely fashion."),
    ],
)
def test_helpmsg_says_what_a_number_means(run: Run, number: int, text: str) -> None:
    outcome = run("net", "helpmsg", str(number))
    assert (outcome.status, outcome.out) == (0, f"\n{text}\n\n")


@pytest.mark.parametrize("number", ["9999999", "x", "-1"])
def test_helpmsg_refuses_what_is_no_message(run: Run, number: str) -> None:
    outcome = run("net", "HELPMSG", number)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"{number} is not a valid Windows network message number.\n\n"


def test_starting_twice_is_2182(web: World, scm: Scm, run: Run) -> None:
    scm["Web"].start()
    outcome = run("net", "start", "Web")
    assert outcome.status == 2
    assert outcome.err == (
        "The requested service has already been started.\n" + MORE.format(2182) + "\n"
    )


def test_a_refused_control_is_2191(web: World, scm: Scm, run: Run) -> None:
    web.program("Web").reports[0] = [report(ServiceState.RUNNING, controls_accepted=0)]
    scm["Web"].start()
    outcome = run("net", "pause", "Web")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("The requested pause, continue, or stop is not valid")


def test_a_system_error_is_3502(web: World, run: Run) -> None:
    run("sc", "config", "Web", "start=", "disabled")
    outcome = run("net", "start", "Web")
    assert outcome.status == 2
    assert outcome.err.startswith(
        "System error 1058 has occurred.\n\nThe service cannot be started, either because it is"
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            report(ServiceState.STOPPED, win32_exit_code=1066, service_specific_exit_code=7),
            "A service specific error occurred: 7.\n" + MORE.format(3547),
        ),
        (
            report(ServiceState.STOPPED),
            "The service did not report an error.\n" + MORE.format(3534),
        ),
        (
            report(ServiceState.STOPPED, win32_exit_code=1067),
            "System error 1067 has occurred.\n\nThe process terminated unexpectedly.\n",
        ),
    ],
)
def test_a_start_that_fails_says_how(web: World, run: Run, status: object, text: str) -> None:
    web.program("Web").reports[0] = [report(ServiceState.START_PENDING), status]  # type: ignore[list-item] # parametrized
    outcome = run("net", "start", "Web")
    assert (outcome.status, outcome.out) == (2, "The Web Server service is starting.\n")
    assert outcome.err == "The Web Server service could not be started.\n\n" + text + "\n"


@pytest.fixture
def dependents(web: World, scm: Scm) -> World:
    scm.create("App", "/usr/bin/app", display="The App", depends=["Web"])
    scm.create("Top", "/usr/bin/top", display="The Top", depends=["App"])
    scm["Top"].start()
    return web


QUESTION = (
    "The following services are dependent on the Web Server service.\n"
    "Stopping the Web Server service will also stop these services.\n\n"
    "   The Top\n   The App\n\n"
)
STOPS = "".join(
    f"The {name} service is stopping.\nThe {name} service was stopped successfully.\n\n"
    for name in ("The Top", "The App", "Web Server")
)


def test_slash_y_stops_dependents_in_order(dependents: World, run: Run) -> None:
    outcome = run("net", "stop", "Web", "/Y")
    assert (outcome.status, outcome.out, outcome.err) == (0, QUESTION + STOPS, "")


def test_the_question_is_asked(
    dependents: World, scm: Scm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = QUESTION + "Do you want to continue this operation? (Y/N) [N]: "
    for answer in ("n\n", "\n", ""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        outcome = run("net", "stop", "Web")
        assert outcome.status == 2
        assert outcome.out.startswith(asked)
        assert scm["Web"].status.state == ServiceState.RUNNING
    monkeypatch.setattr(sys, "stdin", io.StringIO("Y\n"))
    outcome = run("net", "stop", "Web")
    assert (outcome.status, outcome.out) == (0, asked + "\n" + STOPS)


def test_a_service_that_is_stopping_already_is_busy(web: World, scm: Scm, run: Run) -> None:
    web.program("Web").reports[Control.STOP] = [report(ServiceState.STOP_PENDING)]
    scm["Web"].start()
    scm["Web"].stop(wait=False)
    outcome = run("net", "stop", "Web")
    assert outcome.status == 2
    assert outcome.err.startswith("The service is starting or stopping.")


@pytest.mark.parametrize("arguments", [[], ["use"], ["stop"], ["start", "a", "b"]])
def test_wrong_usage_is_1(run: Run, arguments: list[str]) -> None:
    outcome = run("net", *arguments)
    assert outcome.status == 1
    assert outcome.err.startswith("The syntax of this command is:\n")


@pytest.mark.parametrize("arguments", [["/?"], ["start", "/?"], ["stop", "--help"], ["help"]])
def test_who_asks_for_the_usage_gets_it(run: Run, arguments: list[str]) -> None:
    outcome = run("net", *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("The syntax of this command is:\n")
