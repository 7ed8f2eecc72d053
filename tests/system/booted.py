"""A machine of a test's own that systemd has booted, with scmd's unit file enabled.

It is this machine's programs in a root directory, and in process, mount, network and cgroup
namespaces, made for it: systemd's clean-up must never see the root of the machine itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import scmd
from scmd.linux import cgroups
from tests.system.installation import command
from tests.system.machine import LIMIT_S, eventually

SCRIPT = Path(__file__).with_name("boot_systemd.sh")
_NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--cgroup")


class Booted:
    """One boot; `state` outlives it, as a disk does."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.cgroup = _version_2() / f"test-{os.getpid()}-{folder.name}"
        root = folder / "root"
        root.mkdir(parents=True)
        self.cgroup.mkdir()
        unit = str(files("scmd.data").joinpath("scmd.service"))
        (program,) = command()
        self.process = subprocess.Popen(
            [
                *("sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec unshare "$@"', str(self.cgroup)),
                *(*_NAMESPACES, "--fork", "--kill-child", "--"),
                *("sh", str(SCRIPT), str(root), str(state), program, unit, *_shown()),
            ],
            stdin=subprocess.DEVNULL,
        )

    @property
    def init(self) -> int | None:
        """systemd's process number outside; None before it is there and after its end."""
        try:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            (pid,) = children.read_text().split()
            name = Path(f"/proc/{pid}/comm").read_text().strip()
        except (OSError, ValueError):
            return None
        return int(pid) if name == "systemd" else None

    def await_scmd(self) -> None:
        """Until systemd says that scmd is there: it has said READY=1 itself."""
        eventually(lambda: self.init, "systemd")
        eventually(lambda: self.show("ActiveState") == "active", "scmd.service")

    def run(self, *arguments: str, status: int = 0) -> str:
        """A command inside, by root; its standard output."""
        done = self.attempt(*arguments)
        assert done.returncode == status, done
        return done.stdout

    def attempt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["nsenter", "--target", str(self.init), "--all", "--root", "--wd", "--", *arguments],
            env={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * LIMIT_S,
            check=False,
        )

    def show(self, name: str, unit: str = "scmd.service") -> str:
        """A property of a unit; "" when systemd does not answer yet."""
        return self.attempt("systemctl", "show", "--value", "-p", name, unit).stdout.strip()

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run("scmd", *arguments, "--json"))

    def service(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.json("sc", "queryex", name)
        return found

    def await_state(self, name: str, state: str) -> dict[str, Any]:
        def find() -> dict[str, Any] | None:
            found = self.service(name)
            return found if found["state"] == state else None

        return eventually(find, f"{name} to be {state}")

    def power_off(self) -> None:
        """As an administrator does it; returns when the machine is off."""
        self.attempt("systemctl", "poweroff")
        self.process.wait(2 * LIMIT_S)

    def close(self) -> None:
        """Pull the plug, if it is still on; nothing is left."""
        self.process.kill()
        self.process.wait()

        def removed() -> bool:
            for path, _, _ in os.walk(self.cgroup, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
            return not self.cgroup.exists()

        eventually(removed, "the end of its processes")


@contextlib.contextmanager
def booted(folder: Path, state: Path) -> Iterator[Booted]:
    machine = Booted(folder, state)
    try:
        machine.await_scmd()
        yield machine
    finally:
        machine.close()


def _version_2() -> Path:
    memberships = Path("/proc/self/cgroup").read_text()
    mounts = Path("/proc/self/mountinfo").read_text()
    return Path(cgroups.own_cgroups(memberships, mounts)[""])


def _shown() -> list[str]:
    """What scmd consists of on this machine: interpreter, environment and package."""
    package = Path(scmd.__file__).parent.parent
    places = {Path(sys.base_prefix), Path(sys.prefix), package}
    return sorted(str(place) for place in places if not place.is_relative_to("/usr"))
