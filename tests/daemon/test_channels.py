"""Control channels: the end of a process is no complaint."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from scmd.control_pipe import packets
from scmd.core.messages import LaunchId
from scmd.core.messages.events import ChannelClosed, Event
from scmd.daemon.channels import Channels


@pytest.mark.parametrize("has_read", [False, True])
async def test_the_end_of_a_process_is_told_and_nothing_complained_of(
    caplog: pytest.LogCaptureFixture, has_read: bool
) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    told: asyncio.Queue[Event] = asyncio.Queue()
    channels = Channels(told.put_nowait, lambda launch, report: None)
    channels.open(LaunchId(7), ours)
    with caplog.at_level(logging.WARNING):
        channels.send(LaunchId(7), packets.Control(service=1, control=1, code=1))
        if has_read:
            theirs.recv(1000)
        theirs.close()
        async with asyncio.timeout(30):
            assert await told.get() == ChannelClosed(LaunchId(7))
    assert not caplog.records
