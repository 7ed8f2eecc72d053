"""What processes use, with and without a cgroup."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from scmd.linux.cgroups import find
from scmd.linux.usage import cgroup_of, usage_of
from tests.linux.inside import inside

WAIT = "os.write(1, b'+'); os.read(0, 1)"
PROGRAM = """if 1:
    import os, time
    if os.fork() == 0:
        pass
    data = bytearray(b"x" * 20_000_000)
    while time.process_time() < 0.05:
        pass
    os.write(1, b"+")
    os.read(0, 1)
"""


@pytest.mark.root
def test_the_memory_of_a_limited_launch_is_what_its_cgroup_counts() -> None:
    instance = f"test-{os.getpid()}"
    made = find(instance)
    bounds = made.limit(1, 7, [("MemoryMax", 1 << 30)])

    # Pages of a file count for the cgroup, and nothing maps them.
    program = "import os; f = os.memfd_create('x'); os.write(f, bytes(1 << 26)); " + WAIT
    process = subprocess.Popen(
        inside(bounds.join, program), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"+"
        assert usage_of(process.pid, instance)["memory_bytes"] >= 1 << 26
    assert made.end(1)
    made.close()


@pytest.mark.parametrize("in_cgroup", [False, True])
def test_processor_and_memory_of_a_family(in_cgroup: bool) -> None:
    instance = f"test-{os.getpid()}"
    made = find(instance)
    entered = in_cgroup and made.enter(1, 7)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if entered:
        made.leave()
    with process:
        assert process.stdout is not None
        came = b""
        while len(came) < 2:
            came += os.read(process.stdout.fileno(), 2)
        assert (cgroup_of(process.pid, instance) is not None) == entered
        used = usage_of(process.pid, instance)
    assert used["processes"] == 2
    assert 80 <= used["cpu_ms"] < 60_000
    assert 40_000_000 < used["memory_bytes"] < 400_000_000
    while not made.end(1):  # The child is about to be gone, too.
        pass
    made.close()


def test_nobody_uses_nothing() -> None:
    assert usage_of(0, "test") == {"processes": 0, "cpu_ms": 0, "memory_bytes": 0}
