"""A line of output that the manager waits for: the logger sees it, the keeper passes it on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from scmd.core.messages import LaunchId
from scmd.core.messages.events import Event, LineSeen
from tests.daemon.world import SHELL, World


def is_seen(number: int, event: Event) -> bool:
    return event == LineSeen(LaunchId(number))


async def test_it_is_told_once_and_to_each_new_manager(world: World) -> None:
    first = await world.start()
    script = "echo getting ready; echo 'now ready.'; echo ready ready; exec sleep 1000"
    await first.launch(1, SHELL, "-c", script, awaited_line="ready.")
    await first.launch(2, SHELL, "-c", "echo not yet; exec sleep 1000", awaited_line="ready.")
    await first.wait(lambda event: is_seen(1, event))
    os.kill(first.pid, signal.SIGKILL)
    await first.wait_until_lost()
    second = await world.next_manager()
    await second.wait(lambda event: is_seen(1, event))
    await second.launch(3, SHELL, "-c", "echo ready.", awaited_line="ready.")
    await second.wait(lambda event: is_seen(3, event))
    assert [event for event in second.events if isinstance(event, LineSeen)] == [
        LineSeen(LaunchId(1)),
        LineSeen(LaunchId(3)),
    ]


async def test_it_may_come_in_pieces_and_end_without_a_line_end(world: World) -> None:
    manager = await world.start()
    script = "printf 're'; read x <{0}; printf 'ady'; exec 1>&- 2>&-; exec sleep 1000"
    fifo = Path(world.state).parent / "fifo"
    os.mkfifo(fifo)
    await manager.launch(1, SHELL, "-c", script.format(fifo), awaited_line="ready")
    fifo.write_text("\n")
    await manager.wait(lambda event: is_seen(1, event))
