"""What the keeper runs, with real processes: how it begins, and why it cannot."""

from __future__ import annotations

import json
import resource
import sys

import pytest

from scmd.core.messages import LaunchId
from scmd.vocabulary.errors import Error
from tests.daemon.world import SHELL, World


async def test_services_start_clean(world: World) -> None:
    script = """if 1:
        import os, signal, json
        channel = int(os.environ["SCMD_CONTROL_FD"])
        links = {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                 if os.path.exists(f"/proc/self/fd/{n}")}
        os.write(channel, json.dumps({
            "fds": links, "channel": str(channel), "sid": os.getsid(0), "pid": os.getpid(),
            "cwd": os.getcwd(), "env": dict(os.environ),
            "ignored": [n for n in signal.valid_signals() if n not in (13, 25)
                        and signal.getsignal(n) is signal.SIG_IGN],
            "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        }).encode())
    """
    manager = await world.start(SECRET="1", SCMD_LAUNCH="9", DISPLAY=":0")
    await manager.launch(1, sys.executable, "-I", "-S", "-c", script)
    found = json.loads(await manager.packet(1))
    fds = found["fds"]
    assert set(fds) == {"0", "1", "2", found["channel"]}
    assert fds["0"] == "/dev/null"
    assert fds["1"] == fds["2"]
    assert fds["1"].startswith("pipe:")
    assert found["sid"] == found["pid"]
    assert found["cwd"] == "/"
    assert found["ignored"] == []
    assert found["blocked"] == 0
    assert found["env"].pop("SCMD_LAUNCH").startswith("1:")
    assert found["env"].pop("SCMD_RUNTIME") == str(world.runtime)
    assert set(found["env"]) - {"LC_CTYPE"} == {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "SCMD_CONTROL_FD")
    }


async def test_what_the_spec_asks_for_is_applied(world: World) -> None:
    manager = await world.start()
    script = (
        'echo "$(pwd) $(umask) $(nice) $(ulimit -Sn) $(ulimit -Hn) $A $B '
        '$(grep Cpus_allowed_list /proc/self/status)" >&$SCMD_CONTROL_FD'
    )
    await manager.launch(
        1,
        SHELL,
        "-c",
        script,
        directory="/usr",
        umask=0o077,
        nice=5,
        affinity=(0,),
        limits=(("NOFILE", 256),),
        environment=(("A", "1"), ("PATH", "/bin:/usr/bin")),
        extra_environment=(("B", "ü"),),
    )
    words = (await manager.packet(1)).split()
    assert words == ["/usr", "0077", "5", "256", "256", "1", "ü", "Cpus_allowed_list:", "0"]


async def test_the_limit_on_open_files_is_ours_not_the_service_s(world: World) -> None:
    manager = await world.start()
    await manager.launch(1, SHELL, "-c", "ulimit -Sn >&$SCMD_CONTROL_FD")
    assert await manager.packet(1) == str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


@pytest.mark.parametrize(
    ("program", "options", "error"),
    [
        ("/bin/there-is-no-such-program", {}, Error.FILE_NOT_FOUND),
        ("/no-such-folder/program", {}, Error.PATH_NOT_FOUND),
        ("/etc/passwd/program", {}, Error.PATH_NOT_FOUND),
        ("relative", {}, Error.FILE_NOT_FOUND),
        ("/etc/passwd", {}, Error.ACCESS_DENIED),
        ("/usr", {}, Error.ACCESS_DENIED),
        ("SCRIPT", {}, Error.BAD_EXE_FORMAT),
        ("NO-INTERPRETER", {}, Error.FILE_NOT_FOUND),
        ("/bin/true", {"directory": "/no/such/folder"}, Error.DIRECTORY),
        ("/bin/true", {"directory": "/etc/passwd"}, Error.DIRECTORY),
        ("/bin/true", {"account": "no-such-user-here"}, Error.SERVICE_LOGON_FAILED),
        ("/bin/true", {"limits": (("NONSENSE", 1),)}, Error.INVALID_PARAMETER),
        ("/bin/true", {"limits": (("NOFILE", 1 << 62),)}, Error.ACCESS_DENIED),
        ("/bin/true", {"affinity": (4000,)}, Error.INVALID_PARAMETER),
        ("/bin/true", {"affinity": (-1,)}, Error.INVALID_PARAMETER),
        ("/bin/true", {"umask": 1 << 40}, Error.INVALID_PARAMETER),
        ("/bin/true", {"environment": (("", "x"),)}, Error.INVALID_PARAMETER),
        ("/bin/tr\0ue", {}, Error.INVALID_PARAMETER),
    ],
)
async def test_why_a_program_cannot_be_executed(
    world: World, program: str, options: dict[str, object], error: Error
) -> None:
    manager = await world.start()
    if not program.startswith("/") and program.isupper():
        made = world.state / program
        made.write_bytes(b"#!/no/such/interpreter\n" if program[0] == "N" else b"\x7fnonsense")
        made.chmod(0o755)
        program = str(made)
    failed = await manager.refusal(1, program, **options)
    assert failed.error is error, failed.detail
    assert failed.detail
    # The keeper goes on, and nothing is left behind for a new manager.
    await manager.launch(2, "/bin/true")
    assert (await manager.exit_of(2)).exit_code == 0


async def test_a_thousand_launches_queued_at_once(world: World) -> None:
    manager = await world.start()
    for number in range(1, 1001):
        manager.order(number, "/bin/true", control_channel=False)
    for number in range(1, 1001):
        assert (await manager.exit_of(number)).exit_code == 0
        manager.link.forget(LaunchId(number))
    assert await world.finish() == 0
