"""What the server writes: the words, streams and logger names that log configurations rely on."""

from __future__ import annotations

import json
import re

import pytest
from support import serving
from support.http_wire import within
from support.websocket_wire import WebSocket, close, upgrade

on_top = pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace has these flags")


def access_lines(server) -> list[str]:
    text = server.standard_output.read_text()
    return [line for line in text.splitlines() if '" ' in line]


class TestWords:
    def test_start_and_end(self, start_server):
        server = start_server("apps.lifespans:good")
        server.stop()
        lines = [line for line in server.output().splitlines() if not line.startswith("lifespan")]
        port = server.port
        lines = [line.replace("Vivace running", "Uvicorn running") for line in lines]
        assert lines == [
            f"INFO:     Started server process [{server.pid}]",
            "INFO:     Waiting for application startup.",
            "INFO:     Application startup complete.",
            f"INFO:     Uvicorn running on http://127.0.0.1:{port} (Press CTRL+C to quit)",
            "INFO:     Shutting down",
            "INFO:     Waiting for application shutdown.",
            "INFO:     Application shutdown complete.",
            f"INFO:     Finished server process [{server.pid}]",
        ]

    def test_streams(self, start_server):
        """Errors and events on standard error, accesses on standard output."""
        server = start_server("apps.probe:app", apart=True)
        server.get("/hello")
        server.stop()
        assert "running on" in server.output()
        assert "GET /hello" not in server.output()
        (line,) = access_lines(server)
        assert server.standard_output.read_text() == line + "\n"


class TestAccessLine:
    def test_to_the_letter(self, start_server):
        server = start_server("apps.probe:app", apart=True)
        with server.connect() as wire:
            port = wire.sock.getsockname()[1]
            wire.get("/hello")
            wire.get("/hello?a=b&c=%20")
            wire.request("POST", "/status/404")
            wire.get("/a%20path/%C3%A9")
            wire.request("HEAD", "/status/204")
            wire.get("/status/599")
            wire.get("/fail")
        server.stop()
        assert access_lines(server) == [
            f'INFO:     127.0.0.1:{port} - "GET /hello HTTP/1.1" 200 OK',
            f'INFO:     127.0.0.1:{port} - "GET /hello?a=b&c=%20 HTTP/1.1" 200 OK',
            f'INFO:     127.0.0.1:{port} - "POST /status/404 HTTP/1.1" 404 Not Found',
            f'INFO:     127.0.0.1:{port} - "GET /a%20path/%C3%A9 HTTP/1.1" 404 Not Found',
            f'INFO:     127.0.0.1:{port} - "HEAD /status/204 HTTP/1.1" 204 No Content',
            f'INFO:     127.0.0.1:{port} - "GET /status/599 HTTP/1.1" 599 ',
            f'INFO:     127.0.0.1:{port} - "GET /fail HTTP/1.1" 500 Internal Server Error',
        ]

    def test_http_1_0(self, start_server):
        server = start_server("apps.probe:app", apart=True)
        with server.connect() as wire:
            wire.send(b"GET /hello HTTP/1.0\r\n\r\n")
            wire.response()
        server.stop()
        assert access_lines(server)[0].endswith('"GET /hello HTTP/1.0" 200 OK')

    def test_behind_a_proxy(self, start_server):
        server = start_server("apps.probe:app", apart=True)
        server.get("/hello", [(b"x-forwarded-for", b"203.0.113.7")])
        server.stop()
        assert access_lines(server) == ['INFO:     203.0.113.7:0 - "GET /hello HTTP/1.1" 200 OK']

    def test_it_comes_soon(self, server):
        """Written by whom and when is the server's affair, but not minutes later."""
        name = serving.unique("soon")
        server.get(f"/hello?{name}")
        within(lambda: f"/hello?{name}" in server.output(), "the access line")

    def test_injection(self, start_server):
        """A target cannot break the line, whatever the client sends."""
        server = start_server("apps.probe:app", apart=True)
        server.get("/a%0d%0aINFO:%20injected%1b[31m")
        server.stop()
        (line,) = access_lines(server)
        assert "\x1b" not in line
        assert "%0d%0a" in line.lower()

    def test_turned_off(self, start_server):
        server = start_server("apps.probe:app", "--no-access-log", apart=True)
        assert server.get("/hello").status == 200
        server.stop()
        assert server.standard_output.read_text() == ""

    def test_many(self, start_server):
        """None is lost, none is torn, all are in order."""
        server = start_server("apps.probe:app", apart=True)
        with server.connect() as wire:
            for number in range(2000):
                wire.get(f"/hello?{number}")
        server.stop()
        numbers = [int(re.search(r"\?(\d+) ", line)[1]) for line in access_lines(server)]
        assert numbers == list(range(2000))

    def test_websocket_lines(self, start_server):
        server = start_server("apps.sockets:app", apart=False)
        with server.connect() as wire:
            socket = WebSocket.open(wire, "/echo?x=1")
            socket.send(close(1000))
            socket.closed_with(1000, answer=False)
        with server.connect() as wire:
            wire.send(upgrade("/refuse"))
            assert wire.response().status == 403
        server.printed(r'INFO: +127\.0\.0\.1:\d+ - "WebSocket /echo\?x=1" \[accepted\]')
        server.printed(r'INFO: +127\.0\.0\.1:\d+ - "WebSocket /refuse" 403')


