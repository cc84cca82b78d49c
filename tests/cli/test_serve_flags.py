"""`vivace serve`: its flags are uvicorn's and more; flags, then VIVACE_*, then UVICORN_*."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from vivace._cli import serve, serve_environment
from vivace._cli.serve_flags import FLAGS, Flag, Kind
from vivace.serve import Config

if TYPE_CHECKING:
    from conftest import Commands

# Where we differ from uvicorn on purpose; docs/serve.md says why.
OTHER_DEFAULTS = {"timeout_graceful_shutdown", "timeout_worker_healthcheck"}


def options(*words: str, **environment: str) -> dict[str, Any]:
    """What Config would be called with."""
    given, unknown = serve.ServeParser().parse_known_args(list(words))
    assert unknown == []
    values = vars(given)
    before = serve.os.environ
    serve.os.environ = environment  # type: ignore[assignment]
    try:
        return serve.options_of(values)
    finally:
        serve.os.environ = before


def wrong(commands: Commands, *words: str) -> str:
    """The one line that a wrong call prints."""
    status, out, err = commands.vivace("serve", *words)
    assert (status, out) == (2, "")
    assert err.startswith("vivace serve: ")
    assert err.count("\n") == 1
    return err.removeprefix("vivace serve: ").rstrip()


class TestUvicorns:
    @pytest.fixture
    def theirs(self) -> dict[str, Any]:
        main = pytest.importorskip("uvicorn.main")
        return {param.name: param for param in main.main.params}

    def test_each_flag_is_ours_too(self, theirs):
        ours = {spelling for flag in FLAGS for spelling in flag.spellings}
        ours |= {f"--no-{flag.spellings[0][2:]}" for flag in FLAGS if flag.kind is Kind.TOGGLE}
        wanted = {
            spelling
            for param in theirs.values()
            if param.name != "app"
            for spelling in (*param.opts, *param.secondary_opts)
        }
        assert len(wanted) > 50
        assert wanted - ours == set()

    def test_each_default_is_ours_too(self, theirs):
        made = Config("module:app", log_config=None)
        different = set()
        for name, param in theirs.items():
            if name in ("app", "version", "app_dir"):
                continue
            # What is not given has a value of its own there; here it is empty or None.
            default = None if repr(param.default) == "Sentinel.UNSET" else param.default
            mine = getattr(made, name)
            if name == "forwarded_allow_ips":
                continue
            if (mine or None) != (default or None):
                different.add(name)
        assert different == OTHER_DEFAULTS

    def test_each_flag_takes_what_theirs_takes(self, theirs):
        switches = {name for name, param in theirs.items() if getattr(param, "is_flag", False)}
        assert {f.field for f in FLAGS if f.kind in (Kind.SWITCH, Kind.TOGGLE)} >= switches
        multiple = {name for name, param in theirs.items() if param.multiple}
        assert {f.field for f in FLAGS if f.multiple} >= multiple


class TestValues:
    @pytest.mark.parametrize(
        ("words", "field", "value"),
        [
            (["--port", "80"], "port", 80),
            (["--port=80"], "port", 80),
            (["-b", "a:1", "--bind", "unix:/s"], "bind", ["a:1", "unix:/s"]),
            (["-ba:1"], "bind", ["a:1"]),
            (["--reload"], "reload", True),
            (["--no-access-log"], "access_log", False),
            (["--use-colors"], "use_colors", True),
            (["--header", "A:b:c", "--header", "D: e"], "headers", [("A", "b:c"), ("D", " e")]),
            (["--ws-per-message-deflate", "false"], "ws_per_message_deflate", False),
            (["--timeout-keep-alive", "2.5"], "timeout_keep_alive", 2.5),
            (["--timeout-graceful-shutdown", "none"], "timeout_graceful_shutdown", None),
            (["--ws-ping-interval", "none"], "ws_ping_interval", None),
            (["--limit-body-size", "10M"], "limit_body_size", 10 << 20),
            (["--limit-max-rss", "1.GiB".replace(".", "")], "limit_max_rss", 1 << 30),
            (["--limit-header-size", "4096"], "limit_header_size", 4096),
            (["--reload-dir", "a", "--reload-dir", "b"], "reload_dirs", ["a", "b"]),
            (["--static", "/s=folder"], "static", [("/s", "folder")]),
            (["--log-level", "DEBUG"], "log_level", "debug"),
            (["--root-path", "/x"], "root_path", "/x"),
        ],
    )
    def test_read(self, words, field, value):
        assert options("module:app", *words)[field] == value

    def test_not_given_is_not_said(self):
        assert options("module:app") == {"app": "module:app", "app_dir": ""}

    @pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.spellings[0])
    def test_each_sets_a_field(self, flag: Flag):
        fields = Config.__dataclass_fields__
        assert flag.field in fields or flag.field in ("help", "version", "check", "web")

    def test_each_field_has_a_flag(self):
        """Those without one hold objects, which a command line cannot name."""
        fields = {name for name, field in Config.__dataclass_fields__.items() if field.init}
        without = fields - {flag.field for flag in FLAGS} - {"app"}
        assert without == {"ssl_context_factory", "callback_notify", "timeout_notify"}


class TestEnvironment:
    def test_order(self):
        words = ("module:app", "--root-path", "/flag")
        assert options(*words, VIVACE_ROOT_PATH="/v")["root_path"] == "/flag"
        both = options("module:app", VIVACE_ROOT_PATH="/v", UVICORN_ROOT_PATH="/u")
        assert both["root_path"] == "/v"
        assert options("module:app", UVICORN_ROOT_PATH="/u")["root_path"] == "/u"
        assert "root_path" not in options("module:app", UVICORN_ROOT_PATH="")

    def test_application(self):
        assert options(UVICORN_APP="u:app")["app"] == "u:app"
        assert options(UVICORN_APP="u:app", VIVACE_APP="v:app")["app"] == "v:app"
        assert options("module:app", VIVACE_APP="v:app")["app"] == "module:app"

    def test_switches(self):
        assert options("m:a", UVICORN_RELOAD="true")["reload"] is True
        assert options("m:a", UVICORN_ACCESS_LOG="0")["access_log"] is False
        with pytest.raises(ValueError, match="UVICORN_RELOAD: 'maybe' is neither true nor false"):
            options("m:a", UVICORN_RELOAD="maybe")

    def test_several_values(self):
        assert options("m:a", UVICORN_HEADERS="A:b C:d")["headers"] == [("A", "b"), ("C", "d")]
        assert options("m:a", VIVACE_BIND="a:1 b:2")["bind"] == ["a:1", "b:2"]
        assert options("m:a", UVICORN_RELOAD_DIRS="a:b")["reload_dirs"] == ["a", "b"]
        assert options("m:a", VIVACE_RELOAD_DIR="a")["reload_dirs"] == ["a"]

    def test_a_value_that_cannot_be_read(self):
        with pytest.raises(ValueError, match="^.VIVACE_PORT: 'x' is no whole number$"):
            options("m:a", VIVACE_PORT="x")

    def test_other_programs_variables_say_nothing(self):
        assert serve_environment.read({"VIVACE_HELP": "1", "VIVACE_CHECK": "1"}) == ({}, {})


class TestWhereToListen:
    """The closer word counts: --bind over $UVICORN_PORT, --port over $VIVACE_BIND."""

    def test_flag_over_environment(self):
        assert "port" not in options("m:a", "--bind", "a:1", UVICORN_PORT="3", VIVACE_UDS="/s")
        assert "bind" not in options("m:a", "--port", "3", VIVACE_BIND="a:1")

    def test_ours_over_uvicorns(self):
        assert "port" not in options("m:a", UVICORN_PORT="3", VIVACE_BIND="a:1")
        assert "bind" not in options("m:a", VIVACE_PORT="3", UVICORN_BIND="a:1")

    def test_contradiction(self):
        with pytest.raises(ValueError, match="give --port or --bind, not both"):
            options("m:a", "--bind", "a:1", "--port", "3")
        with pytest.raises(ValueError, match="give --uds or --fd, not both"):
            options("m:a", "--uds", "/s", "--fd", "3")
        with pytest.raises(ValueError, match="give .VIVACE_UDS or .VIVACE_BIND, not both"):
            options("m:a", VIVACE_BIND="a:1", VIVACE_UDS="/s")

    def test_uvicorn_prefers_a_socket_to_host_and_port(self):
        given = options("m:a", "--uds", "/s", "--port", "3")
        assert (given["uds"], given["port"]) == ("/s", 3)
        assert "uds" not in options("m:a", "--port", "3", UVICORN_UDS="/s")


class TestCommand:
    def test_help(self, commands):
        status, out, err = commands.vivace("serve", "--help")
        assert (status, err) == (0, "")
        assert out.startswith("usage: vivace serve [OPTION ...] APP\n")
        for flag in FLAGS:
            assert flag.spellings[0] in out
        assert commands.vivace("serve", "-h").out == out

    def test_version(self, commands):
        import platform

        import vivace

        status, out, _ = commands.vivace("serve", "--version")
        assert status == 0
        assert out == (
            f"Running vivace {vivace.__version__} with CPython {platform.python_version()} "
            "on Linux\n"
        )

    def test_mistakes(self, commands):
        assert wrong(commands) == "no application: APP is missing, as MODULE:ATTRIBUTE"
        assert wrong(commands, "a:b", "--prot", "1") == "no option --prot; did you mean --port?"
        assert wrong(commands, "a:b", "--relaod") == "no option --relaod; did you mean --reload?"
        assert wrong(commands, "a:b", "--por", "1") == "no option --por; did you mean --port?"
        assert wrong(commands, "a:b", "--zzzzzz=1") == (
            "no option --zzzzzz (see vivace serve --help)"
        )
        assert (
            wrong(commands, "a:b", "c:d") == "one application is served, and 'c:d' is a second one"
        )
        assert wrong(commands, "a:b", "--port", "x") == ("argument --port: 'x' is no whole number")
        assert (
            wrong(commands, "a:b", "--port", "70000") == "--port must be at most 65535, not 70000"
        )
        assert wrong(commands, "a:b", "--lifespan", "x") == (
            "argument --lifespan: 'x' is none of auto, on, off"
        )
        assert wrong(commands, "a:b", "--bind", "nowhere") == (
            "--bind: 'nowhere' is none of HOST:PORT, [IPv6]:PORT, unix:PATH or fd://NUMBER"
        )
        assert wrong(commands, "a:b", "--header", "x") == (
            "argument --header: 'x' has not the form NAME:VALUE"
        )
        assert wrong(commands, "a:b", "--limit-body-size", "big").startswith(
            "argument --limit-body-size: 'big' is no size"
        )
        assert wrong(commands, "a:b", "--env-file", "missing") == (
            "--env-file: there is no file 'missing'"
        )

    def test_named_in_the_help_of_vivace(self, commands):
        assert "\n  serve  " in commands.vivace("--help").out
