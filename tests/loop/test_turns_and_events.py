"""How many turns an event takes that is there already.

Programs, and tests above all, give what they sent a few turns to arrive: `await asyncio.sleep(0)`,
twice or ten times, and then they look. A loop that does not look at its descriptors in each turn
must not make them wait for longer than asyncio does.
"""

from __future__ import annotations

import asyncio
import socket

import pytest
from support.sockets import tcp_pair

# A turn finds the event, the next one runs its callback. asyncio needs as many.
TURNS = 2


async def turns_until(happened) -> int:
    for turn in range(1000):
        if happened():
            return turn
        await asyncio.sleep(0)
    raise AssertionError("never happened")


async def spin(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


class Receiver(asyncio.Protocol):
    def __init__(self):
        self.received = bytearray()
        self.ended = False

    def data_received(self, data):
        self.received += data

    def eof_received(self):
        self.ended = True
        return False


@pytest.mark.parametrize("busy", [0, 10, 1000])
@pytest.mark.parametrize("how", ["write", "write_eof", "close"])
def test_what_a_transport_sends(run, how, busy):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        sender, _ = await loop.create_connection(Receiver, sock=near)
        _, receiver = await loop.create_connection(Receiver, sock=far)
        await spin(busy)
        if how == "write":
            sender.write(b"x")
            turns = await turns_until(lambda: receiver.received)
        elif how == "write_eof":
            sender.write_eof()
            turns = await turns_until(lambda: receiver.ended)
        else:
            sender.close()
            turns = await turns_until(lambda: receiver.ended)
        sender.abort()
        return turns

    # Closing takes one more: the descriptor is closed by a callback.
    assert run(main()) <= TURNS + (how == "close")


@pytest.mark.parametrize("busy", [0, 10, 1000])
@pytest.mark.parametrize("side", ["reader", "writer"])
def test_a_descriptor_that_is_ready_when_it_is_first_watched(run, side, busy):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        far.send(b"x")
        await spin(busy)
        called = []
        getattr(loop, f"add_{side}")(near, called.append, None)
        turns = await turns_until(lambda: called)
        getattr(loop, f"remove_{side}")(near)
        near.close()
        far.close()
        return turns

    assert run(main()) <= TURNS


@pytest.mark.parametrize("busy", [0, 10])
def test_what_came_without_the_loop(run, busy):
    """A program that has just begun to be busy is looked after in each turn."""

    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        called = []
        loop.add_reader(near, called.append, None)
        await spin(busy)
        far.send(b"x")
        turns = await turns_until(lambda: called)
        loop.remove_reader(near)
        near.close()
        far.close()
        return turns

    assert run(main()) <= TURNS
