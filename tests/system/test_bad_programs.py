"""Programs that mean harm, or do not care: what they write and what they leave open."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.system.machine import SCMD, Machine, eventually, is_gone
from tests.system.programs import PYTHON

ROTATED = 10 << 20
LONGEST_LINE = 16 << 10
CUT = b" [scmd: line cut]\n"

# As fast as it can, without an end of line; it goes on until it is stopped.
ENDLESS = """if 1:
    import os
    block = b"x" * (1 << 16)
    while True:
        os.write(1, block)
"""

BINARY = """if 1:
    import os, signal
    data = bytes(range(256)) * 64 + b"\\n"
    for _ in range(3):
        os.write(1, data)
    os.write(1, b"\\xff\\xfe the end\\n")
    signal.pause()
"""

# Its child lives on when it has ended, with its output open, and writes when it is told to.
LEAVING = """if 1:
    import os, sys
    pipe = sys.argv[1]
    if not os.fork():
        os.setsid()
        while True:
            with open(pipe) as lines:
                for line in lines:
                    os.write(1, b"late " + line.encode())
    print("left", flush=True)
"""


def test_output_without_an_end_of_line_at_full_speed(machine: Machine) -> None:
    machine.install("Endless", PYTHON, "-I", "-S", "-c", ENDLESS, AppStopTime=100)
    machine.install("Witness", "sleep", "1000")
    machine.sc("start", "Endless")
    logs = machine.state / "logs"
    eventually(lambda: len(list(logs.iterdir())) == 3, "two rotations")
    # Nobody else suffers.
    machine.scmd("net", "start", "Witness")
    machine.sc("stop", "Endless")
    machine.await_state("Endless", "STOPPED")
    assert machine.status("Witness").state == 4
    # The logger has more to write, and to rotate, until it has ended.
    assert machine.stop() == 0
    files = [file for file in logs.iterdir() if file.stat().st_size]
    assert len(files) == 3
    assert max(file.stat().st_size for file in files) <= ROTATED
    for file in files:
        check_lines(file)


def check_lines(file: Path) -> None:
    for line in file.read_bytes().splitlines(keepends=True):
        assert set(line.removesuffix(CUT).rstrip()) <= set(b"x") or b"lines dropped" in line
        assert len(line) <= LONGEST_LINE + len(CUT)


def test_binary_output_is_kept_and_harms_nobody(machine: Machine) -> None:
    machine.install("Binary", PYTHON, "-I", "-S", "-c", BINARY)
    machine.sc("start", "Binary")
    machine.await_log("Binary", "the end")
    (file,) = (machine.state / "logs").iterdir()
    written = file.read_bytes()
    assert written.count(bytes(range(256)) * 64) == 3
    command = " ".join([*SCMD, "logs", "Binary", "-n", "1", "|", "od", "-An", "-c"])
    assert "377 376" in machine.run("sh", "-c", command).stdout
    machine.sc("stop", "Binary")
    machine.await_state("Binary", "STOPPED")
    assert machine.status("Binary").win32_exit_code == 0


def test_a_program_whose_path_is_no_utf_8_and_that_cannot_be_run(machine: Machine) -> None:
    program = machine.folder / "caf\udce9"
    program.write_text("#!/nonexistent\n")
    program.chmod(0o755)
    machine.install("Latin", str(program))
    assert machine.refused("start", "Latin") == 2
    assert "its interpreter does not exist" in machine.scmd("why", "Latin")
    assert machine.status("Latin").win32_exit_code == 2
    assert machine.json("get", "Latin", "Application") == {"Application": str(program)}


def test_what_keeps_a_dead_services_output_open(machine: Machine) -> None:
    pipe = machine.folder / "pipe"
    os.mkfifo(pipe)
    machine.install("Leaving", PYTHON, "-c", LEAVING, str(pipe), AppKillProcessTree=0)
    machine.sc("start", "Leaving")
    machine.await_log("Leaving", "left\n")
    machine.await_state("Leaving", "STOPPED")
    with pipe.open("w") as lines:
        lines.write("word\n")
    machine.await_log("Leaving", "late word\n")
    # The service can be started again, and each run's output is in its log.
    machine.sc("start", "Leaving")
    machine.await_log("Leaving", "(?s)left\n.*left\n")
    machine.await_state("Leaving", "STOPPED")
    # The SCM does not wait for those who hold it open: it ends, and they may live on.
    holders = [
        pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if runs(pid, pipe)
    ]
    assert len(holders) == 2
    assert machine.stop() == 0
    for pid in holders:
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: all(map(is_gone, holders)), "their end")


def runs(pid: int, pipe: Path) -> bool:
    try:
        return str(pipe).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
