"""The lifespan: start before the first request, end after the last, and each way to fail."""

from __future__ import annotations

import ast
import signal
import socket

import pytest
from support.patience import SECONDS
from support.sockets import kept_port

STARTUP_FAILED = 3


class TestScope:
    def test_all_of_it(self, start_server):
        server = start_server("apps.lifespans:good")
        told = server.printed(r"lifespan: scope (.*)")[0][1]
        assert dict(ast.literal_eval(told)) == {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
        }

    def test_order(self, start_server):
        server = start_server("apps.lifespans:good")
        assert server.get("/hello").status == 200
        server.stop()
        lines = [line for line in server.output().splitlines() if line.startswith("lifespan")]
        assert lines[1:] == [
            "lifespan: lifespan.startup",
            "lifespan: lifespan.shutdown",
            "lifespan: left",
        ]
        words = [
            "Waiting for application startup.",
            "lifespan.startup",
            "Application startup complete.",
            "running on",
            "Waiting for application shutdown.",
            "lifespan.shutdown",
            "Application shutdown complete.",
            "Finished server process",
        ]
        places = [server.output().index(word) for word in words]
        assert places == sorted(places)


class TestState:
    def test_copied_for_each_request(self, shared_server):
        """A shallow copy: names are the request's own, what they name is shared."""
        server = shared_server("apps.lifespans:good")
        with server.connect() as wire:
            first = ast.literal_eval(wire.get("/state").body.decode())
            second = ast.literal_eval(wire.get("/state").body.decode())
        assert first == {"started": True, "shared": ["lifespan"]}
        assert second == {"started": True, "shared": ["lifespan", "request"]}

    @pytest.mark.parametrize(
        ("app", "flags"), [("unsupported", ()), ("good", ("--lifespan", "off"))]
    )
    def test_without_lifespan(self, start_server, app, flags):
        """The key may be missing, or there is an empty one."""
        server = start_server(f"apps.lifespans:{app}", *flags)
        assert ast.literal_eval(server.get("/state").body.decode()) in (None, {})
        assert ast.literal_eval(server.get("/state").body.decode()) in (None, {})


class TestModes:
    @pytest.mark.parametrize("app", ["unsupported", "raises", "returns"])
    def test_auto_goes_on_without(self, start_server, app):
        server = start_server(f"apps.lifespans:{app}")
        assert server.get("/hello").status == 200
        server.stop()
        assert "Traceback" not in server.output()

    @pytest.mark.parametrize("app", ["unsupported", "raises"])
    def test_on_does_not(self, launch_server, app):
        server = launch_server(f"apps.lifespans:{app}", "--lifespan", "on")
        assert server.wait() == STARTUP_FAILED
        assert "Application startup failed. Exiting." in server.output()
        assert "running on" not in server.output()

    def test_off(self, start_server):
        server = start_server("apps.lifespans:good", "--lifespan", "off")
        assert server.get("/hello").status == 200
        server.stop()
        assert "lifespan" not in server.output()
        assert "Waiting for application startup." not in server.output()

    def test_off_with_one_that_fails(self, start_server):
        server = start_server("apps.lifespans:fails", "--lifespan", "off")
        assert server.get("/hello").status == 200


class TestStart:
    @pytest.mark.parametrize("mode", ["auto", "on"])
    def test_failed(self, launch_server, mode):
        server = launch_server("apps.lifespans:fails", "--lifespan", mode)
        assert server.wait() == STARTUP_FAILED
        assert "no database here" in server.output()
        assert "Application startup failed. Exiting." in server.output()
        assert "running on" not in server.output()

    def test_failed_without_a_message(self, launch_server):
        server = launch_server("apps.lifespans:fails_silently")
        assert server.wait() == STARTUP_FAILED
        assert "Application startup failed. Exiting." in server.output()

    def test_the_exception_is_shown(self, launch_server):
        server = launch_server("apps.lifespans:raises", "--lifespan", "on")
        assert server.wait() == STARTUP_FAILED
        assert "RuntimeError: cannot start" in server.output()

    def test_no_connection_before_it_is_complete(self, launch_server, tmp_path):
        """Either refused, or accepted by the kernel and served later; never an error."""
        with kept_port() as port:
            server = launch_server("apps.lifespans:slow", "--port", str(port))
            server.printed("lifespan: starting")
            try:
                with socket.create_connection(("127.0.0.1", port), SECONDS) as sock:
                    sock.sendall(b"GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                    answer = sock.recv(65536)
                    assert answer.startswith(b"HTTP/1.1 200")
                    assert "lifespan: started" in server.output()
            except ConnectionRefusedError:
                pass
            server.printed("running on")

    def test_interrupted(self, launch_server):
        """A signal while the application starts ends the server, which never was up."""
        server = launch_server("apps.lifespans:slow", "--port", "0")
        server.printed("lifespan: starting")
        server.signal(signal.SIGTERM)
        server.wait()
        assert "Traceback" not in server.output()

    def test_nonsense_is_refused(self, start_server):
        server = start_server("apps.lifespans:nonsense")
        assert server.get("/hello").status == 200
        server.printed("lifespan: refused")
        assert "lifespan.nonsense" in server.output()


class TestEnd:
    def test_failed(self, start_server):
        server = start_server("apps.lifespans:shutdown_fails")
        server.stop()
        assert "could not flush" in server.output()
        assert "Application shutdown failed. Exiting." in server.output()

    @pytest.mark.parametrize("mode", ["auto", "on"])
    def test_raises(self, start_server, mode):
        server = start_server("apps.lifespans:shutdown_raises", "--lifespan", mode)
        server.stop()
        assert "lifespan: shutdown" in server.output()
        if mode == "on":
            assert "RuntimeError: broke at the end" in server.output()

    @pytest.mark.parametrize("app", ["returns_after_startup", "raises_after_startup"])
    def test_left_before(self, start_server, app):
        """The server serves on, and ends without waiting for anything."""
        server = start_server(f"apps.lifespans:{app}")
        assert server.get("/hello").status == 200
        server.stop()
        assert "Finished server process" in server.output()

    def test_hangs(self, start_server):
        """The end of the application is bounded as well."""
        server = start_server("apps.lifespans:shutdown_hangs", "--timeout-graceful-shutdown", "1")
        server.stop()
        assert "lifespan: shutdown" in server.output()

    def test_tasks_of_the_application_run(self, start_server):
        server = start_server("apps.lifespans:background")
        for _ in range(20):
            server.get("/hello")
        server.stop()
        assert "lifespan: ticked" in server.output()
