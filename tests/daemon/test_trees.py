"""The end of a launch is the end of everything it started."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from scmd.core.messages import LaunchId
from scmd.linux import cgroups
from tests.daemon.world import SHELL, World, gone

# A child, a grandchild in a session of its own, and a daemon that forked twice; each reports.
FAMILY = """
sleep 1000 & echo $! >&$SCMD_CONTROL_FD
setsid sleep 1001 & echo $! >&$SCMD_CONTROL_FD
(setsid sh -c 'sleep 1002 & echo $! >&$SCMD_CONTROL_FD' &)
"""
ESCAPING = (
    "(env -i SCMD_CONTROL_FD=$SCMD_CONTROL_FD "
    "setsid sh -c 'echo $$ >&$SCMD_CONTROL_FD; exec sleep 1000' &)"
)
FORGETFUL = "(env -i SCMD_CONTROL_FD=$SCMD_CONTROL_FD sh -c 'echo $$ >&$SCMD_CONTROL_FD; {}' &)"


needs_cgroups = pytest.mark.skipif(
    not cgroups.find("test").available, reason="no cgroup can be made here"
)


@pytest.fixture(params=[True, False], ids=["cgroups", "no cgroups"])
def world(request: pytest.FixtureRequest, world: World) -> World:
    """Twice, since what a host lacks must not be missed."""
    world.cgroups = request.param
    return world


async def family(world: World, after: str) -> tuple[int, list[int]]:
    manager = await world.start()
    started = await manager.launch(1, SHELL, "-c", FAMILY + after)
    return started.process_id, [int(await manager.packet(1)) for _ in range(3)]


async def test_kill_reaches_the_whole_tree(world: World) -> None:
    pid, others = await family(world, "wait; sleep 1000")
    manager = world.managers[0]
    manager.link.kill(LaunchId(1))
    assert (await manager.exit_of(1)).signal == signal.SIGKILL
    for process in (pid, *others):
        await gone(process)


async def test_forget_ends_what_a_dead_process_left(world: World) -> None:
    _, others = await family(world, "exit 0")
    manager = world.managers[0]
    await manager.exit_of(1)
    manager.link.forget(LaunchId(1))
    for process in others:
        await gone(process)


async def test_a_launch_that_is_forgotten_alive_is_killed(world: World) -> None:
    pid, others = await family(world, "wait")
    manager = world.managers[0]
    manager.link.forget(LaunchId(1))
    for process in (pid, *others):
        await gone(process)


async def test_a_tree_that_is_kept_outlives_its_launch(world: World) -> None:
    manager = await world.start()
    script = "(setsid sh -c 'echo $$ >&$SCMD_CONTROL_FD; exec sleep 1000' &)"
    await manager.launch(1, SHELL, "-c", script)
    kept = int(await manager.packet(1))
    await manager.exit_of(1)
    manager.link.forget(LaunchId(1), keep_tree=True)
    await manager.launch(2, "/bin/true")
    await manager.exit_of(2)
    manager.link.forget(LaunchId(2))
    await manager.refusal(3, "/no")  # All orders before this one have been obeyed.
    os.kill(kept, 0)
    assert await world.finish() == 0
    os.kill(kept, signal.SIGKILL)
    await gone(kept)


async def test_a_tree_signal_reaches_all_and_no_other_launch(world: World) -> None:
    _, others = await family(world, "wait; sleep 1000")
    manager = world.managers[0]
    other = await manager.launch(2, "/bin/sleep", "1000")
    manager.link.signal(LaunchId(1), signal.SIGTERM, tree=True)
    assert (await manager.exit_of(1)).signal == signal.SIGTERM
    for process in others:
        await gone(process)
    manager.link.signal(LaunchId(2), signal.SIGUSR1)
    assert (await manager.exit_of(2)).signal == signal.SIGUSR1
    assert other.process_id not in others


async def is_found(world: World, daemon: str) -> None:
    """What the shell's command leaves behind ends with the launch."""
    manager = await world.start()
    await manager.launch(1, SHELL, "-c", f"{daemon}; exit 0")
    left = int(await manager.packet(1))
    await manager.exit_of(1)
    manager.link.forget(LaunchId(1))
    await gone(left)


async def test_a_daemon_without_its_environment_is_known_by_its_session(world: World) -> None:
    await is_found(world, FORGETFUL.format("sleep 1000"))


