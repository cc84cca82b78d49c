"""Thousands of cancelled connects, closes and pipes: no byte reaches a wrong connection."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading

import pytest
from support.reports import Reports
from support.turmoil import Deliberate, Mixed, Turmoil


def only_deliberate(contexts):
    """Fail if the loop reported anything that was not done to it on purpose."""
    others = [
        context
        for context in contexts
        if not isinstance(context.get("exception"), (Deliberate, OSError))
    ]
    assert not others, others


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_turmoil(run, certificates, reports, seed):
    async def main():
        async with Turmoil(seed, certificates, failures=0.02) as turmoil:
            await turmoil.run(1000, 30)
        assert sum(turmoil.done.values()) > 300, turmoil.done
        assert sum(turmoil.disturbed.values()) > 50, turmoil.disturbed

    run(main())
    only_deliberate(reports.take())


def test_two_loops_share_the_descriptors(loop_factory, certificates):
    """What one thread closes the other gets as its next number."""
    errors = []

    async def main(seed):
        async with Turmoil(seed, certificates) as turmoil:
            await turmoil.run(500, 20)

    def work(seed):
        reports = Reports()
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.get_loop().set_exception_handler(reports)
                runner.run(main(seed))
            only_deliberate(reports.take())
        except BaseException as exc:
            errors.append(exc)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_cancelled_connects_and_plain_sockets(run):
    """After each cancelled connect the number is taken by a socket pair that must stay whole."""

    async def main():
        loop = asyncio.get_running_loop()
        generator = random.Random(5)

        async with await loop.create_server(
            asyncio.Protocol, "127.0.0.1", 0, backlog=500
        ) as server:
            address = server.sockets[0].getsockname()
            for number in range(1000):
                task = asyncio.create_task(loop.create_connection(asyncio.Protocol, *address))
                for _ in range(generator.randrange(5)):
                    await asyncio.sleep(0)
                task.cancel()
                near, far = socket.socketpair()
                with near, far:
                    try:
                        transport, _ = await task
                        transport.abort()
                    except asyncio.CancelledError:
                        pass
                    token = b"%d" % number
                    near.send(token)
                    await asyncio.sleep(0)
                    if far.recv(100) != token:
                        raise Mixed
            if hasattr(server, "abort_clients"):
                server.abort_clients()
            else:
                await asyncio.sleep(0.05)

    run(main())


def test_a_closed_transport_never_touches_its_number_again(run):
    """write, close and abort after the end, while the number belongs to somebody else."""

    async def main():
        loop = asyncio.get_running_loop()
        old = []
        for _ in range(300):
            near, far = socket.socketpair()
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far)
            number = transport.get_extra_info("socket").fileno()
            transport.abort()
            near.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            old.append((number, transport))
        pipes = [os.pipe() for _ in range(20)]
        numbers = {number for pipe in pipes for number in pipe}
        assert numbers & {number for number, _ in old}
        for _, transport in old:
            transport.write(b"stray bytes")
            transport.pause_reading()
            transport.resume_reading()
            transport.abort()
            transport.close()
        for _ in range(5):
            await asyncio.sleep(0)
        for near, far in pipes:
            os.write(far, b"own")
            assert os.read(near, 100) == b"own"
            os.close(near)
            os.close(far)

    run(main())


def test_four_hundred_connections_at_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        lost = []

        class Echo(asyncio.Protocol):
            def connection_made(self, transport):
                self.transport = transport
                self.lost = loop.create_future()
                lost.append(self.lost)

            def data_received(self, data):
                self.transport.write(data)

            def connection_lost(self, exc):
                self.lost.set_result(None)

        async with await loop.create_server(Echo, "127.0.0.1", 0, backlog=2000) as server:
            address = server.sockets[0].getsockname()
            streams = []
            for _ in range(4):
                streams += await asyncio.gather(
                    *(asyncio.open_connection(*address) for _ in range(100))
                )
            for turn in range(3):
                for number, (_, writer) in enumerate(streams):
                    writer.write(b"%04d:%d" % (number, turn))
                for number, (reader, _) in enumerate(streams):
                    assert await reader.readexactly(6) == b"%04d:%d" % (number, turn)
            for _, writer in streams:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for _, writer in streams), *lost)

    run(main())


def test_reset_in_the_middle_of_everything(run):
    """Peers that reset while bytes are under way in both directions."""
    import struct

    async def main():
        loop = asyncio.get_running_loop()
        generator = random.Random(7)
        open_ones = 0
        finished = asyncio.Event()

        class Noisy(asyncio.Protocol):
            def connection_made(self, transport):
                nonlocal open_ones
                open_ones += 1
                self.transport = transport
                transport.write(bytes(500_000))

            def data_received(self, data):
                self.transport.write(data)

            def connection_lost(self, exc):
                nonlocal open_ones
                open_ones -= 1
                finished.set()

        async with await loop.create_server(Noisy, "127.0.0.1", 0, backlog=500) as server:
            for _ in range(300):
                sock = socket.socket()
                sock.setblocking(False)
                await loop.sock_connect(sock, server.sockets[0].getsockname())
                if generator.random() < 0.5:
                    await loop.sock_sendall(sock, bytes(1000))
                if generator.random() < 0.5:
                    await loop.sock_recv(sock, 1000)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            while open_ones:
                finished.clear()
                await finished.wait()

    run(main())
