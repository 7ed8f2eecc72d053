"""Service programs as the SCM starts them: real processes, an inherited channel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scmd.control_pipe.packets import Event, Hello, Start, StartAnswer
from scmd.vocabulary.errors import Error
from scmd.vocabulary.service import Control as Code
from scmd.vocabulary.service import ServiceState
from tests.sdk.fake_scm import PATIENCE_S, SubProcess

Program = Callable[..., SubProcess]

CLOCK = """
import os, sys
import scmd

@scmd.service("Clock")
def clock(svc):
    there = [name for name in os.environ if name.startswith("SCMD_")]
    svc.log.info("in the environment: %s", there)
    svc.ready()
    while not svc.wait(60):
        pass

@clock.on(200)
def crash(svc):
    os._exit(3)

class Second(scmd.Service):
    name = "Second"
    def run(self, svc):
        svc.wait()

if __name__ == "__main__":
    clock.main()
"""


def test_a_script_run_by_the_scm_needs_no_command(program: Program) -> None:
    scm = program(CLOCK, SCMD_SERVICE_TYPE="16")
    assert scm.welcome().table == ("Clock",)
    scm.start("Clock")
    assert scm.expect(Event).strings == ("in the environment: []",)
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(Code.STOP) == 0
    assert scm.finish()[0] == 0
    assert scm.states() == ["START_PENDING", "RUNNING", "STOP_PENDING", "STOPPED"]


def test_standard_streams_may_be_missing(program: Program) -> None:
    text = CLOCK.replace("svc.ready()", "svc.ready(); print(sys.stdout, sys.stderr)")
    scm = program(text, close_output=True)
    scm.welcome()
    scm.start("Clock")
    scm.control(Code.STOP)
    assert scm.finish()[0] == 0
    assert scm.reports()[-1].status.win32_exit_code == 0


def host(*arguments: str) -> list[str]:
    return ["-m", "scmd.sdk.host", *arguments]


def test_the_host_runs_a_script(program: Program, tmp_path: Path) -> None:
    script = str(tmp_path / "service.py")
    scm = program(CLOCK, *host("--script", script, "--attribute", "clock"))
    assert scm.welcome().table == ("Clock",)
    scm.start("Clock")
    scm.control(Code.STOP)
    code, stderr = scm.finish()
    assert code == 0
    assert "INFO in the environment: []" in stderr


def test_the_host_runs_a_script_whose_end_stands_alone(program: Program, tmp_path: Path) -> None:
    """Loading it runs it: that is no failure to load it."""
    text = CLOCK.replace('if __name__ == "__main__":\n    ', "")
    scm = program(text, *host("--script", str(tmp_path / "service.py"), "--attribute", "clock"))
    scm.welcome()
    scm.start("Clock")
    scm.control(Code.STOP)
    code, stderr = scm.finish()
    assert code == 0
    assert "Traceback" not in stderr


def test_the_host_runs_several_services_of_a_module(program: Program, tmp_path: Path) -> None:
    where = ("--folder", str(tmp_path), "--module", "service")
    scm = program(CLOCK, *host(*where, "--attribute", "clock", "--attribute", "Second"))
    assert scm.welcome().table == ("Clock", "Second")
    scm.start("Second", service=2)
    scm.start("Clock", service=1)
    scm.control(Code.STOP, service=1)
    scm.control(Code.STOP, service=2)
    assert scm.finish()[0] == 0


@pytest.mark.parametrize(
    ("text", "arguments", "why"),
    [
        ("import no_such_module", ("--attribute", "x"), "No module named 'no_such_module'"),
        ("raise SystemExit(3)", ("--attribute", "x"), "SystemExit"),
        ("x = 5", ("--attribute", "x"), "service.x is not a service"),
        ("", ("--attribute", "x"), "service.x is not a service"),
        ("", (), "usage: "),
        ("", ("--attribute", "x", "--what", "y"), "usage: "),
    ],
)
def test_what_cannot_be_loaded_is_a_failed_service_and_no_hang(
    program: Program, tmp_path: Path, text: str, arguments: tuple[str, ...], why: str
) -> None:
    script = str(tmp_path / "service.py")
    scm = program(text, *host("--script", script, *arguments))
    scm.welcome()
    scm.send(Start(service=1, arguments=("Any",)))
    assert scm.expect(StartAnswer).error == 0
    event = scm.expect(Event)
    code, stderr = scm.finish()
    assert code == 1
    assert why in event.strings[0]
    assert "Traceback" in stderr
    assert scm.reports()[-1].status.win32_exit_code == Error.EXCEPTION_IN_SERVICE


def test_a_process_that_dies_closes_the_channel(program: Program) -> None:
    scm = program(CLOCK)
    scm.welcome()
    scm.start("Clock")
    scm.expect_state(ServiceState.RUNNING)
    scm.post(200)
    assert scm.finish()[0] == 3
    assert scm.states() == ["START_PENDING", "RUNNING"]


def test_the_hosts_arguments_are_no_business_of_the_service(
    program: Program, tmp_path: Path
) -> None:
    text = CLOCK.replace("svc.ready()", "print(sys.argv); svc.ready(); os._exit(0)")
    scm = program(text, *host("--script", str(tmp_path / "service.py"), "--attribute", "clock"))
    scm.welcome()
    scm.start("Clock")
    scm.drain()
    # The process ended without flushing: lines are in the log as they are printed.
    stdout, _ = scm.process.communicate(timeout=PATIENCE_S)
    assert stdout == f"[{str(tmp_path / 'service.py')!r}]\n"


def test_children_of_a_service_do_not_get_the_channel(program: Program) -> None:
    scm = program(
        """