@on_top
class TestAccessFormat:
    """The atoms of gunicorn."""

    def test_atoms(self, start_server):
        wanted = "%(h)s|%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%(f)s|%(a)s|%({x-name}i)s"
        wanted += "|%({content-length}o)s"
        server = start_server("apps.probe:app", "--access-log-format", wanted, apart=True)
        server.get("/hello?a=1", [(b"user-agent", b"ua"), (b"referer", b"re"), (b"x-name", b"in")])
        server.stop()
        assert server.standard_output.read_text().strip() == (
            "127.0.0.1|GET|/hello|a=1|HTTP/1.1|200|5|re|ua|in|5"
        )

    def test_durations(self, start_server):
        server = start_server(
            "apps.probe:app", "--access-log-format", "%(L)s %(D)s %(M)s", apart=True
        )
        server.get("/hello")
        server.stop()
        seconds, micros, millis = server.standard_output.read_text().split()
        assert 0 <= float(seconds) < 5
        assert int(micros) // 1000 == int(millis)

    def test_quotes_of_a_client_are_escaped(self, start_server):
        server = start_server("apps.probe:app", "--access-log-format", '"%(a)s"', apart=True)
        server.get("/hello", [(b"user-agent", b'a"b\\c\xe9')])
        server.stop()
        line = server.standard_output.read_text().strip()
        assert line.startswith('"')
        assert line.endswith('"')
        assert '"b' not in line.replace('\\"', "")

    def test_json(self, start_server):
        server = start_server("apps.probe:app", "--access-log-format", "json", apart=True)
        server.get('/hello?"\\', [(b"user-agent", b'a"b\\c\xe9')])
        server.stop()
        line = json.loads(server.standard_output.read_text())
        assert line["status"] == 200
        assert line["method"] == "GET"
        assert "/hello" in json.dumps(line)

    def test_bad_atom(self, launch_server):
        server = launch_server("apps.probe:app", "--access-log-format", "%(nonsense)s")
        assert server.wait() != 0
        assert "nonsense" in server.output()


class TestLevels:
    def test_warning_is_quiet(self, launch_server):
        server = launch_server("apps.lifespans:slow", "--log-level", "warning")
        server.printed("lifespan: started")
        server.stop()
        assert "INFO" not in server.output()

    @pytest.mark.parametrize("level", ["debug", "trace", "DEBUG"])
    def test_louder(self, start_server, level):
        if serving.KIND == "uvicorn" and level == "DEBUG":
            pytest.skip("uvicorn wants small letters")
        server = start_server("apps.probe:app", "--log-level", level)
        assert server.get("/hello").status == 200

    def test_errors_all_the_same(self, start_server):
        server = start_server("apps.probe:app", "--log-level", "info")
        server.get("/fail")
        server.printed("^ERROR: +Exception in ASGI application")


class TestColours:
    def test_asked_for(self, start_server):
        server = start_server("apps.probe:app", "--use-colors")
        server.get("/hello")
        server.printed("\x1b\\[32mINFO\x1b\\[0m: ")
        server.printed("\x1b\\[32m200 OK\x1b\\[0m")

    def test_not_into_a_file(self, tmp_path):
        """Without a flag it depends on the terminal."""
        server = serving.start(tmp_path, "apps.probe:app")
        try:
            server.get("/hello")
            assert "\x1b" not in server.output()
        finally:
            server.kill()


CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(name)s %(levelname)s %(message)s"},
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": "access %(client_addr)s %(request_line)s %(status_code)s",
            "use_colors": False,
        },
    },
    "handlers": {
        "plain": {"class": "logging.StreamHandler", "formatter": "plain"},
        "file": {"class": "logging.FileHandler", "formatter": "plain", "filename": ""},
    },
    "loggers": {
        "uvicorn": {"handlers": ["plain"], "level": "INFO", "propagate": False},
        "uvicorn.access": {"handlers": ["file"], "level": "INFO", "propagate": False},
    },
}


class TestConfiguration:
    """`--log-config` as for uvicorn: the loggers have its names."""

    def config(self, tmp_path) -> dict:
        config = json.loads(json.dumps(CONFIG))
        config["handlers"]["file"]["filename"] = str(tmp_path / "access.log")
        del config["formatters"]["access"]
        return config

    def check(self, server, tmp_path) -> None:
        server.get("/hello?x=1")
        server.stop()
        server.printed(r"^uvicorn\.error INFO (Uvicorn|Vivace) running on http://127\.0\.0\.1:")
        line = (tmp_path / "access.log").read_text().strip()
        assert re.fullmatch(
            r'uvicorn\.access INFO 127\.0\.0\.1:\d+ - "GET /hello\?x=1 HTTP/1\.1" 200', line
        )

    def test_json(self, start_server, tmp_path):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(self.config(tmp_path)))
        self.check(start_server("apps.probe:app", "--log-config", str(path)), tmp_path)

    def test_yaml(self, start_server, tmp_path):
        pytest.importorskip("yaml")
        path = tmp_path / "log.yaml"
        # JSON is YAML.
        path.write_text(json.dumps(self.config(tmp_path), indent=1))
        self.check(start_server("apps.probe:app", "--log-config", str(path)), tmp_path)

    def test_ini(self, start_server, tmp_path):
        path = tmp_path / "log.ini"
        path.write_text(
            "[loggers]\nkeys=root,access\n"
            "[handlers]\nkeys=plain,file\n"
            "[formatters]\nkeys=plain\n"
            "[logger_root]\nlevel=INFO\nhandlers=plain\n"
            "[logger_access]\nlevel=INFO\nhandlers=file\nqualname=uvicorn.access\npropagate=0\n"
            "[handler_plain]\nclass=StreamHandler\nformatter=plain\nargs=(sys.stderr,)\n"
            "[handler_file]\nclass=FileHandler\nformatter=plain\n"
            f"args=({str(tmp_path / 'access.log')!r},)\n"
            "[formatter_plain]\nformat=%(name)s %(levelname)s %(message)s\n"
        )
        self.check(start_server("apps.probe:app", "--log-config", str(path)), tmp_path)

    def test_formatter_of_uvicorn(self, start_server, tmp_path):
        """Configurations name its classes: where uvicorn is installed they work."""
        pytest.importorskip("uvicorn")
        config = self.config(tmp_path)
        config["formatters"]["access"] = CONFIG["formatters"]["access"]
        config["handlers"]["file"]["formatter"] = "access"
        path = tmp_path / "log.json"
        path.write_text(json.dumps(config))
        server = start_server("apps.probe:app", "--log-config", str(path))
        server.get("/hello?x=1")
        server.stop()
        line = (tmp_path / "access.log").read_text().strip()
        assert re.fullmatch(r"access 127\.0\.0\.1:\d+ GET /hello\?x=1 HTTP/1\.1 200 OK", line)

    def test_handlers_of_the_application(self, start_server, tmp_path):
        """An application that configures `uvicorn.access` itself is heard."""
        (tmp_path / "application.py").write_text(
            "import logging\n"
            "from apps.probe import app\n"
            f"handler = logging.FileHandler({str(tmp_path / 'own.log')!r})\n"
            "logging.getLogger('uvicorn.access').addHandler(handler)\n"
        )
        server = start_server("application:app", "--app-dir", str(tmp_path))
        server.get("/hello?own")
        server.stop()
        assert '"GET /hello?own HTTP/1.1" 200' in (tmp_path / "own.log").read_text()
