"""Native memory under conditions that a native implementation gets wrong first."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest
from support.script import run_script

import vivace

variable: contextvars.ContextVar[object] = contextvars.ContextVar("variable")


def test_a_long_chain_of_futures_goes_without_recursion() -> None:
    """Each holds the next one as its result; dropping the head drops them all."""
    loop = vivace.new_event_loop()
    last = None
    for _ in range(300_000):
        future = loop.create_future()
        future.set_result(last)
        last = future
    witness = weakref.ref(last)
    del last, future
    assert witness() is None
    loop.close()


def test_a_subclass_that_its_own_instance_refers_to_is_collected() -> None:
    """Such a cycle goes through the type, which on CPython 3.11 the base does not show."""
    loop = vivace.new_event_loop()

    class Future(vivace.Future):
        instance: vivace.Future

    Future.instance = Future(loop=loop)
    witness = weakref.ref(Future)
    del Future
    gc.collect()
    assert witness() is None
    loop.close()


def test_an_await_inside_a_finalizer_leaves_the_outer_one_its_value() -> None:
    """Giving an await its value lets go of the last one's, whose `__del__` may await too."""
    loop = vivace.new_event_loop()

    def resolved(value: object) -> vivace.Future:
        future = loop.create_future()
        future.set_result(value)
        return future

    class AwaitsAtTheEnd:
        def __del__(self) -> None:
            async def inner() -> object:
                return await resolved("inner")

            try:
                inner().send(None)
            except StopIteration as stop:
                assert stop.value == "inner"

    async def outer() -> object:
        await resolved(AwaitsAtTheEnd())
        return await resolved("outer")

    assert loop.run_until_complete(outer()) == "outer"
    loop.close()


def test_the_value_of_an_await_is_not_kept_beyond_its_step() -> None:
    loop = vivace.new_event_loop()

    class Value:
        pass

    async def use() -> weakref.ref[Value]:
        future = loop.create_future()
        future.set_result(Value())
        value = await future
        return weakref.ref(value)

    assert loop.run_until_complete(use())() is None
    loop.close()


def test_a_view_of_lent_memory_that_is_kept(tmp_path, certificates) -> None:
    """What the engine is lent for one call stays alive for who keeps it; the connection ends."""
    run_script(
        tmp_path,
        "import vivace",
        """
        import asyncio, gc, ssl, sys

        kept = []

        class Keeping:
            def __init__(self):
                self.real = RealBIO()
            def write(self, data):
                kept.append(memoryview(data))
                return self.real.write(bytes(data))
            def __getattr__(self, name):
                return getattr(self.real, name)

        class Context(ssl.SSLContext):
            def wrap_bio(self, incoming, outgoing, *args, **options):
                return super().wrap_bio(incoming.real, outgoing.real, *args, **options)

        RealBIO, ssl.MemoryBIO = ssl.MemoryBIO, Keeping
        authority, certificate = sys.argv[1:]

        async def main():
            loop = asyncio.get_running_loop()
            failures = []
            loop.set_exception_handler(lambda loop, report: failures.append(report["exception"]))
            server_context = Context(ssl.PROTOCOL_TLS_SERVER)
            server_context.load_cert_chain(certificate)
            context = Context(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(authority)
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=server_context)
            for _ in range(3):
                try:
                    await loop.create_connection(
                        asyncio.Protocol,
                        *server.sockets[0].getsockname(),
                        ssl=context,
                        server_hostname="localhost",
                    )
                except (ConnectionError, BufferError):
                    pass
                else:
                    raise AssertionError("connected")
            server.close()
            assert any(isinstance(failure, BufferError) for failure in failures), failures
            return failures

        loop = vivace.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        gc.collect()
        # The first bytes of each are a client's hello.
        assert kept and all(view[0] == 0x16 for view in kept), [view[:3].tobytes() for view in kept]
        del kept[:]
        gc.collect()
        print("alive")
        """,
        str(certificates.authority),
        str(certificates.server),
    )


def contexts() -> int:
    """How many contexts there are in the process."""
    return sum(type(thing) is contextvars.Context for thing in gc.get_objects())


def test_callbacks_under_equal_variables_share_a_context_until_they_run() -> None:
    """A thousand callbacks take a few contexts, on every Python: their places were found."""
    loop = vivace.new_event_loop()
    before = contexts()
    handles = [loop.call_soon(int) for _ in range(1000)]
    handles += [loop.call_later(0, int) for _ in range(1000)]
    assert contexts() - before <= 2
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert contexts() - before <= 2
    del handles
    loop.close()


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_handles_waiting_when_the_loop_stops_are_seen_by_the_collector() -> None:
    """Until then it does not know of them: they may be part of a cycle with the loop itself."""
    witnesses = []
    for when in ("soon", "later"):
        loop = vivace.new_event_loop()

        class Node:
            pass

        node = Node()

        def schedule(node=node, loop=loop, when=when):
            if when == "soon":
                node.handle = loop.call_soon(lambda: (node, loop))
            else:
                node.handle = loop.call_later(1000, lambda: (node, loop))
            node.loop = loop
            loop.stop()

        loop.call_soon(schedule)
        loop.run_forever()
        assert gc.is_tracked(node.handle)
        witnesses.append(weakref.ref(node))
        # Not closed: closing would let go of what waits.
        del node, schedule, loop
    gc.collect()
    assert [witness() for witness in witnesses] == [None, None]


@pytest.mark.parametrize("end", ["runs", "is cancelled"])
@pytest.mark.parametrize("timer", [False, True])
def test_handles_that_outlive_the_queue_are_seen_by_the_collector(timer: bool, end: str) -> None:
    """Through what they keep after their end: the callback, or the context, of a cancelled one."""
    loop = vivace.new_event_loop()

    class Node:
        pass

    async def main() -> weakref.ref[Node]:
        node = Node()
        context = contextvars.copy_context()
        context.run(variable.set, node)
        if timer:
            node.handle = loop.call_later(0, int, node, context=context)
        else:
            node.handle = loop.call_soon(int, node, context=context)
        if end == "is cancelled":
            node.handle.cancel()
        return weakref.ref(node)

    async def then() -> weakref.ref[Node]:
        witness = await main()
        await asyncio.sleep(0.001)
        gc.collect()
        return witness()

    loop.set_exception_handler(lambda *_: None)  # int() of a node is an error
    assert loop.run_until_complete(then()) is None
    loop.close()