import subprocess
import scmd

@scmd.service("S")
def service(svc):
    command = ["/bin/sh", "-c", "ls -l /proc/self/fd | grep -c socket:"]
    child = subprocess.run(command, close_fds=False, stdout=subprocess.PIPE, text=True)
    svc.log.info("%s", child.stdout.strip())

service.main()
"""
    )
    scm.welcome()
    scm.start("S")
    assert scm.expect(Event).strings == ("0",)
    assert scm.finish()[0] == 0


def run_by_hand(tmp_path: Path, text: str, *arguments: str, **environment: str) -> tuple[int, str]:
    script = tmp_path / "service.py"
    script.write_text(text)
    result = subprocess.run(
        [sys.executable, str(script), *arguments],
        env={"PATH": "/usr/bin:/bin", "SCMD_RUNTIME": str(tmp_path / "none"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return result.returncode, result.stdout + result.stderr


def test_run_by_hand_says_what_to_do_instead(tmp_path: Path) -> None:
    code, output = run_by_hand(tmp_path, CLOCK, "run")
    assert code == 1
    assert "(1063)" in output
    assert "`service.py debug`" in output


def test_no_command_by_hand_is_the_usage(tmp_path: Path) -> None:
    code, output = run_by_hand(tmp_path, CLOCK)
    assert code == 2
    assert output.startswith("usage: service.py install")


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("stop", "it"),
        ("install", "--start"),
        ("install", "--start", "now"),
        ("install", "--colour=red"),
    ],
)
def test_wrong_usage_is_exit_status_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, output = run_by_hand(tmp_path, CLOCK, *arguments)
    assert code == 2
    assert "usage: " in output


def test_help_is_exit_status_0(tmp_path: Path) -> None:
    assert run_by_hand(tmp_path, CLOCK, "--help")[0] == 0


@pytest.mark.parametrize("verb", ["install", "remove", "start", "stop", "status"])
def test_without_an_scm_a_command_fails_with_exit_status_1(tmp_path: Path, verb: str) -> None:
    code, output = run_by_hand(tmp_path, CLOCK, verb)
    assert code == 1, output
    assert "Traceback" not in output


RAW = """
import sys
from scmd import winsvc

def main(arguments):
    handle = winsvc.RegisterServiceCtrlHandlerEx("Raw", handler, "the context")
    accepted = winsvc.SERVICE_ACCEPT_STOP
    winsvc.SetServiceStatus(handle, (0x10, winsvc.SERVICE_RUNNING, accepted, 0, 0, 0, 0))
    winsvc.SetServiceStatus(handle, (0x10, winsvc.SERVICE_STOPPED, 0, 1066, 42, 0, 0))

def handler(control, event_type, data, context):
    return winsvc.NO_ERROR

def attempt(table):
    try:
        winsvc.StartServiceCtrlDispatcher(table)
        print("returned")
    except winsvc.error as error:
        print(error.winerror, error.funcname)

attempt([])
attempt([("Raw", None)])
attempt([("Raw", main), (None, None)])
attempt([("Raw", main)])
try:
    winsvc.SetServiceStatus(99, (0x10, 4, 0, 0, 0, 0, 0))
except winsvc.error as error:
    print(error.winerror)
