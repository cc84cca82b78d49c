"""How the server ends: signals, what is still open, the bound, and that the lifespan ends too."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from support import serving
from support.http_wire import Truncated, Wire
from support.patience import SECONDS, SLACK
from support.serving import FOLDER, environment, unique
from support.websocket_wire import CLOSE, WebSocket

# For what the server is to end by force, and for what it is to wait for.
GRACEFUL = "2"
LONG = "100"


def ended(server, name: str) -> bool:
    """Whether the lifespan has ended; the application says so."""
    return f"lifespan: {name}" in server.output()


@pytest.fixture
def everything(start_server):
    """An application with lifespan, HTTP and WebSockets, and a short bound."""
    return start_server("apps.ending:app", "--timeout-graceful-shutdown", GRACEFUL)


@pytest.fixture
def patient(start_server):
    """The same, where the bound is of no importance."""
    return start_server("apps.ending:app", "--timeout-graceful-shutdown", LONG)


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_idle(self, everything, number):
        """The status is that of the signal, as uvicorn has it, or 0 after SIGINT."""
        begin = time.monotonic()
        everything.signal(number)
        status = everything.wait()
        assert time.monotonic() - begin < SLACK
        assert status in (
            (-signal.SIGTERM,) if number == signal.SIGTERM else (0, -signal.SIGINT, 130)
        )
        assert "Finished server process" in everything.output()
        assert ended(everything, "shutdown")
        assert "Traceback" not in everything.output()

    def test_whichever_thread_got_the_signal(self, everything):
        """The server sleeps then, and nothing but the signal wakes it."""
        assert everything.get("/term-in-thread").body == b"soon"
        everything.printed("Shutting down")
        assert everything.wait() == -signal.SIGTERM

    def test_idle_connections_do_not_hold_it(self, patient):
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(patient.connect()) for _ in range(20)]
            for wire in wires[:10]:
                assert wire.get("/hello").status == 200
            begin = time.monotonic()
            patient.signal(signal.SIGTERM)
            assert all(wire.ends() for wire in wires[:10])
            patient.wait()
            assert time.monotonic() - begin < SLACK

    def test_a_second_interrupt_forces(self, start_server):
        server, name = (
            start_server("apps.ending:app", "--timeout-graceful-shutdown", LONG),
            unique(),
        )
        with server.connect() as wire:
            wire.send(f"GET /stubborn?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            server.signal(signal.SIGINT)
            server.printed("Shutting down")
            server.printed("Waiting for")
            begin = time.monotonic()
            server.signal(signal.SIGINT)
            server.wait()
            assert time.monotonic() - begin < SLACK

    def test_a_second_term_does_not(self, everything):
        """It is what an impatient supervisor sends; the first is being carried out."""
        name = unique()
        with everything.connect() as wire:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            everything.seen(name, 1)
            everything.signal(signal.SIGTERM)
            everything.printed("Shutting down")
            everything.signal(signal.SIGTERM)
            everything.wait()
        assert ended(everything, "shutdown")


class TestWhatIsOpen:
    def test_a_request_is_finished(self, patient):
        """And its answer says that the connection ends."""
        name = unique()
        with patient.connect() as wire, patient.connect() as other:
            wire.send(f"GET /gated?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            patient.seen(name, 1)
            # The server is about to stop, and takes no request to open the gate then.
            assert other.get(f"/open-later?id={name}").status == 200
            patient.signal(signal.SIGTERM)
            response = wire.response()
            assert response.body == b"went through the gate"
            assert response.closes
            assert wire.ends()
        patient.wait()
        assert ended(patient, "shutdown")

    def test_no_new_connection(self, everything):
        name = unique()
        with everything.connect() as wire:
            wire.send(f"GET /stubborn?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            everything.seen(name, 1)
            everything.signal(signal.SIGTERM)
            everything.printed("Shutting down")
            with pytest.raises((ConnectionRefusedError, ConnectionResetError, Truncated)):
                deadline = time.monotonic() + SECONDS
                while time.monotonic() < deadline:
                    everything.get("/hello")
        everything.wait()

    @pytest.mark.skipif(serving.KIND != "vivace", reason="others close it")
    def test_a_connection_that_was_just_made(self, patient):
        """Its first request is on its way: whoever connects before the end is still served."""
        with patient.connect() as wire:
            assert patient.get("/hello").status == 200
            patient.signal(signal.SIGTERM)
            patient.printed("Shutting down")
            wire.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            response = wire.response()
            assert response.body == b"hello"
            assert response.closes
        patient.wait()

    def test_who_goes_on_asking_is_answered_once_more(self, patient):
        """The next request may be on its way: it is told that it is the last, and not reset."""
        with contextlib.ExitStack() as stack:
            wires = [stack.enter_context(patient.connect()) for _ in range(10)]
            assert all(wire.get("/hello").status == 200 for wire in wires)
            patient.signal(signal.SIGTERM)
            while wires:
                wires = [wire for wire in wires if not wire.get("/hello").closes]
        patient.wait()

    def test_a_pipelined_request_is_answered_or_not_begun(self, patient):
        """What the server took is finished; what it did not take can be sent again elsewhere."""
        first, second = unique(), unique()
        with patient.connect() as wire, patient.connect() as other:
            wire.send(f"GET /gated?id={first} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            patient.seen(first, 1)
            assert other.get(f"/open-later?id={first}").status == 200
            patient.signal(signal.SIGTERM)
            patient.printed("Shutting down")
            wire.send_what_is_taken(f"GET /say?{second} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            assert wire.response().body == b"went through the gate"
            with contextlib.suppress(Truncated, ConnectionResetError):
                assert wire.response().status == 200
                assert f"said {second}" in patient.output()
        patient.wait()

    def test_all_kinds_at_once(self, everything):
        """One stream of events, one WebSocket, one slow upload: it ends within the bound."""
        names = [unique() for _ in range(3)]
        with contextlib.ExitStack() as stack:
            events, socket_wire, upload = (
                stack.enter_context(everything.connect()) for _ in range(3)
            )
            events.send(f"GET /sse?id={names[0]} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            everything.seen(names[0], 1)
            assert events.head().status == 200
            socket = WebSocket.open(socket_wire, f"/socket?id={names[1]}")
            socket.send_text("x")
            everything.seen(names[1], 1)
            upload.send(
                f"POST /upload?id={names[2]} HTTP/1.1\r\nhost: a\r\n"
                "content-length: 1000000\r\n\r\npart".encode()
            )
            everything.seen(names[2], 1)
            begin = time.monotonic()
            everything.signal(signal.SIGTERM)
            found = socket.receive()
            assert (found.opcode, found.close_code) == (CLOSE, 1012)
            everything.wait()
            assert time.monotonic() - begin < float(GRACEFUL) + SLACK
        assert ended(everything, "shutdown")
        assert everything.output().index("lifespan: shutdown") > everything.output().index(
            "Shutting down"
        )

    def test_a_stream_sees_a_disconnect(self, start_server):
        """Before it is cancelled it is told, so that it can end by itself."""
        # A third of it passes before, and two thirds are left for the application.
        server = start_server("apps.ending:app", "--timeout-graceful-shutdown", "6")
        name = unique()
        with server.connect() as wire:
            wire.send(f"GET /sse?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            server.signal(signal.SIGTERM)
            server.wait()
        assert "event stream: disconnected" in server.output()

    def test_what_does_not_end_is_cancelled(self, everything):
        name = unique()
        with everything.connect() as wire:
            wire.send(f"GET /stubborn?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            everything.seen(name, 1)
            begin = time.monotonic()
            everything.signal(signal.SIGTERM)
            everything.wait()
            took = time.monotonic() - begin
            assert float(GRACEFUL) * 0.9 < took < float(GRACEFUL) + SLACK
        output = everything.output()
        assert "stubborn: CancelledError" in output
        assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in output
        assert ended(everything, "shutdown")
        # The end of the application comes after that of its requests.
        assert output.index("lifespan: shutdown") > output.index("stubborn: CancelledError")

    def test_what_ignores_its_cancellation(self, start_server):
        """Even that does not keep the server."""
        server = start_server("apps.ending:app", "--timeout-graceful-shutdown", "1")
        name = unique()
        with server.connect() as wire:
            wire.send(f"GET /immortal?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            server.seen(name, 1)
            server.signal(signal.SIGTERM)
            server.wait()
        assert ended(server, "shutdown")
        # Who is to blame.
        _, told, stack = server.output().partition("ignores its cancellation")
        assert told
        assert "in immortal" in stack

    def test_complete_answers_are_not_reset(self, everything):
        """Under load: each client that got a whole answer sees a FIN, none half an answer."""
        results: list[str] = []
        stop = threading.Event()

        def client() -> None:
            while not stop.is_set():
                try:
                    wire = everything.connect()
                except OSError:
                    results.append("refused")
                    return
                with wire:
                    while not stop.is_set():
                        try:
                            wire.send(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
                            response = wire.response()
                        except Truncated as exc:
                            # Nothing at all is fine: the request was not taken.
                            results.append("torn" if exc.received else "not taken")
                            return
                        except (ConnectionResetError, BrokenPipeError):
                            results.append("not taken")
                            return
                        results.append("ok" if len(response.body) == 200_000 else "short")
                        if response.closes:
                            results.append("fin" if wire.ends() else "reset")
                            return

        clients = [threading.Thread(target=client) for _ in range(8)]
        for thread in clients:
            thread.start()
        while results.count("ok") < 100:
            time.sleep(0.01)
        everything.signal(signal.SIGTERM)
        status = everything.wait()
        stop.set()
        for thread in clients:
            thread.join()
        assert status == -signal.SIGTERM
        assert not {"torn", "short", "reset"} & set(results), results[-20:]
        assert ended(everything, "shutdown")


class TestDefaults:
    @pytest.mark.skipif(serving.KIND != "vivace", reason="uvicorn waits for ever")
    def test_the_bound_is_finite(self):
        text = subprocess.run(
            [sys.executable, "-m", "vivace", "serve", "--help"],
            capture_output=True,
            text=True,
            cwd=FOLDER,
            env=environment({"COLUMNS": "300", "NO_COLOR": "1"}),
            timeout=SECONDS,
        ).stdout
        paragraph = text[text.index("--timeout-graceful-shutdown") :][:600]
        assert "30" in paragraph


class TestLimitMaxRequests:
    def test_ends_after_so_many(self, start_server):
        server = start_server("apps.ending:app", "--limit-max-requests", "5")
        statuses = []
        with contextlib.suppress(OSError, Truncated):
            for _ in range(50):
                statuses.append(server.get("/hello").status)
                time.sleep(0.02)
        assert len(statuses) >= 5
        assert set(statuses) == {200}
        server.wait()
        assert ended(server, "shutdown")
        server.printed("Maximum request limit of 5 exceeded. Terminating process.")

    def test_a_request_that_runs_is_finished(self, start_server):
        server, name = start_server("apps.ending:app", "--limit-max-requests", "1"), unique()
        with server.connect() as wire, server.connect() as other:
            wire.send(f"GET /brief?id={name} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            other.send(b"GET /hello HTTP/1.1\r\nhost: a\r\n\r\n")
            assert other.response().status == 200
            assert wire.response().body == b"brief"
        server.wait()
        assert ended(server, "shutdown")


def test_nothing_is_left_running(everything):
    """No thread or child keeps the process."""
    everything.get("/hello")
    everything.signal(signal.SIGTERM)
    everything.wait()
    with pytest.raises(OSError):
        Wire.connect(everything.address).close()
