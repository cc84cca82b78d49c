"""The command line: uvicorn's flags and what comes on top, their variables, and mistakes."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from support import serving
from support.serving import FOLDER, environment

USAGE = 2
STARTUP_FAILED = 3

# Flag and an allowed value, None for a switch. All of uvicorn's, then those on top.
OF_UVICORN = {
    "--host": "127.0.0.1",
    "--port": "0",
    "--uds": "",
    "--fd": "",
    "--app-dir": str(FOLDER),
    "--factory": "",
    "--env-file": "",
    "--reset-contextvars": None,
    "--reload": "",
    "--reload-dir": "",
    "--reload-include": "",
    "--reload-exclude": "",
    "--reload-delay": "",
    "--workers": "1",
    "--timeout-worker-healthcheck": "5",
    "--loop": "auto",
    "--http": "auto",
    "--http2": "",
    "--ws": "auto",
    "--ws-max-size": "16777216",
    "--ws-max-queue": "32",
    "--ws-ping-interval": "20.0",
    "--ws-ping-timeout": "20.0",
    "--ws-per-message-deflate": "true",
    "--lifespan": "auto",
    "--interface": "auto",
    "--h11-max-incomplete-event-size": "16384",
    "--log-config": "",
    "--log-level": "info",
    "--access-log": None,
    "--no-access-log": "",
    "--use-colors": "",
    "--no-use-colors": None,
    "--proxy-headers": None,
    "--no-proxy-headers": "",
    "--forwarded-allow-ips": "127.0.0.1",
    "--server-header": None,
    "--no-server-header": "",
    "--date-header": None,
    "--no-date-header": "",
    "--header": "x-a:b",
    "--root-path": "/api",
    "--limit-concurrency": "100",
    "--backlog": "2048",
    "--limit-max-requests": "1000",
    "--limit-max-requests-jitter": "10",
    "--timeout-keep-alive": "5",
    "--timeout-graceful-shutdown": "5",
    "--ssl-keyfile": "",
    "--ssl-certfile": "",
    "--ssl-keyfile-password": "",
    "--ssl-version": "",
    "--ssl-cert-reqs": "",
    "--ssl-ca-certs": "",
    "--ssl-ciphers": "",
    "--version": "",
}

ON_TOP = {
    "--bind": "",
    "--check": "",
    "--cancel-on-disconnect": None,
    "--timeout-request": "60",
    "--timeout-request-header": "10",
    "--timeout-write": "30",
    "--limit-body-rate": "100",
    "--limit-body-size": "1000000",
    "--limit-headers": "100",
    "--limit-header-size": "65536",
    "--limit-queue": "10",
    "--limit-connections-per-address": "100",
    "--access-log-format": "",
}

on_top = pytest.mark.skipif(serving.KIND != "vivace", reason="only vivace has these flags")


def run(*words: str, env: dict[str, str] | None = None, seconds: float = 30.0):
    """Run the command to its end."""
    start = (
        [sys.executable, "-m", "vivace", "serve"]
        if serving.KIND == "vivace"
        else [serving.PEER_PYTHON, "-m", "uvicorn"]
    )
    return subprocess.run(
        [*start, *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=FOLDER,
        env=environment({"NO_COLOR": "1", "COLUMNS": "100"} | (env or {})),
    )


def test_help_names_each_flag():
    done = run("--help")
    assert done.returncode == 0
    assert not done.stderr
    for flag in OF_UVICORN:
        if serving.KIND == "vivace" or flag != "--h11":
            assert flag in done.stdout, flag


@on_top
def test_help_names_what_is_on_top():
    text = run("--help").stdout
    for flag in ON_TOP:
        assert flag in text, flag


def test_all_flags_at_once(start_server):
    words = []
    for flag, value in (OF_UVICORN | (ON_TOP if serving.KIND == "vivace" else {})).items():
        if value != "" and flag not in ("--app-dir", "--no-use-colors"):
            words += [flag] if value is None else [flag, value]
    server = start_server("apps.probe:app", *words)
    response = server.get("/hello")
    assert response.body == b"hello"
    assert response[b"x-a"] == b"b"


def test_version():
    done = run("--version")
    assert done.returncode == 0
    assert "CPython" in done.stdout
    assert "Linux" in done.stdout


class TestMistakes:
    """Exit status 2, nothing started, and a line that names what is wrong."""

    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (("apps.probe:app", "--prot", "8000"), "--prot"),
            (("apps.probe:app", "--worker", "x"), "--worker"),
            (("apps.probe:app", "--port", "eighty"), "eighty"),
            (("apps.probe:app", "--port"), "--port"),
            (("apps.probe:app", "--workers", "many"), "many"),
            (("apps.probe:app", "--log-level", "loud"), "loud"),
            (("apps.probe:app", "--lifespan", "maybe"), "maybe"),
            (("apps.probe:app", "--interface", "asgi9"), "asgi9"),
            (("apps.probe:app", "--timeout-keep-alive", "soon"), "soon"),
            (("apps.probe:app", "--env-file", "/nothing/here"), "/nothing/here"),
            (("apps.probe:app", "--log-config", "/nothing/here"), "/nothing/here"),
            ((), "application" if serving.KIND == "vivace" else "APP"),
        ],
    )
    def test_named(self, words, named):
        done = run(*words)
        assert done.returncode == USAGE
        assert named in done.stderr
        assert "Traceback" not in done.stderr

    @on_top
    @pytest.mark.parametrize(
        ("words", "named"),
        [
            (("--port", "65536"), "65536"),
            (("--port", "-1"), "-1"),
            (("--workers", "-1"), "-1"),
            (("--backlog", "-1"), "-1"),
            (("--timeout-keep-alive", "-1"), "-1"),
            (("--ws-max-size", "-1"), "-1"),
            (("--limit-concurrency", "-1"), "-1"),
            (("--header", "no colon"), "no colon"),
            (("--header", "bad name: x"), "bad name"),
            (("--header", "x: a\r\nb: c"), "x"),
            (("--bind", "127.0.0.1:x"), "127.0.0.1:x"),
            (("--bind", ":::"), ":::"),
        ],
    )
    def test_values_out_of_range(self, words, named):
        done = run("apps.probe:app", *words)
        assert done.returncode == USAGE, done.stderr
        assert named in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_suggestion(self):
        assert "--port" in run("apps.probe:app", "--prot", "8000").stderr


class TestVariables:
    """`UVICORN_FLAG` for each flag, `VIVACE_FLAG` before it, the command line before both."""

    def header_of(self, start_server, name: str, *flags: str, **variables: str) -> list[bytes]:
        server = start_server("apps.probe:app", *flags, env=variables)
        return server.get("/hello").all(name.encode())

    def test_of_uvicorn(self, start_server):
        assert self.header_of(start_server, "date", UVICORN_DATE_HEADER="false") == []

    @on_top
    def test_of_vivace(self, start_server):
        assert self.header_of(start_server, "date", VIVACE_DATE_HEADER="0") == []

    @on_top
    def test_vivace_goes_first(self, start_server):
        assert (
            self.header_of(
                start_server, "date", VIVACE_DATE_HEADER="false", UVICORN_DATE_HEADER="true"
            )
            == []
        )

    def test_the_command_line_goes_first(self, start_server):
        assert self.header_of(start_server, "date", "--date-header", UVICORN_DATE_HEADER="false")

    def test_the_application(self, tmp_path, launch_server):
        """APP may be left out if there is a variable."""
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *serving.command("apps.probe:app")[: 3 if serving.KIND == "uvicorn" else 4],
                    *("--port", "0", "--no-use-colors"),
                ],
                cwd=FOLDER,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment({"UVICORN_APP": "apps.probe:app"}),
            )
        server = serving.Server(process, log, [])
        try:
            server.wait_until_up()
            assert server.get("/hello").body == b"hello"
        finally:
            server.kill()

    def test_several_values(self, start_server):
        """The name is that of the parameter behind the flag, in the plural."""
        values = self.header_of(start_server, "x-a", UVICORN_HEADERS="x-a:1 x-a:2")
        assert values == [b"1", b"2"]

    def test_bad_value(self):
        done = run("apps.probe:app", env={"UVICORN_PORT": "eighty"})
        assert done.returncode == USAGE
        assert "eighty" in done.stderr

    @on_top
    def test_bad_value_names_the_variable(self):
        done = run("apps.probe:app", env={"VIVACE_PORT": "eighty"})
        assert done.returncode == USAGE
        assert "eighty" in done.stderr
        assert "VIVACE_PORT" in done.stderr

    def test_workers_of_the_platform(self, launch_server):
        """$WEB_CONCURRENCY, as platforms set it."""
        server = launch_server("apps.probe:app", env={"WEB_CONCURRENCY": "2"})
        server.printed(r"Started server process", count=2)
        server.stop()

    def test_forwarded_allow_ips(self, start_server):
        server = start_server("apps.probe:app", env={"FORWARDED_ALLOW_IPS": "192.0.2.1"})
        scope = ast.literal_eval(
            server.get("/scope", [(b"x-forwarded-proto", b"https")]).body.decode()
        )
        assert scope["scheme"] == "http"

    def test_an_empty_one_counts_as_none(self, start_server):
        assert self.header_of(
            start_server, "date", UVICORN_ROOT_PATH="", UVICORN_LIMIT_CONCURRENCY=""
        )


class TestApplication:
    def test_factory(self, start_server):
        server = start_server("apps.servers:factory", "--factory")
        assert server.get("/hello").body == b"hello"

    def test_in_a_namespace(self, start_server):
        assert start_server("apps.servers:Namespace.app").get("/hello").body == b"hello"

    def test_asgi_2(self, start_server):
        server = start_server("apps.servers:Asgi2", "--lifespan", "off")
        assert server.get("/").body == b"asgi2 http 2.0"

    def test_a_class_that_is_awaited(self, start_server):
        assert start_server("apps.servers:Endpoint").get("/hello").body == b"hello"

    @on_top
    def test_wsgi(self, start_server):
        server = start_server("apps.servers:wsgi", "--interface", "wsgi")
        with server.connect() as wire:
            response = wire.request("POST", "/a%20path", body=b"body")
            assert response.body == b"wsgi POST body"
            assert response[b"x-path"] == b"/a path"

    def test_app_dir(self, start_server, tmp_path):
        (tmp_path / "application.py").write_text("from apps.probe import app\n")
        server = start_server("application:app", "--app-dir", str(tmp_path))
        assert server.get("/hello").body == b"hello"

    def test_app_dir_is_first(self, start_server):
        server = start_server("apps.servers:app")
        path, _ = ast.literal_eval(server.get("/path").body.decode())
        assert path[0] == str(FOLDER)

    def test_env_file(self, start_server, tmp_path):
        """It is for the application: what it says of UVICORN_* does not count."""
        file = tmp_path / ".env"
        file.write_text("NAME_OF_A_TEST='a value'\nexport OTHER=2 # comment\nUVICORN_PORT=1\n")
        server = start_server("apps.servers:app", "--env-file", str(file))
        assert server.get("/environment/NAME_OF_A_TEST").body == b"'a value'"
        assert server.get("/environment/OTHER").body == b"'2'"
        assert server.port != 1

    def test_env_file_changes_nothing_that_is_set(self, start_server, tmp_path):
        file = tmp_path / ".env"
        file.write_text("NAME_OF_A_TEST=file\n")
        server = start_server(
            "apps.servers:app", "--env-file", str(file), env={"NAME_OF_A_TEST": "outside"}
        )
        assert server.get("/environment/NAME_OF_A_TEST").body == b"'outside'"


class TestStartFailures:
    """Exit status 3, and a message that says why."""

    def fails(self, launch_server, app: str, *flags: str, **options) -> str:
        server = launch_server(app, *flags, **options)
        assert server.wait() == STARTUP_FAILED, server.output()
        assert "running on" not in server.output()
        return server.output()

    def test_no_such_module(self, launch_server):
        output = self.fails(launch_server, "nothing_of_this_name:app")
        assert 'Could not import module "nothing_of_this_name".' in output
        assert "Traceback" not in output

    def test_no_such_attribute(self, launch_server):
        output = self.fails(launch_server, "apps.probe:nothing")
        assert 'Attribute "nothing" not found in module "apps.probe".' in output
        assert "Traceback" not in output

    @pytest.mark.parametrize("name", ["apps.probe", "apps.probe:", ":app"])
    def test_wrong_form(self, launch_server, name):
        output = self.fails(launch_server, name)
        assert f'Import string "{name}" must be in format "<module>:<attribute>".' in output

    @on_top
    def test_module_that_raises(self, launch_server):
        output = self.fails(launch_server, "apps.broken.raises:app")
        assert "LookupError: the module broke" in output
        assert 'raises.py", line' in output

    @on_top
    def test_module_that_misses_another(self, launch_server):
        """It is the other one that is missing: the message must not blame the first."""
        output = self.fails(launch_server, "apps.broken.needs_another:app")
        assert "nothing_of_this_name" in output
        assert 'Could not import module "apps.broken.needs_another"' not in output

    @on_top
    @pytest.mark.parametrize(
        ("factory", "reason"),
        [("broken_factory", "the factory broke"), ("factory_with_arguments", "needed")],
    )
    def test_broken_factory(self, launch_server, factory, reason):
        assert reason in self.fails(launch_server, f"apps.servers:{factory}", "--factory")

    @on_top
    def test_not_an_application(self, launch_server):
        output = self.fails(launch_server, "apps.servers:not_an_application")
        assert "apps.servers:not_an_application" in output

    def test_port_in_use(self, launch_server):
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            output = self.fails(launch_server, "apps.probe:app", "--port", port)
        assert "address already in use" in output.lower()
        assert port in output

    def test_lifespan_ends_if_the_port_is_in_use(self, launch_server):
        """What was started is ended."""
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            output = self.fails(launch_server, "apps.lifespans:good", "--port", port)
        assert output.count("lifespan.startup") == output.count("lifespan.shutdown")

    def test_no_such_address(self, launch_server):
        output = self.fails(launch_server, "apps.probe:app", "--host", "192.0.2.1")
        assert "192.0.2.1" in output

    @on_top
    def test_no_such_name(self, launch_server):
        assert "nowhere.invalid" in self.fails(
            launch_server, "apps.probe:app", "--host", "nowhere.invalid"
        )

    @on_top
    def test_no_folder_for_the_socket(self, launch_server):
        output = self.fails(launch_server, "apps.probe:app", "--uds", "/nothing/here/s")
        assert "/nothing/here/s" in output

    @on_top
    def test_no_such_descriptor(self, launch_server):
        assert "99" in self.fails(launch_server, "apps.probe:app", "--fd", "99")

    @on_top
    def test_missing_certificate(self, launch_server):
        output = self.fails(launch_server, "apps.probe:app", "--ssl-certfile", "/nothing/here.pem")
        assert "/nothing/here.pem" in output

    @on_top
    def test_nonsense_ciphers(self, launch_server, certificates):
        path = str(certificates.server)
        flags = ("--ssl-certfile", path, "--ssl-ciphers", "NONE-SUCH")
        output = self.fails(launch_server, "apps.probe:app", *flags)
        assert f"TLS with {path}: No cipher can be selected.\n" in output

    @on_top
    def test_nonsense_certificate(self, launch_server):
        path = str(FOLDER / "conftest.py")
        assert path in self.fails(launch_server, "apps.probe:app", "--ssl-certfile", path)


@on_top
class TestCheck:
    """`--check` loads the application, starts and ends it, and tells by its status."""

    def test_good(self):
        done = run("apps.lifespans:good", "--check")
        assert done.returncode == 0, done.stderr
        assert "lifespan.startup" in done.stderr
        assert "lifespan.shutdown" in done.stderr
        assert "running on" not in done.stderr

    @pytest.mark.parametrize("app", ["apps.lifespans:fails", "nothing:app", "apps.probe:nothing"])
    def test_bad(self, app):
        assert run(app, "--check").returncode == STARTUP_FAILED

    def test_it_does_not_listen(self):
        """So it can be run beside the server that it is to replace."""
        import socket

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            assert run("apps.probe:app", "--check", "--port", port).returncode == 0


def test_the_server_runs_on_its_own_loop(server):
    assert server.get("/loop").body.split(b".")[0] == serving.KIND.encode() or (
        serving.KIND != "vivace"
    )
