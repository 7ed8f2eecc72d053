"""A pipe that smbd hands over, without sockets: who hears what, and when the stream is held."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from scmd.rpc import pdu
from scmd.transport.pipe_auth import PipePeer, encode_reply
from scmd.transport.pipe_server import Pipe
from scmd.transport.streams import StreamConnection
from tests.transport.test_pipe_auth import REQUEST


class Stream:
    """What is done to it, in order."""

    def __init__(self) -> None:
        self.done: list[object] = []
        self.congested = False

    def send(self, data: bytes) -> None:
        self.done.append(data)

    def hold(self, held: bool) -> None:
        self.done.append(held)

    def close(self) -> None:
        self.done.append("close")

    def abort(self) -> None:
        self.done.append("abort")

    def taken(self) -> list[object]:
        done, self.done = self.done, []
        return done


class Handler:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def received(self, data: bytes) -> None:
        self.heard.append(data)

    def resumed(self) -> None:
        self.heard.append("resumed")

    def lost(self) -> None:
        self.heard.append("lost")


class World:
    def __init__(self) -> None:
        self.stream = Stream()
        self.peers: list[PipePeer] = []
        self.refusals: list[str] = []
        self.pipe = Pipe(
            cast("StreamConnection", self.stream),
            lambda peer, pipe: self.peers.append(peer),
            self.refusals.append,
        )

    @property
    def deadline(self) -> asyncio.TimerHandle:
        return self.pipe._deadline


def message(data: bytes) -> bytes:
    return len(data).to_bytes(2, "little") + data


async def test_what_comes_before_the_answer_waits_for_it() -> None:
    world, handler = World(), Handler()
    for piece in (REQUEST[:3], REQUEST[3:10], REQUEST[10:-1]):
        world.pipe.received(piece)
        assert world.peers == []
        assert not any(world.stream.taken()), "there is more to read"
    assert not world.deadline.cancelled()
    world.pipe.received(REQUEST[-1:] + message(b"one") + message(b"two")[:1])
    [peer] = world.peers
    assert peer.account == "root"
    assert world.deadline.cancelled()
    assert world.stream.taken() == [True]
    world.pipe.received(message(b"two")[1:4])
    assert world.stream.taken() == [True]
    world.pipe.begin(handler)
    assert world.stream.taken() == [encode_reply(7), False]
    assert handler.heard == [b"one"]
    world.pipe.received(b"o" + message(b"three") + message(b""))
    assert handler.heard == [b"one", b"twothree"]
    world.pipe.resumed()
    world.pipe.lost()
    assert handler.heard[2:] == ["resumed", "lost"]
    assert world.pipe.is_lost


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 65535])
async def test_messages_come_whole_however_they_are_cut(size: int) -> None:
    world, handler = World(), Handler()
    world.pipe.received(REQUEST)
    world.pipe.begin(handler)
    data = message(bytes(size)) + message(b"end")
    for cut in {0, 1, 2, 3, size, size + 1, size + 2, size + 4, len(data)}:
        handler.heard.clear()
        world.pipe.received(data[:cut])
        world.pipe.received(data[cut:])
        heard = b"".join(part for part in handler.heard if isinstance(part, bytes))
        assert heard == bytes(size) + b"end"


@pytest.mark.parametrize("order", ["<", ">"])
async def test_each_pdu_is_a_message(order: str) -> None:
    world = World()
    one = pdu.encode(pdu.RESPONSE, pdu.WHOLE, order, 7, bytes(300))
    two = pdu.encode(pdu.FAULT, pdu.WHOLE, order, 7, b"")
    world.pipe.send(one + two)
    assert world.stream.taken() == [message(one) + message(two)]


async def test_who_is_not_served_is_told_and_nothing_more() -> None:
    world = World()
    world.pipe.received(REQUEST + message(b"one"))
    world.stream.taken()
    world.pipe.begin(None)
    assert world.stream.taken() == [encode_reply(7, 0xC0000022), "close"]
    world.pipe.resumed()
    world.pipe.lost()


async def test_what_is_not_understood_is_the_end_and_why_is_told() -> None:
    world = World()
    world.pipe.received(REQUEST[:8] + b"\x06\0\0\0\x06\0\0\0" + REQUEST[16:])
    assert world.stream.taken() == ["abort"]
    assert world.refusals == ["level 6 of named-pipe-auth is not understood"]
    assert world.peers == []
    world.pipe.lost()
    assert world.deadline.cancelled()
    assert world.pipe.is_lost


async def test_the_handler_holds_and_closes_what_carries_it() -> None:
    world = World()
    for held in (True, False):
        world.pipe.hold(held)
    world.pipe.close()
    assert world.stream.taken() == [True, False, "close"]
    world.stream.congested = True
    assert world.pipe.congested
    world.pipe.lost()
