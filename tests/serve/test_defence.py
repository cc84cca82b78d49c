"""Limits and deadlines against clients that are slow, many, large or gone: on by default.

Each test has a server with a small limit, so that none waits long.
"""

from __future__ import annotations

import contextlib
import resource
import select
import time

import pytest
from support import serving
from support.http_wire import Truncated, Wire, within
from support.patience import SECONDS, SLACK
from support.serving import unique
from support.websocket_wire import WebSocket, upgrade

pytestmark = pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace has these limits")


def until_closed(wire: Wire) -> bytes:
    """Wait for the end of the connection; return what came before."""
    with contextlib.suppress(ConnectionResetError):
        return wire.rest()
    return b""


class TestHeaderDeadline:
    flags = ("--timeout-request-header", "1")

    @pytest.fixture
    def server(self, shared_server):
        return shared_server("apps.probe:app", *self.flags)

    def test_nothing_is_sent(self, server):
        begin = time.monotonic()
        with server.connect() as wire:
            data = until_closed(wire)
            assert time.monotonic() - begin > 0.8
            assert data == b"" or data.startswith(b"HTTP/1.1 408")

    @pytest.mark.parametrize(
        "part", [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX"]
    )
    def test_part_of_a_head(self, server, part):
        with server.connect() as wire:
            wire.send(part)
            data = until_closed(wire)
            assert data == b"" or data.startswith(b"HTTP/1.1 408")

    def test_a_byte_now_and_then(self, server):
        """The deadline is that of the head, and no byte puts it off."""
        with server.connect() as wire:
            begin = time.monotonic()
            while not wire.is_readable(0.05) and wire.send_what_is_taken(b"G"):
                assert time.monotonic() - begin < SLACK

    def test_of_the_second_request(self, server):
        with server.connect() as wire:
            assert wire.get("/hello").status == 200
            wire.send(b"GET /hello HT")
            data = until_closed(wire)
            assert data == b"" or data.startswith(b"HTTP/1.1 408")

    def test_a_slow_application_is_not_meant(self, server):
        name = unique()
        with server.connect() as wire, server.connect() as other:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            # When this one is over, so is the time that the first would have had.
            until_closed(other)
            server.open_gate(name)
            assert wire.response().body == b"went through the gate"

    def test_a_slow_body_is_not_meant(self, shared_server):
        """It has its own limit."""
        server = shared_server("apps.probe:app", *self.flags, "--limit-body-rate", "0")
        with server.connect() as wire, server.connect() as other:
            wire.send(b"POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab")
            until_closed(other)
            wire.send(b"cd")
            assert wire.response().body.startswith(b"4 in ")

    def test_of_a_websocket_it_is_not_meant(self, shared_server):
        server = shared_server("apps.sockets:app", *self.flags)
        with server.connect() as wire, server.connect() as other:
            socket = WebSocket.open(wire, "/echo")
            until_closed(other)
            socket.send_text("still here")
            assert socket.receive_text() == "still here"


class TestBodyRate:
    # What a body gets on top of its rate is as long as a head may take.
    flags = ("--timeout-request-header", "1", "--limit-body-rate")

    def test_too_slow(self, shared_server):
        """Fewer bytes a second than asked for, over some seconds."""
        server, name = shared_server("apps.probe:app", *self.flags, "10000"), unique()
        with server.connect() as wire:
            wire.send(
                f"POST /echo?id={name} HTTP/1.1\r\nhost: a\r\n"
                "content-length: 1000000\r\n\r\n".encode()
            )
            begin = time.monotonic()
            while not wire.is_readable(0.1) and wire.send_what_is_taken(b"x"):
                assert time.monotonic() - begin < SLACK
            data = until_closed(wire)
            assert data == b"" or data.startswith(b"HTTP/1.1 408")
        assert server.seen(name).notes == ["called", "disconnected"]

    def test_fast_enough(self, shared_server):
        server = shared_server("apps.probe:app", *self.flags, "10000")
        data = b"x" * 10_000
        with server.connect() as wire:
            wire.send(b"POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 80000\r\n\r\n")
            for _ in range(8):
                time.sleep(0.2)
                wire.send(data)
            assert wire.response().body.startswith(b"80000 in ")

    def test_an_application_that_reads_slowly(self, shared_server):
        """It is not the client's fault when the server does not read."""
        server, name = shared_server("apps.probe:app", *self.flags, "1000000"), unique()
        with server.connect() as wire:
            wire.send(
                f"POST /gated-read?id={name} HTTP/1.1\r\nhost: a\r\n"
                "content-length: 100000\r\n\r\n".encode()
                + b"x" * 100_000
            )
            server.seen(name, 1)
            time.sleep(2)
            server.open_gate(name)
            assert len(wire.response().body) == 100_000


class TestWriteStall:
    flags = ("--timeout-write", "1")

    def test_a_client_that_stops_reading(self, shared_server):
        server, name = shared_server("apps.probe:app", *self.flags), unique()
        with server.connect(receive_buffer=16384) as wire:
            wire.send(f"GET /flood?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            seen = server.seen(name)
            assert "OSError" in seen.raised
            assert "sent" not in seen.notes

    def test_a_slow_reader_is_not_meant(self, shared_server):
        """As long as it reads something, the time begins anew."""
        server = shared_server("apps.probe:app", *self.flags)
        with server.connect(receive_buffer=65536) as wire:
            wire.send(b"GET /flood HTTP/1.1\r\nhost: a\r\n\r\n")
            assert wire.head().status == 200
            begin, size = time.monotonic(), 0
            while time.monotonic() - begin < 2.5:
                size += len(wire.some())
                time.sleep(0.02)
            while size < 64 << 20:
                data = wire.some()
                assert data, "the connection ended"
                size += len(data)

    def test_a_silent_stream_is_not_meant(self, shared_server):
        """Nothing waits to be sent: the application has nothing to say."""
        server, name = shared_server("apps.probe:app", *self.flags), unique()
        with server.connect() as wire:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            time.sleep(1.5)
            server.open_gate(name)
            assert wire.response().status == 200


class TestHeads:
    def head(self, count: int, size: int = 1) -> bytes:
        fields = b"".join(b"x-%d: %b\r\n" % (number, b"v" * size) for number in range(count))
        return b"GET /hello HTTP/1.1\r\nhost: a\r\n" + fields + b"\r\n"

    def rejected(self, server, raw: bytes, *statuses: int) -> None:
        with server.connect() as wire:
            wire.send_what_is_taken(raw)
            response = wire.response()
            assert response.status in statuses
            assert response.closes
            assert wire.ends()

    def test_many_headers(self, server):
        with server.connect() as wire:
            wire.send(self.head(60))
            assert wire.response().status == 200
        self.rejected(server, self.head(2000), 431)

    def test_one_long_header(self, server):
        with server.connect() as wire:
            wire.send(self.head(1, 8000))
            assert wire.response().status == 200
        self.rejected(server, self.head(1, 1_000_000), 431)

    def test_a_long_target(self, server):
        with server.connect() as wire:
            wire.send(b"GET /hello?" + b"q" * 6000 + b" HTTP/1.1\r\nhost: a\r\n\r\n")
            assert wire.response().status == 200
        target = b"/" + b"a" * 1_000_000
        self.rejected(server, b"GET " + target + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414, 431)

    def test_a_head_without_end(self, server):
        """Nobody waits for its end."""
        with server.connect() as wire:
            wire.send(b"GET /hello HTTP/1.1\r\n")
            sent = 0
            while sent < 100 << 20 and wire.send_what_is_taken(b"x: " + b"y" * 997 + b"\r\n"):
                sent += 1002
            assert sent < 50 << 20
            with contextlib.suppress(ConnectionResetError):
                assert wire.response().status == 431

    def test_a_request_line_without_end(self, server):
        with server.connect() as wire:
            sent = 0
            while sent < 100 << 20 and wire.send_what_is_taken(b"G" * 4096):
                sent += 4096
            assert sent < 50 << 20
            with contextlib.suppress(ConnectionResetError):
                assert wire.response().status in (400, 414, 431)

    def test_number_by_flag(self, shared_server):
        server = shared_server("apps.probe:app", "--limit-headers", "10")
        with server.connect() as wire:
            wire.send(self.head(9))
            assert wire.response().status == 200
        self.rejected(server, self.head(10), 431)

    def test_size_by_flag(self, shared_server):
        server = shared_server("apps.probe:app", "--limit-header-size", "1000")
        with server.connect() as wire:
            wire.send(self.head(1, 800))
            assert wire.response().status == 200
        self.rejected(server, self.head(1, 1000), 431)

    def test_many_trailers(self, server):
        fields = b"".join(b"x-%d: v\r\n" % number for number in range(5000))
        with server.connect() as wire:
            wire.send_what_is_taken(
                b"POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
                + fields
                + b"\r\n"
            )
            assert wire.response().status in (400, 431)

    def test_a_long_chunk_extension(self, server):
        with server.connect() as wire:
            wire.send_what_is_taken(
                b"POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;"
                + b"e" * 1_000_000
            )
            assert wire.response().status in (400, 431)

    def test_empty_lines_without_end(self, server):
        with server.connect() as wire:
            sent = 0
            while sent < 100 << 20 and wire.send_what_is_taken(b"\r\n" * 4096):
                sent += 8192
            assert sent < 50 << 20


class TestBodySize:
    @pytest.fixture
    def server(self, shared_server):
        return shared_server("apps.probe:app", "--limit-body-size", "1000")

    def test_as_large_as_allowed(self, server):
        with server.connect() as wire:
            assert wire.request("POST", "/count", body=b"x" * 1000).body.startswith(b"1000 in ")

    def test_by_length(self, server):
        """Refused at once: the application is not called."""
        name = unique()
        with server.connect() as wire:
            wire.send(
                f"POST /hello?id={name} HTTP/1.1\r\nhost: a\r\n"
                "content-length: 1001\r\n\r\n".encode()
            )
            assert wire.response().status == 413
        assert server.get(f"/hello?id={name}").status == 200
        assert server.seen(name).notes == ["called"]

    def test_by_length_with_expectation(self, server):
        with server.connect() as wire:
            wire.send(
                b"POST /count HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n"
                b"expect: 100-continue\r\n\r\n"
            )
            assert wire.response(interim=True).status == 413

    def test_by_chunks(self, server):
        with server.connect() as wire:
            wire.send(b"POST /count HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            wire.send_what_is_taken(b"64\r\n" + b"x" * 100 + b"\r\n")
            for _ in range(10):
                wire.send_what_is_taken(b"64\r\n" + b"x" * 100 + b"\r\n")
            assert wire.response().status == 413

    def test_not_set(self, shared_server):
        with shared_server("apps.probe:app").connect() as wire:
            assert wire.request("POST", "/count", body=b"x" * 3_000_000).status == 200


class TestConnectionsPerAddress:
    def test_limit(self, shared_server):
        server = shared_server("apps.probe:app", "--limit-connections-per-address", "5")
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(server.connect()) for _ in range(5)]
            for wire in wires:
                assert wire.get("/hello").status == 200
            with server.connect() as extra:
                extra.send_what_is_taken(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
                with contextlib.suppress(Truncated, ConnectionResetError):
                    assert extra.response().status in (429, 503)
            # Those that are there are not disturbed.
            for wire in wires:
                assert wire.get("/hello").status == 200
            wires.pop().close()
            within(lambda: _is_served(server), "a place that became free")


def _is_served(server) -> bool:
    try:
        return server.get("/hello").status == 200
    except (Truncated, ConnectionResetError, BrokenPipeError):
        return False


class TestConcurrency:
    """`--limit-concurrency` counts requests in flight; idle connections never count."""

    flags = ("--limit-concurrency", "2", "--limit-queue", "0")

    def busy(self, server, stack: contextlib.ExitStack, count: int) -> list[Wire]:
        """So many requests that are in flight until their clients leave."""
        wires = [stack.enter_context(server.connect()) for _ in range(count)]
        for wire in wires:
            wire.send(b"GET /until-disconnect?say HTTP/1.1\r\nhost: a\r\n\r\n")
        server.printed("until-disconnect: called", count=count)
        return wires

    @staticmethod
    def refused(server) -> bool:
        return server.get("/hello").status == 503

    def test_503(self, start_server):
        server = start_server("apps.probe:app", *self.flags)
        with contextlib.ExitStack() as stack:
            first, _ = self.busy(server, stack, 2)
            extra = stack.enter_context(server.connect())
            response = extra.get("/hello")
            assert response.status == 503
            assert int(response[b"retry-after"]) >= 0
            first.close()
            within(lambda: not self.refused(server), "a free place")
            # The connection of the one who was refused goes on.
            if not response.closes:
                assert extra.get("/hello").body == b"hello"

    def test_idle_connections_do_not_count(self, start_server):
        server = start_server("apps.probe:app", *self.flags)
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(server.connect()) for _ in range(20)]
            for wire in idle:
                assert wire.get("/hello").status == 200
            for _ in range(20):
                assert server.get("/hello").status == 200

    def test_websockets_count(self, start_server):
        server = start_server("apps.sockets:app", "--limit-concurrency", "1")
        with server.connect() as wire, server.connect() as other:
            first = WebSocket.open(wire, "/echo")
            assert self.refused(server)
            other.send(upgrade("/echo"))
            response = other.response()
            assert (response.status, response[b"retry-after"]) == (503, b"1")
            first.send_text("still there")
            assert first.receive_text() == "still there"
        within(lambda: not self.refused(server), "a free place")
        with server.connect() as wire:
            again = WebSocket.open(wire, "/echo")
            again.send_text("hi")
            assert again.receive_text() == "hi"

    def test_a_request_has_the_place_of_a_websocket(self, start_server):
        server = start_server("apps.sockets:app", "--limit-concurrency", "1", "--limit-queue", "1")
        with server.connect() as wire:
            with server.connect() as other:
                WebSocket.open(other, "/echo")
                wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
                assert wire.is_open()
            assert wire.response().body == b"hello"

    def test_queue(self, start_server):
        """Some wait for a place; each of them is answered in the end, in its turn."""
        server = start_server("apps.probe:app", "--limit-concurrency", "2", "--limit-queue", "4")
        with contextlib.ExitStack() as stack:
            first, second = self.busy(server, stack, 2)
            waiting = [stack.enter_context(server.connect()) for _ in range(4)]
            for wire in waiting:
                wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
                # In its turn: those before are in the queue when the next one comes.
                assert not wire.is_readable(0.2)
            assert self.refused(server)
            assert all(wire.is_open() for wire in waiting)
            first.close()
            for wire in waiting:
                assert wire.response().body == b"hello"
            second.close()
            within(lambda: not self.refused(server), "a free place")

    def test_one_who_leaves_the_queue(self, start_server):
        server = start_server("apps.probe:app", "--limit-concurrency", "1", "--limit-queue", "2")
        name = unique()
        with contextlib.ExitStack() as stack:
            (busy,) = self.busy(server, stack, 1)
            stayer = stack.enter_context(server.connect())
            leaver = server.connect()
            leaver.send(f"GET /hello?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            stayer.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            within(lambda: self.refused(server), "that place and queue are taken")
            leaver.reset()
            busy.close()
            assert stayer.response().status == 200
        assert server.get(f"/hello?id={name}").status == 200
        assert server.seen(name).notes == ["called"]


class TestRequestTimeout:
    flags = ("--timeout-request", "1")

    def test_before_the_start(self, shared_server):
        server, name = shared_server("apps.probe:app", *self.flags), unique()
        with server.connect() as wire:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            assert wire.response().status == 503
        assert server.seen(name).ended == "cancelled"

    def test_after_the_start(self, shared_server):
        """Truncated, so that the client does not take it for the whole."""
        server, name = shared_server("apps.probe:app", *self.flags), unique()
        with server.connect() as wire:
            wire.send(f"GET /sse?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            with pytest.raises((Truncated, ConnectionResetError)):
                wire.response()

    def test_in_time(self, shared_server):
        server = shared_server("apps.probe:app", *self.flags)
        for _ in range(5):
            assert server.get("/hello").status == 200


class TestCancelOnDisconnect:
    def test_off_by_default(self, shared_server):
        """The handler runs to its end, as on other servers."""
        server, name = shared_server("apps.probe:app"), unique()
        with server.connect() as wire:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            wire.reset()
        for _ in range(10):
            server.get("/hello")
        server.open_gate(name)
        assert server.seen(name).ended != "cancelled"

    @pytest.mark.parametrize("how", [Wire.close, Wire.reset])
    def test_turned_on(self, shared_server, how):
        server, name = shared_server("apps.probe:app", "--cancel-on-disconnect"), unique()
        with server.connect() as wire:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            how(wire)
        assert server.seen(name).ended == "cancelled"

    def test_not_once_it_is_answered(self, shared_server):
        """What an application does after its answer is its own affair."""
        server, name = shared_server("apps.probe:app", "--cancel-on-disconnect"), unique()
        with server.connect() as wire:
            wire.send(
                f"GET /after-completion-unread?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
            )
            assert wire.response().body == b"done"
        for _ in range(10):
            server.get("/hello")
        server.open_gate(name)
        assert server.seen(name).ended == "returned"


class TestDescriptors:
    def test_emfile(self, start_server):
        """No descriptor left: those that are there are served, and new ones once some close."""

        def few_descriptors() -> None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

        server = start_server("apps.probe:app", before=few_descriptors)
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(server.connect())
            assert first.get("/hello").status == 200
            others = [stack.enter_context(server.connect()) for _ in range(100)]
            for wire in others:
                wire.send_what_is_taken(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            select.select([wire.sock for wire in others], [], [], SECONDS)
            answered = [wire for wire in others if wire.is_readable(0.02)]
            assert answered
            assert len(answered) < 100
            # It does not spin.
            before = _cpu_of(server.pid)
            time.sleep(1)
            assert _cpu_of(server.pid) - before < 0.5
            assert first.get("/hello").status == 200
            for wire in answered:
                wire.close()
            # Those that waited in the kernel get their turn.
            for wire in others:
                if wire not in answered:
                    assert wire.response().status == 200
                    wire.close()
        assert server.get("/hello").status == 200


def _cpu_of(pid: int) -> float:
    """The seconds of CPU that a process has used."""
    import os

    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_many_connections(server):
    """Some hundred at the same time, each of them asked twice."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(server.connect()) for _ in range(400)]
        for _ in range(2):
            for wire in wires:
                wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            for wire in wires:
                assert wire.response().body == b"hello"
