"""The keeper with real processes: exits, its own life and the manager's deaths."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from scmd.core.messages import LaunchId, events
from scmd.daemon import keeper_messages as wire
from scmd.daemon.keeper import SHUTDOWN_DEATHS, run
from scmd.daemon.keeper_setup import CannotRun, take_lock
from scmd.daemon.keeper_signals import PASSED_ON
from tests.daemon.world import RUN, SHELL, World, gone


async def test_a_program_runs_and_its_exit_code_is_reported(world: World) -> None:
    manager = await world.start()
    started = await manager.launch(1, SHELL, "-c", "echo $$ >&$SCMD_CONTROL_FD; exit 7")
    assert await manager.packet(1) == str(started.process_id)
    assert await manager.exit_of(1) == events.ProcessExited(LaunchId(1), 7, None)


async def test_a_signal_is_an_exit_without_a_code(world: World) -> None:
    manager = await world.start()
    await manager.launch(1, SHELL, "-c", "kill -SEGV $$")
    assert await manager.exit_of(1) == events.ProcessExited(LaunchId(1), None, signal.SIGSEGV)


async def test_the_ready_line_names_directories_and_pid(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    manager.link.ready()
    assert await world.line() == (
        f"scmd: ready (state {world.state}, runtime {world.runtime}, pid {world.process.pid})"
    )
    assert manager.state.keeper_pid == world.process.pid
    assert manager.state.state == world.state
    assert manager.state.runtime == world.runtime
    assert await world.finish(3) == 3
    assert not (world.runtime / "scm.sock").exists()


async def test_exits_and_channels_are_kept_for_a_new_manager(world: World) -> None:
    first = await world.start()
    ended = await first.launch(1, SHELL, "-c", "exit 5")
    await first.exit_of(1)
    script = "echo early >&$SCMD_CONTROL_FD; read x <&$SCMD_CONTROL_FD; exit 6"
    alive = await first.launch(2, SHELL, "-c", script)
    await first.launch(3, SHELL, "-c", "exit 4", control_channel=False)
    await first.exit_of(3)
    first.link.forget(LaunchId(3))
    await first.launch(4, SHELL, "-c", "exit 0")  # Orders are obeyed in order.
    await first.exit_of(4)
    os.kill(first.pid, signal.SIGKILL)
    await first.wait_until_lost()

    second = await world.next_manager()
    assert [(found.launch, found.process_id) for found in second.state.launches][:2] == [
        (1, ended.process_id),
        (2, alive.process_id),
    ]
    assert [found.launch for found in second.state.launches] == [1, 2, 4]
    assert second.state.launches[1].name == "service 2"
    assert await second.exit_of(1) == events.ProcessExited(LaunchId(1), 5, None)
    assert await second.packet(2) == "early"
    second.channels[2].send(b"\n")
    assert (await second.exit_of(2)).exit_code == 6


async def test_the_listening_socket_outlives_the_manager(world: World) -> None:
    first = await world.start()
    client = await asyncio.open_unix_connection(world.runtime / "scm.sock")
    os.kill(first.pid, signal.SIGKILL)
    second = await world.next_manager()
    connection, _ = await asyncio.get_running_loop().sock_accept(second.state.listener)
    connection.close()
    client[1].close()
    await client[1].wait_closed()


async def test_a_manager_that_exits_for_its_configuration_ends_the_keeper(world: World) -> None:
    manager = await world.start()
    started = await manager.launch(1, "/bin/sleep", "1000")
    manager.exit(78)
    assert world.process is not None
    assert await world.process.wait() == 78
    await gone(started.process_id)


async def test_a_manager_that_crashes_is_started_again_later_and_later(world: World) -> None:
    manager = await world.start()
    manager.exit(1)
    assert "exit status 1; services go on; a new one in 0 s" in await world.line()
    second = await world.next_manager()
    os.kill(second.pid, signal.SIGKILL)
    assert "signal 9; services go on; a new one in 1 s" in await world.line()


async def test_a_logger_that_cannot_start_is_tried_less_and_less(world: World) -> None:
    world.options = ", logger=['/bin/false']"
    manager = await world.start()
    for delay in ("0", "0.1", "1"):
        line = await world.line()
        assert line == f"scmd: the logger ended: exit status 1; a new one in {delay} s"
    await manager.launch(1, SHELL, "-c", "exit 7")
    assert (await manager.exit_of(1)).exit_code == 7
    assert await world.finish() == 0


async def test_a_configuration_fault_later_does_not_cost_the_services(world: World) -> None:
    manager = await world.start()
    await manager.launch(1, "/bin/sleep", "1000")
    manager.link.ready()
    assert "ready" in await world.line()
    manager.exit(78)
    assert "exit status 78; services go on; a new one in 0 s" in await world.line()
    second = await world.next_manager()
    assert [launch.launch for launch in second.state.launches] == [1]
    assert await world.finish() == 0


async def test_a_replaced_manager_is_no_failure(world: World) -> None:
    manager = await world.start()
    for _ in range(3):
        manager.link.replace()
        manager.exit(0)
        assert "are replaced; services go on" in await world.line()
        manager = await world.next_manager()
    assert await world.finish() == 0


async def test_sigterm_asks_the_manager_and_waits_for_it(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    started = await manager.launch(1, "/bin/sleep", "1000")
    world.process.terminate()
    await manager.wait(lambda event: isinstance(event, events.Shutdown))
    assert await world.finish() == 0
    await gone(started.process_id)


async def test_a_shutdown_outlives_its_manager(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    started = await manager.launch(1, "/bin/sleep", "1000")
    world.process.terminate()
    for _ in range(SHUTDOWN_DEATHS):
        await manager.wait(lambda event: isinstance(event, events.Shutdown))
        os.kill(manager.pid, signal.SIGKILL)
        assert "signal 9; a new one goes on with the shutdown" in await world.line()
        manager = await world.next_manager()
        assert [launch.launch for launch in manager.state.launches] == [1]
    assert await world.finish(5) == 5
    await gone(started.process_id)


async def test_managers_that_die_and_die_in_a_shutdown_are_given_up(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    started = await manager.launch(1, "/bin/sleep", "1000")
    world.process.terminate()
    await manager.wait(lambda event: isinstance(event, events.Shutdown))
    for _ in range(SHUTDOWN_DEATHS):
        manager.exit(1)
        assert "goes on with the shutdown" in await world.line()
        manager = await world.next_manager()
    manager.exit(1)
    assert "the manager ended before its services did" in await world.line()
    assert await world.process.wait() == 1
    await gone(started.process_id)


async def test_a_manager_that_cannot_be_started_holds_up_no_shutdown(world: World) -> None:
    """As where what runs has taken every process that there may be."""
    python = world.state.parent / "python"
    python.symlink_to(sys.executable)
    world.manager_is(str(python))
    manager = await world.start()
    assert world.process is not None
    started = await manager.launch(1, "/bin/sleep", "1000")
    python.unlink()
    manager.exit(1)
    assert "a new one in 0 s" in await world.line()
    assert "cannot start the manager" in await world.line()
    world.process.terminate()
    assert await world.process.wait() == 1
    await gone(started.process_id)


async def test_a_signal_that_means_nothing_does_nothing(world: World) -> None:
    """By default SIGUSR1 and many others would end the keeper, and leave its services to nobody."""
    manager = await world.start()
    assert world.process is not None
    for number in PASSED_ON - {signal.SIGHUP, signal.SIGQUIT}:
        world.process.send_signal(number)
    started = await manager.launch(1, "/bin/sleep", "1000")
    world.process.send_signal(signal.SIGQUIT)
    await manager.wait(lambda event: isinstance(event, events.Shutdown))
    assert await world.finish(5) == 5
    await gone(started.process_id)


async def test_two_signals_at_once_are_one_request(world: World) -> None:
    """As timeout(1) sends them."""
    manager = await world.start()
    assert world.process is not None
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        world.process.send_signal(number)
    await manager.wait(lambda event: isinstance(event, events.Shutdown))
    assert await world.finish(5) == 5


async def test_sigterm_between_two_managers_is_for_the_next_one(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    started = await manager.launch(1, "/bin/sleep", "1000")
    manager.exit(1)
    second = await world.next_manager()
    os.kill(second.pid, signal.SIGKILL)
    await world.line()
    assert "a new one in 1 s" in await world.line()
    world.process.terminate()
    third = await world.next_manager()
    await third.wait(lambda event: isinstance(event, events.Shutdown))
    assert await world.finish(7) == 7
    await gone(started.process_id)


async def test_sigterm_to_a_keeper_whose_manager_is_about_to_end_is_for_the_next_one(
    world: World,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = str(world.state.parent / "notify")
        systemd.bind(address)
        systemd.setblocking(False)
        manager = await world.start(NOTIFY_SOCKET=address)
        assert world.process is not None
        started = await manager.launch(1, "/bin/sleep", "1000")
        manager.link._send(wire.Shutdown())
        await manager.wait_until_lost()
        world.process.terminate()
        assert await asyncio.get_running_loop().sock_recv(systemd, 100) == b"STOPPING=1"
    manager.exit()
    second = await world.next_manager()
    await second.wait(lambda event: isinstance(event, events.Shutdown))
    assert await world.finish(3) == 3
    await gone(started.process_id)


async def test_a_second_request_does_not_wait(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    await manager.launch(1, "/bin/sleep", "1000")
    world.process.send_signal(signal.SIGINT)
    await manager.wait(lambda event: isinstance(event, events.Shutdown))
    said = asyncio.create_task(world.line())
    while not said.done():
        # What comes within a second of the first counts as that one.
        world.process.send_signal(signal.SIGINT)
        await asyncio.wait([said], timeout=0.1)
    assert "not waiting for services any longer" in said.result()
    assert await world.process.wait() == 1


async def test_one_keeper_per_state_directory(world: World) -> None:
    await world.start()
    assert world.process is not None
    second = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN.format(f"{str(world.state)!r}, {str(world.runtime / 'other')!r}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await second.communicate()
    assert second.returncode == 1
    assert f"pid {world.process.pid}" in errors.decode()


async def test_a_runtime_directory_in_use_is_refused(world: World) -> None:
    await world.start()
    second = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN.format(f"{str(world.state / 'other')!r}, {str(world.runtime)!r}"),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await second.communicate()
    assert second.returncode == 1
    assert "another SCM serves" in errors.decode()


def test_a_directory_that_others_may_change_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert run(tmp_path / "open", tmp_path / "run") == 1
    assert "can be changed by others" in capfd.readouterr().err


async def test_a_killed_keeper_s_services_end_before_the_next_one_starts(world: World) -> None:
    manager = await world.start()
    assert world.process is not None
    started = await manager.launch(1, SHELL, "-c", "setsid sleep 1000 & wait")
    world.process.kill()
    await manager.wait_until_lost()
    manager.close()
    await world.process.communicate()
    await world.start()
    await gone(started.process_id)
    assert "killed what an earlier keeper had left" in await world.line()


async def test_systemd_is_told(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = str(world.state.parent / "notify")
        systemd.bind(address)
        systemd.setblocking(False)
        manager = await world.start(NOTIFY_SOCKET=address)
        loop = asyncio.get_running_loop()
        manager.link.ready()
        assert await loop.sock_recv(systemd, 100) == b"READY=1"
        assert world.process is not None
        world.process.terminate()
        assert await loop.sock_recv(systemd, 100) == b"STOPPING=1"


async def test_nonsense_from_the_manager_costs_it_its_connection(world: World) -> None:
    manager = await world.start()
    manager.link._send(wire.Shutdown())
    assert "the manager is malformed: Shutdown" in await world.line()
    await manager.wait_until_lost()
    manager.exit()
    assert "services go on" in await world.line()
    await world.next_manager()


def test_a_lock_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes, offset: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock = tmp_path / "lock"
    with pytest.raises(CannotRun, match=f"^cannot write {lock}: No space left on device$"):
        take_lock(str(tmp_path))
