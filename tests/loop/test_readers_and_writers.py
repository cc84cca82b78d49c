"""add_reader, add_writer and their removal."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import weakref

import pytest
from support.sockets import tcp_pair


@pytest.fixture
def pair():
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


def spin(loop, turns=3):
    for _ in range(turns):
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_reader(loop, pair):
    near, far = pair
    seen = []
    loop.add_reader(far, lambda *args: seen.append((far.recv(10), args)), 1, 2)
    near.send(b"one")
    spin(loop)
    assert seen == [(b"one", (1, 2))]
    near.send(b"two")
    spin(loop)
    assert seen[1:] == [(b"two", (1, 2))]
    assert loop.remove_reader(far) is True


def test_writer(loop, pair):
    near, far = pair
    seen = []
    loop.add_writer(near, seen.append, "writable")
    spin(loop, 1)
    assert seen
    assert loop.remove_writer(near) is True
    count = len(seen)
    spin(loop)
    assert len(seen) == count


def test_it_is_level_triggered(loop, pair):
    """As long as something is there the callback comes again, in every turn."""
    near, far = pair
    seen = []
    loop.add_reader(far, seen.append, 1)
    near.send(b"12345")
    spin(loop, 10)
    assert len(seen) >= 9
    far.recv(2)
    count = len(seen)
    spin(loop, 5)
    assert len(seen) >= count + 4
    far.recv(10)
    count = len(seen)
    spin(loop, 5)
    assert len(seen) <= count + 1
    loop.remove_reader(far)


def test_both_on_one_descriptor(loop, pair):
    near, far = pair
    seen = []
    loop.add_reader(far, lambda: seen.append("read " + far.recv(10).decode()))
    loop.add_writer(far, lambda: seen.append("write"))
    near.send(b"x")
    spin(loop, 2)
    assert "read x" in seen and "write" in seen
    assert loop.remove_writer(far) is True
    del seen[:]
    near.send(b"y")
    spin(loop)
    assert seen == ["read y"]
    assert loop.remove_reader(far) is True
    near.send(b"z")
    spin(loop)
    assert seen == ["read y"]


def test_what_they_return(loop, pair):
    near, far = pair
    if sys.version_info >= (3, 12):
        assert loop.add_reader(far, print) is None
    else:
        loop.add_reader(far, print)
    assert loop.remove_writer(far) is False
    assert loop.remove_reader(far) is True
    assert loop.remove_reader(far) is False
    assert loop.remove_reader(near) is False


def test_the_second_replaces_the_first(loop, pair):
    near, far = pair
    seen = []
    loop.add_reader(far, seen.append, "first")
    loop.add_reader(far, lambda: seen.append(far.recv(10)))
    near.send(b"x")
    spin(loop)
    assert seen == [b"x"]
    loop.remove_reader(far)


def test_replaced_while_ready(loop, pair):
    """The first is ready in this turn and must not run any more."""
    near, far = pair
    seen = []

    def first():
        seen.append("first")

    def replace():
        loop.add_reader(far, lambda: seen.append(far.recv(10)))

    near.send(b"x")
    loop.add_reader(far, first)
    loop.call_soon(replace)
    spin(loop, 1)
    spin(loop)
    assert seen[-1] == b"x"
    assert seen.count("first") <= 1
    loop.remove_reader(far)


def test_removed_by_another_callback_of_the_same_turn(loop):
    pairs = [socket.socketpair() for _ in range(2)]
    seen = []

    def callback(me, other):
        seen.append(me)
        loop.remove_reader(other)

    readers = [far for _, far in pairs]
    for near, far in pairs:
        near.send(b"x")
    loop.add_reader(readers[0], callback, 0, readers[1])
    loop.add_reader(readers[1], callback, 1, readers[0])
    spin(loop, 1)
    spin(loop, 3)
    assert len(set(seen)) == 1  # whoever came first has removed the other
    for near, far in pairs:
        loop.remove_reader(far)
        near.close()
        far.close()


def test_removing_itself(loop, pair):
    near, far = pair
    seen = []

    def once():
        seen.append(1)
        assert loop.remove_reader(far) is True

    loop.add_reader(far, once)
    near.send(b"x")
    spin(loop)
    assert seen == [1]


@pytest.mark.parametrize("kind", ["number", "socket", "file"])
def test_kinds_of_file_objects(loop, kind):
    near, far = os.pipe()
    os.set_blocking(near, False)
    seen = []
    file = os.fdopen(near, "rb", 0)
    sock_near, sock_far = socket.socketpair()
    with file, sock_near, sock_far:
        if kind == "socket":
            loop.add_reader(sock_near, lambda: seen.append(sock_near.recv(1)))
            sock_far.send(b"x")
        else:
            loop.add_reader(near if kind == "number" else file, lambda: seen.append(file.read(1)))
            os.write(far, b"x")
        spin(loop)
        assert seen == [b"x"]
        # By number what was added by object, and the other way round.
        if kind == "number":
            assert loop.remove_reader(file) is True
        elif kind == "file":
            assert loop.remove_reader(near) is True
        else:
            assert loop.remove_reader(sock_near.fileno()) is True
    os.close(far)


@pytest.mark.parametrize("wrong", [-1, "text", None, 1.5, object()], ids=repr)
def test_what_is_no_file(loop, wrong):
    if repr(wrong).startswith("<object"):
        wrong = object()
    for method in ("add_reader", "add_writer"):
        with pytest.raises(ValueError, match="Invalid file"):
            getattr(loop, method)(wrong, print)
    for method in ("remove_reader", "remove_writer"):
        with pytest.raises(ValueError, match="Invalid file"):
            getattr(loop, method)(wrong)


def test_a_closed_descriptor_number(loop):
    near, far = os.pipe()
    os.close(near)
    os.close(far)
    with pytest.raises(OSError):
        loop.add_reader(near, print)
    assert loop.remove_reader(near) is False


def test_a_regular_file(loop, tmp_path):
    """epoll refuses files: PermissionError."""
    with open(tmp_path / "file", "wb") as file, pytest.raises(PermissionError):
        loop.add_writer(file, print)


def test_closed_before_removed(loop):
    near, far = socket.socketpair()
    number = far.fileno()
    loop.add_reader(far, print)
    far.close()
    assert loop.remove_reader(number) is True
    near.close()
    spin(loop)


@pytest.mark.parametrize("side", ["reader", "writer"])
def test_a_closed_file_object_is_known_by_its_identity(loop, side):
    add, remove = getattr(loop, f"add_{side}"), getattr(loop, f"remove_{side}")
    near, far = socket.socketpair()
    add(far, print)
    far.close()
    assert remove(far) is True
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        remove(far)
    with pytest.raises(ValueError, match="Invalid file descriptor: -1"):
        add(far, print)
    near.close()
    spin(loop)


def test_a_watched_file_object_is_kept(loop, pair):
    near, far = pair

    class File:
        def fileno(self):
            return far.fileno()

    seen = []
    file = File()
    loop.add_reader(file, seen.append, "readable")
    kept = weakref.ref(file)
    del file
    gc.collect()
    assert kept() is not None
    near.send(b"x")
    spin(loop)
    assert seen
    loop.remove_reader(far)
    gc.collect()
    assert kept() is None


def test_the_number_is_used_again(loop):
    """A descriptor is closed without remove_reader, and its number comes back."""
    near, far = socket.socketpair()
    number = far.fileno()
    loop.add_reader(number, print, "stale")
    far.close()
    near.close()
    new_near, new_far = socket.socketpair()
    socks = [new_near, new_far]
    while not any(sock.fileno() == number for sock in socks):
        socks.extend(socket.socketpair())
    reused = next(sock for sock in socks if sock.fileno() == number)
    index = socks.index(reused)
    peer = socks[index ^ 1]
    seen = []
    loop.remove_reader(number)
    loop.add_reader(reused, lambda: seen.append(reused.recv(10)))
    peer.send(b"fresh")
    spin(loop)
    assert seen == [b"fresh"]
    loop.remove_reader(reused)
    for sock in socks:
        sock.close()


def test_hang_up_wakes_the_reader(loop):
    near, far = socket.socketpair()
    seen = []

    def readable():
        seen.append(far.recv(10))
        loop.remove_reader(far)

    loop.add_reader(far, readable)
    near.close()
    spin(loop)
    assert seen == [b""]
    far.close()


def test_hang_up_wakes_the_writer(loop):
    """The reader of a pipe goes away: whoever waits to write must learn it."""
    near, far = os.pipe()
    os.set_blocking(far, False)
    try:
        while True:
            os.write(far, bytes(65536))
    except BlockingIOError:
        pass
    seen = []

    def writable():
        seen.append("woken")
        loop.remove_writer(far)

    loop.add_writer(far, writable)
    spin(loop)
    assert seen == []
    os.close(near)
    spin(loop)
    assert seen == ["woken"]
    os.close(far)


@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_a_descriptor_of_a_transport_is_refused(run, method):
    async def main():
        loop = asyncio.get_running_loop()
        near, far = tcp_pair()
        with near:
            transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, far)
            sock = transport.get_extra_info("socket")
            number = sock.fileno()
            with pytest.raises(RuntimeError, match="File descriptor .* is used by transport"):
                getattr(loop, method)(sock, print)
            with pytest.raises(RuntimeError, match="is used by transport"):
                getattr(loop, method)(number, print)
            remove = method.replace("add", "remove")
            with pytest.raises(RuntimeError, match="is used by transport"):
                getattr(loop, remove)(number)
            transport.close()
            await asyncio.sleep(0)

    run(main())


def test_on_a_closed_loop(loop, pair):
    near, far = pair
    loop.add_reader(far, print)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_reader(far, print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_writer(far, print)
    assert loop.remove_reader(far) is False
    assert loop.remove_writer(far) is False


def test_added_before_the_loop_runs(loop, pair):
    near, far = pair
    near.send(b"x")
    loop.add_reader(far, loop.stop)
    loop.run_forever()
    loop.remove_reader(far)


def test_many_descriptors(loop):
    pairs = [socket.socketpair() for _ in range(200)]
    seen = []
    for number, (near, far) in enumerate(pairs):
        loop.add_reader(far, lambda far=far, number=number: seen.append((number, far.recv(10))))
    for number, (near, far) in enumerate(pairs):
        near.send(b"%d" % number)
    spin(loop, 20)  # a loop may take them in portions
    assert sorted(seen) == [(number, b"%d" % number) for number in range(200)]
    for near, far in pairs:
        assert loop.remove_reader(far)
        near.close()
        far.close()


def test_an_epoll_descriptor_of_ones_own(loop, pair):
    """Libraries nest another loop by its own epoll descriptor."""
    import select

    near, far = pair
    with select.epoll() as inner:
        inner.register(far, select.EPOLLIN)
        seen = []
        loop.add_reader(inner.fileno(), lambda: seen.append(far.recv(10)))
        near.send(b"x")
        spin(loop)
        assert seen == [b"x"]
        loop.remove_reader(inner.fileno())