print("scmd.client" in sys.modules, "logging" in sys.modules, "asyncio" in sys.modules)
"""


def test_the_win32_calls_and_their_errors(program: Program) -> None:
    scm = program(RAW)
    scm.welcome()
    scm.start("Raw")
    scm.drain()
    stdout, stderr = scm.process.communicate(timeout=PATIENCE_S)
    assert stdout.splitlines() == [
        "87 StartServiceCtrlDispatcher",
        "13 StartServiceCtrlDispatcher",
        "returned",
        "1056 StartServiceCtrlDispatcher",
        "6",
        "False False False",
    ], stderr
    assert scm.reports()[-1].status.service_specific_exit_code == 42


@pytest.mark.parametrize(
    ("told", "answer"), [("16", 0), ("32", Error.SERVICE_NOT_IN_EXE), ("", 0), ("x", 0)]
)
def test_the_environment_says_whether_names_count(program: Program, told: str, answer: int) -> None:
    scm = program(RAW, SCMD_SERVICE_TYPE=told)
    scm.welcome()
    scm.send(Start(service=1, arguments=("Another",)))
    assert scm.expect(StartAnswer).error == answer


@pytest.mark.parametrize("descriptor", ["", "x", "-1", "987654", "99999999999999999999", "0"])
def test_without_a_channel_the_dispatcher_is_error_1063(tmp_path: Path, descriptor: str) -> None:
    _, output = run_by_hand(tmp_path, RAW, SCMD_CONTROL_FD=descriptor)
    assert output.splitlines()[2] == "1063 StartServiceCtrlDispatcher"


# The three bugs of the tutorial ---------------------------------------------------------------

TUTORIAL = """
import threading
from scmd import winsvc

stop = threading.Event()
if {signalled}:
    stop.set()
status = winsvc.ServiceStatus(state=winsvc.SERVICE_START_PENDING)

def report(handle, **changes):
    global status
    status = status.replace(**changes)
    winsvc.SetServiceStatus(handle, status)

def service_main(arguments):
    handle = winsvc.RegisterServiceCtrlHandlerEx("My Awesome Service", service_control, None)
    if {pending}:
        report(handle, check_point=1, wait_hint=3000)
    accepted = winsvc.SERVICE_ACCEPT_STOP | winsvc.SERVICE_ACCEPT_SHUTDOWN
    report(handle, state=winsvc.SERVICE_RUNNING, controls_accepted=accepted,
           check_point=0, wait_hint=0)
    stop.wait()
    report(handle, state=winsvc.SERVICE_STOPPED, controls_accepted=0)

def service_control(control, event_type, data, context):
    if control == winsvc.SERVICE_CONTROL_INTERROGATE:
        return winsvc.NO_ERROR
    if control in (winsvc.SERVICE_CONTROL_STOP, winsvc.SERVICE_CONTROL_SHUTDOWN):
        stop.set()
        return winsvc.NO_ERROR
    return winsvc.ERROR_CALL_NOT_IMPLEMENTED

winsvc.StartServiceCtrlDispatcher([("My Awesome Service", service_main)])
"""


def test_an_event_created_signalled_stops_the_service_at_once(program: Program) -> None:
    scm = program(TUTORIAL.format(signalled=True, pending=False))
    scm.welcome()
    scm.start("My Awesome Service")
    assert scm.finish()[0] == 0
    assert scm.states() == ["RUNNING", "STOPPED"]


def test_the_tutorial_without_its_bugs(program: Program) -> None:
    scm = program(TUTORIAL.format(signalled=False, pending=True))
    scm.welcome()
    scm.start("My Awesome Service")
    scm.expect_state(ServiceState.RUNNING)
    assert scm.control(Code.INTERROGATE) == 0
    assert scm.control(200) == Error.CALL_NOT_IMPLEMENTED
    assert scm.control(Code.SHUTDOWN) == 0
    code, stderr = scm.finish()
    assert (code, stderr) == (0, "")
    pending, running, stopped = (report.status for report in scm.reports())
    assert (pending.check_point, pending.wait_hint) == (1, 3000)
    assert (running.state, stopped.state) == (ServiceState.RUNNING, ServiceState.STOPPED)


def test_a_report_that_fails_raises_and_cannot_be_tested_the_wrong_way_round(
    program: Program,
) -> None:
    text = TUTORIAL.format(signalled=True, pending=False).replace(
        "state=winsvc.SERVICE_STOPPED", "state=8"
    )
    scm = program(text)
    scm.welcome()
    scm.start("My Awesome Service")
    code, stderr = scm.finish()
    assert code == 0
    assert "SetServiceStatus: The data is invalid. (13)" in stderr
    assert scm.reports()[-1].status.win32_exit_code == Error.EXCEPTION_IN_SERVICE


def test_the_tutorial_is_started_by_hand(tmp_path: Path) -> None:
    code, output = run_by_hand(tmp_path, TUTORIAL.format(signalled=False, pending=True))
    assert code == 1
    assert "(1063)" in output


def test_an_asyncio_service_in_a_process(program: Program) -> None:
    scm = program(
        """
import scmd

@scmd.service("Loop")
async def loop(svc):
    svc.ready()
    await svc.wait_async()

scmd.run(loop)
"""
    )
    assert isinstance(scm.welcome(), Hello)
    scm.start("Loop")
    scm.expect_state(ServiceState.RUNNING)
    scm.control(Code.STOP)
    assert scm.finish()[0] == 0
    assert scm.states()[-1] == "STOPPED"