@needs_cgroups
@pytest.mark.parametrize("world", [True], indirect=True)
async def test_a_daemon_that_left_everything_behind_is_in_its_cgroup(world: World) -> None:
    await is_found(world, ESCAPING)


@needs_cgroups
@pytest.mark.parametrize("world", [True], indirect=True)
async def test_a_tree_signal_reaches_a_daemon_that_left_everything_behind(world: World) -> None:
    manager = await world.start()
    await manager.launch(1, SHELL, "-c", ESCAPING + "; sleep 1000")
    daemon = int(await manager.packet(1))
    manager.link.signal(LaunchId(1), signal.SIGTERM, tree=True)
    await gone(daemon)


@needs_cgroups
@pytest.mark.parametrize("world", [True], indirect=True)
async def test_a_new_keeper_kills_what_a_killed_one_left_in_cgroups(world: World) -> None:
    manager = await world.start()
    await manager.launch(1, SHELL, "-c", ESCAPING + "; exit 0")
    daemon = int(await manager.packet(1))
    assert world.process is not None
    world.process.kill()
    await manager.wait_until_lost()
    manager.close()
    await world.process.communicate()
    await world.start()
    await gone(daemon)


async def test_a_fork_storm_is_ended(world: World) -> None:
    # Everyone forks a successor and goes; every second one stays. It ends by itself, too, so
    # that a failure does not take the machine along.
    storm = """if 1:
        import os, time
        channel = int(os.environ["SCMD_CONTROL_FD"])
        for _ in range(2):
            if os.fork() == 0:
                os.setsid()
                for step in range(300):
                    if step % 2 == 0 and os.fork() == 0:
                        time.sleep(1000)
                    if os.fork():
                        os._exit(0)
                    if step == 10:
                        os.write(channel, b"storm")
                os.write(channel, b"survived")
                os._exit(0)
        time.sleep(1000)
    """
    manager = await world.start()
    await manager.launch(1, sys.executable, "-I", "-S", "-c", storm)
    assert await manager.packet(1) == "storm"
    manager.link.kill(LaunchId(1))
    await manager.exit_of(1)
    # The channel ends when the last of them is gone: each has a copy of the other end.
    while await manager.packet(1):
        pass


async def test_a_stopped_process_is_killed_too(world: World) -> None:
    manager = await world.start()
    started = await manager.launch(1, "/bin/sleep", "1000")
    os.kill(started.process_id, signal.SIGSTOP)
    manager.link.kill(LaunchId(1))
    assert (await manager.exit_of(1)).signal == signal.SIGKILL


async def test_numbers_that_mean_nothing_are_ignored(world: World) -> None:
    manager = await world.start()
    manager.link.kill(LaunchId(99))
    manager.link.forget(LaunchId(99))
    manager.link.signal(LaunchId(99), signal.SIGTERM, tree=True)
    await manager.launch(1, "/bin/sleep", "1000")
    manager.link.signal(LaunchId(1), 4000)
    manager.link.signal(LaunchId(1), signal.SIGTERM)
    assert (await manager.exit_of(1)).signal == signal.SIGTERM
    failed = await manager.refusal(1, "/bin/true")
    assert "exists" in failed.detail


@pytest.mark.root
@pytest.mark.root
@pytest.mark.parametrize("limits", [(), (("CORE", 0),)])
@pytest.mark.parametrize("account", ["nobody", "NT AUTHORITY\\LocalService", ".\\nobody"])
async def test_another_account(
    world: World, account: str, limits: tuple[tuple[str, int], ...]
) -> None:
    manager = await world.start()
    script = (
        'echo "$(id -u) $(id -G) $USER $HOME" >&$SCMD_CONTROL_FD; '
        "test -w /etc/passwd || test -S $SCMD_RUNTIME/scm.sock && exit 3"
    )
    await manager.launch(1, SHELL, "-c", script, account=account, limits=limits)
    uid, *groups, user, home = (await manager.packet(1)).split()
    assert uid != "0"
    assert "0" not in groups
    assert user == "nobody"
    assert home != str(Path.home())
    assert (await manager.exit_of(1)).exit_code == 3


@pytest.mark.root
@pytest.mark.root
async def test_the_program_must_be_executable_for_the_account(world: World) -> None:
    manager = await world.start()
    program = world.state / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    failed = await manager.refusal(1, str(program), account="nobody")
    assert failed.error == 5
