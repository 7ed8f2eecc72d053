"""ssh://HOST: a real sshd, the real ssh, and `scmd rpc-stdio` at the other end."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scmd.client.scm import connect
from scmd.vocabulary.winerror import WinError
from tests.conftest import PROGRAM_PATH
from tests.free_ports import free_port
from tests.system.installation import command
from tests.system.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.peers("sshd", "ssh")]


@contextmanager
def sshd(folder: Path, environment: dict[str, str]) -> Iterator[int]:
    """Its port; who logs in has this environment. Keys, configuration and files are its own."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
        )
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/user.pub\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f"SetEnv {' '.join(f'{name}={value}' for name, value in environment.items())}\n"
    )
    known = (folder / "host.pub").read_text().rsplit(maxsplit=1)[0]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {known}\n")
    (folder / "ssh_config").write_text(
        f"UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile none\n"
        f"StrictHostKeyChecking yes\nIdentitiesOnly yes\nIdentityFile {folder}/user\n"
        "ControlPath none\nLogLevel ERROR\n"
    )
    program = shutil.which("sshd", path=PROGRAM_PATH)
    assert program is not None
    server = subprocess.Popen(
        [program, "-D", "-e", "-f", config],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert server.stderr is not None
    with server.stderr:
        try:
            assert any("Server listening" in line for line in server.stderr)
            yield port
        finally:
            server.terminate()
            print(server.stderr.read())
            server.wait()


@pytest.fixture
def remote(machine: Machine) -> Iterator[int]:
    """The port of an sshd whose users find the machine's SCM."""
    environment = {
        "SCMD_RUNTIME": str(machine.runtime),
        "PATH": f"{Path(command()[0]).parent}:{os.environ['PATH']}",
    }
    with sshd(machine.folder, environment) as port:
        yield port


def test_every_command_works_through_ssh(machine: Machine, remote: int) -> None:
    far = f"ssh://root@127.0.0.1:{remote}"
    ssh = f"SCMD_SSH=ssh -F {machine.folder}/ssh_config"
    # The client's own machine has no SCM.
    here = ("env", "SCMD_RUNTIME=/nonexistent", ssh, *command())

    def run(*arguments: str) -> str:
        done = machine.run(*here, *arguments)
        assert done.returncode == 0, done
        return done.stdout

    run("install", far, "Sleeper", "--dir", "/", "--", "/bin/sleep", "1000")
    assert machine.json("get", "Sleeper")["Application"] == "/bin/sleep"
    run("sc", far, "start", "Sleeper")
    machine.await_state("Sleeper", "RUNNING")
    assert "RUNNING" in run("sc", far, "query", "Sleeper")
    assert "stopped successfully" in run("net", far, "stop", "Sleeper")
    assert '"manager_pid"' in run("status", far, "--json")
    run("logs", far, "Sleeper")
    relative = machine.run(*here, "install", far, "Other", "--", "sleep", "1")
    assert (relative.returncode, "absolute path" in relative.stderr) == (1, True)


def test_who_calls_is_who_logged_in(
    machine: Machine, remote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCMD_SSH", f"ssh -F {machine.folder}/ssh_config")
    machine.install("Sleeper", "sleep", "1000")
    with connect(f"ssh://root@127.0.0.1:{remote}") as far:
        far["Sleeper"].start(wait=True)
        far["Sleeper"].stop(wait=True)
    transitions = machine.json("history", "Sleeper")
    assert transitions[-1]["actor"] == "root"


def test_a_login_that_fails_is_told(
    machine: Machine, remote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCMD_SSH", f"ssh -F {machine.folder}/ssh_config -o IdentityFile=none")
    (machine.folder / "user").unlink()
    with pytest.raises(WinError, match="could not log in") as caught:
        connect(f"ssh://root@127.0.0.1:{remote}")
    assert caught.value.winerror == 1722


def test_no_scm_at_the_other_end_is_told(
    machine: Machine, remote: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.stop()
    monkeypatch.setenv("SCMD_SSH", f"ssh -F {machine.folder}/ssh_config")
    with pytest.raises(WinError, match=r"rpc-stdio` .* ended with status 1"):
        connect(f"ssh://root@127.0.0.1:{remote}")


def test_a_start_up_file_that_prints_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for words in ("hi", "Welcome", "Welcome to this machine"):
        monkeypatch.setenv("SCMD_SSH", f"sh -c 'echo {words}; exec cat'")
        with pytest.raises(WinError, match=r"not a DCE/RPC 5\.0 PDU") as caught:
            connect("ssh://anywhere")
        assert caught.value.winerror == 1722
