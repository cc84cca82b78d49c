"""What the collector can and cannot free: everything dies once it is closed and dropped."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
import weakref

import pytest
from support.protocols import BufferedRecorder, DatagramRecorder, Recorder
from support.sockets import silent_address, tcp_pair


def alive(references):
    gc.collect()
    return [reference() for reference in references if reference() is not None]


def test_a_closed_loop(loop_factory):
    loop = loop_factory()
    loop.run_until_complete(asyncio.sleep(0))
    reference = weakref.ref(loop)
    loop.close()
    del loop
    assert not alive([reference])


def test_a_loop_in_cycles(loop_factory):
    """Through handles, futures, tasks, handlers and its own attributes a loop refers to itself."""
    loop = loop_factory()
    loop.itself = loop
    loop.call_soon(lambda loop=loop: None)
    timer = loop.call_later(100, lambda loop=loop: None)
    future = loop.create_future()
    future.add_done_callback(lambda _, loop=loop: None)
    loop.set_exception_handler(lambda *args, loop=loop: None)
    loop.set_task_factory(lambda its, coro, keep=loop, **kw: asyncio.Task(coro, loop=its, **kw))
    references = [weakref.ref(loop), weakref.ref(future), weakref.ref(timer)]
    loop.close()
    del loop, future, timer
    assert not alive(references)


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_an_unclosed_loop_in_cycles(loop_factory):
    """Nobody closed it, and still the collector gets everything, descriptors included."""
    loop = loop_factory()
    loop.itself = loop
    loop.call_soon(lambda loop=loop: None)
    reference = weakref.ref(loop)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del loop
        assert not alive([reference])


def test_callbacks_in_cycles(loop):
    """A handle whose argument refers to the handle."""
    references = []
    for schedule in (loop.call_soon, lambda *args: loop.call_later(100, *args)):

        class Node:
            pass

        node = Node()
        node.handle = schedule(lambda node: None, node)
        references.append(weakref.ref(node))
        node.handle.cancel()
        del node
    assert not alive(references)


def test_futures_and_tasks_in_cycles(loop):
    async def waits(future):
        await future

    references = []
    for _ in range(50):
        future = loop.create_future()
        task = loop.create_task(waits(future))
        future.task = task
        task.add_done_callback(lambda t, future=future: None)
        references += [weakref.ref(future), weakref.ref(task)]
        loop.call_soon(loop.stop)
        loop.run_forever()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        del future, task
    assert not alive(references)


def test_exceptions_of_tasks(loop):
    """A kept exception refers to frames, and these to the task."""

    class Failure(Exception):
        pass

    async def fail():
        me = asyncio.current_task()
        assert me
        raise Failure

    references = []
    for _ in range(20):
        task = loop.create_task(fail())
        with pytest.raises(Failure):
            loop.run_until_complete(task)
        references += [weakref.ref(task), weakref.ref(task.exception())]
        del task
    assert not alive(references)


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
def test_fifty_connections(run, factory):
    """Of clients and of a server: transports, protocols and the server itself."""

    async def main():
        loop = asyncio.get_running_loop()
        served = []

        def make():
            served.append(factory())
            return served[-1]

        server = await loop.create_server(make, "127.0.0.1", 0)
        references = [weakref.ref(server)]
        for _ in range(50):
            transport, protocol = await loop.create_connection(
                factory, *server.sockets[0].getsockname()
            )
            transport.write(b"x")
            while not served:
                await asyncio.sleep(0)
            peer = served.pop()
            await peer.received(1)
            references += [
                weakref.ref(thing) for thing in (transport, protocol, peer, peer.transport)
            ]
            transport.close()
            await protocol.lost
            await peer.lost
        server.close()
        await server.wait_closed()
        del server, transport, protocol, peer
        await asyncio.sleep(0)
        assert not alive(references)

    run(main())


def test_connections_that_were_aborted_or_failed(run, reports):
    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    async def main():
        loop = asyncio.get_running_loop()
        references = []
        for number in range(20):
            near, far = tcp_pair()
            with near:
                transport, protocol = await loop.connect_accepted_socket(Broken, far)
                references += [weakref.ref(transport), weakref.ref(protocol)]
                if number % 2:
                    near.send(b"x")
                else:
                    transport.write(bytes(10_000_000))
                    transport.abort()
                await protocol.lost
        del transport, protocol
        await asyncio.sleep(0)
        reports.take()
        assert not alive(references)

    run(main())


def test_a_protocol_that_refers_to_everything(run):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, protocol = await loop.connect_accepted_socket(Recorder, far)
            protocol.everything = [transport, protocol, loop, protocol.data_received]
            transport.back = protocol
            references = [weakref.ref(transport), weakref.ref(protocol)]
            near.close()
            await protocol.lost
            del transport, protocol
            await asyncio.sleep(0)
            assert not alive(references)

    run(main())


def test_datagrams_and_pipes(run):
    import os

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            DatagramRecorder, local_addr=("127.0.0.1", 0)
        )
        references = [weakref.ref(transport), weakref.ref(protocol)]
        transport.close()
        await protocol.lost
        near, far = os.pipe()
        transport, protocol = await loop.connect_read_pipe(Recorder, os.fdopen(near, "rb", 0))
        references += [weakref.ref(transport), weakref.ref(protocol)]
        os.close(far)
        await protocol.lost
        del transport, protocol
        await asyncio.sleep(0)
        assert not alive(references)

    run(main())


def test_tls(run, certificates):
    async def main():
        loop = asyncio.get_running_loop()
        served = []

        def make():
            served.append(Recorder())
            return served[-1]

        async with await loop.create_server(
            make, "127.0.0.1", 0, ssl=certificates.server_context()
        ) as server:
            references = []
            for _ in range(5):
                transport, protocol = await loop.create_connection(
                    Recorder,
                    *server.sockets[0].getsockname(),
                    ssl=certificates.client_context(),
                    server_hostname="localhost",
                )
                references += [weakref.ref(transport), weakref.ref(protocol)]
                transport.close()
                await protocol.lost
                peer = served.pop()
                await peer.lost
                references.append(weakref.ref(peer))
            del transport, protocol, peer
            await asyncio.sleep(0)
            assert not alive(references)

    run(main())


def test_a_reader_that_was_never_removed(loop_factory):
    """Closing the loop lets the callback go."""

    class Node:
        pass

    loop = loop_factory()
    near, far = socket.socketpair()
    node = Node()
    reference = weakref.ref(node)
    loop.add_reader(far, lambda node=node: None)
    loop.close()
    near.close()
    far.close()
    del node
    assert not alive([reference])


def test_streams(run):
    async def main():
        references = []

        async def handle(reader, writer):
            references.extend([weakref.ref(reader), weakref.ref(writer)])
            writer.write(await reader.readline())
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            for _ in range(5):
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                references.extend([weakref.ref(reader), weakref.ref(writer)])
                writer.write(b"x\n")
                assert await reader.read() == b"x\n"
                writer.close()
                await writer.wait_closed()
            del reader, writer
            for _ in range(5):
                await asyncio.sleep(0)
            assert not alive(references)

    run(main())


def test_cancelled_connects(run):
    async def main():
        loop = asyncio.get_running_loop()
        references = []
        with silent_address() as address:
            for _ in range(20):

                class Factory:
                    def __call__(self):
                        raise AssertionError

                factory = Factory()
                references.append(weakref.ref(factory))
                task = asyncio.create_task(loop.create_connection(factory, *address))
                del factory
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            del task, Factory
            await asyncio.sleep(0)
            assert not alive(references)

    run(main())


def test_transports_that_were_left_open_warn(run):
    async def main():
        near, far = tcp_pair()
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(asyncio.Protocol, far)
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        return near

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        near = run(main())
        gc.collect()
    near.close()
    texts = [str(w.message) for w in caught if w.category is ResourceWarning]
    assert len([text for text in texts if "unclosed transport" in text]) == 2, texts
