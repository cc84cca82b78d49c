"""`vivace.serve.Config`: values are checked, and become what the engine is told."""

from __future__ import annotations

import logging
import os
import pickle
from typing import Any

import pytest

from vivace.serve import Config


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("never called")


def config(**options: Any) -> Config:
    """A configuration that leaves the logs of the test run alone."""
    return Config(options.pop("app", app), log_config=None, **options)


class TestUvicornsDefaults:
    """As `uvicorn --help` shows them; a difference is listed in docs/serve.md."""

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("host", "127.0.0.1"),
            ("port", 8000),
            ("uds", None),
            ("fd", None),
            ("reload", False),
            ("reload_delay", 0.25),
            ("loop", "auto"),
            ("http", "auto"),
            ("http2", False),
            ("ws", "auto"),
            ("ws_max_size", 16777216),
            ("ws_max_queue", 32),
            ("ws_ping_interval", 20.0),
            ("ws_ping_timeout", 20.0),
            ("ws_per_message_deflate", True),
            ("lifespan", "auto"),
            ("interface", "auto"),
            ("access_log", True),
            ("proxy_headers", True),
            ("server_header", True),
            ("date_header", True),
            ("root_path", ""),
            ("limit_concurrency", None),
            ("backlog", 2048),
            ("limit_max_requests", None),
            ("limit_max_requests_jitter", 0),
            ("timeout_keep_alive", 5),
            ("ssl_version", 17),
            ("ssl_cert_reqs", 0),
            ("factory", False),
            ("reset_contextvars", False),
        ],
    )
    def test_default(self, name, value):
        assert getattr(config(), name) == value

    def test_forwarded_allow_ips(self, monkeypatch):
        monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
        assert config().settings().forwarded_allow_ips == ["127.0.0.1", "::1"]

    @pytest.mark.parametrize(
        "name",
        [
            "uds", "fd", "reload_dirs", "reload_includes", "reload_excludes", "workers", "env_file",
            "log_level", "forwarded_allow_ips", "limit_concurrency", "headers",
            "limit_max_requests", "timeout_graceful_shutdown", "ssl_keyfile", "ssl_certfile",
            "ssl_keyfile_password", "ssl_ca_certs", "ssl_ciphers", "ssl_context_factory",
            "use_colors", "app_dir", "h11_max_incomplete_event_size",
        ],
    )  # fmt: skip
    def test_none_where_uvicorn_takes_it(self, name):
        """It is uvicorn's own default, which programs hand on."""
        config(**{name: None}).settings()

    def test_host_and_port_may_be_positional(self):
        made = Config(app, "0.0.0.0", 80, log_config=None)
        assert (made.host, made.port) == ("0.0.0.0", 80)


class TestChecks:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"port": 65536}, "port must be at most 65535, not 65536"),
            ({"port": -1}, "port must be at least 0, not -1"),
            ({"port": "80"}, "port must be a whole number, not '80'"),
            ({"workers": 0}, "workers must be at least 1, not 0"),
            (
                {"forwarded_allow_ips": "::1, 1.2.3.4/99"},
                "forwarded_allow_ips: '1.2.3.4/99' is no IP address and no network",
            ),
            ({"workers": True}, "workers must be a whole number, not True"),
            ({"limit_concurrency": 0}, "limit_concurrency must be at least 1, not 0"),
            ({"timeout_write": 0}, "timeout_write must be more than 0, not 0"),
            ({"timeout_keep_alive": -1}, "timeout_keep_alive must be more than 0, not -1"),
            (
                {"timeout_request": float("inf")},
                "timeout_request must be a number of seconds, not inf",
            ),
            (
                {"ssl_cert_reqs": 9},
                "ssl_cert_reqs must be one of 0 (CERT_NONE), 1 (CERT_OPTIONAL), "
                "2 (CERT_REQUIRED), not 9",
            ),
            (
                {"ssl_version": 99},
                "ssl_version must be one of 2 (PROTOCOL_TLS), 3 (PROTOCOL_TLSv1), "
                "4 (PROTOCOL_TLSv1_1), 5 (PROTOCOL_TLSv1_2), 16 (PROTOCOL_TLS_CLIENT), "
                "17 (PROTOCOL_TLS_SERVER), not 99",
            ),
            ({"lifespan": "maybe"}, "lifespan must be one of auto, on, off, not 'maybe'"),
            (
                {"interface": "rsgi"},
                "interface must be one of auto, asgi3, asgi2, wsgi, not 'rsgi'",
            ),
            (
                {"log_level": "loud"},
                "log_level must be one of critical, error, warning, info, debug, trace, not 'loud'",
            ),
            (
                {"access_log_format": "xml"},
                "access_log_format must be one of text, json, logfmt or contain atoms such as "
                "%(h)s, not 'xml'",
            ),
            (
                {"access_log_format": "%(h)s %(nonsense)s"},
                "access_log_format: access log format, byte 6: there is no atom %(nonsense)s",
            ),
            ({"metrics": "here"}, "metrics: 'here' is no port, and no HOST:PORT"),
            ({"metrics": "99999"}, "metrics: '99999' is no port, and no HOST:PORT"),
            ({"static": [("/x", "/no/folder")]}, "static: '/no/folder' is not a folder"),
            ({"static": [("x", "y")]}, "static: a route begins with /, and 'x' does not"),
        ],
    )
    def test_refused(self, options, message):
        with pytest.raises(ValueError) as caught:
            config(**options)
        assert str(caught.value).partition(";")[0] == message

    @pytest.mark.parametrize("option", ["http", "ws"])
    def test_a_protocol_of_somebody_else(self, option):
        with pytest.raises(ValueError, match=f"^{option}='some.where:Protocol' cannot be used"):
            config(**{option: "some.where:Protocol"})

    @pytest.mark.parametrize(
        ("option", "choice"), [("loop", "uvloop"), ("http", "httptools"), ("ws", "wsproto")]
    )
    def test_an_implementation_of_uvicorns_is_ignored_loudly(self, option, choice, caplog):
        caplog.set_level(logging.WARNING, "uvicorn.error")
        config(**{option: choice})
        assert caplog.messages == [
            f'"{option}={choice}" is ignored: vivace has an implementation of its own.'
        ]

    @pytest.mark.parametrize("option", ["workers", "limit_body_size", "timeout_graceful_shutdown"])
    def test_none_is_no_limit(self, option):
        assert getattr(config(**{option: None}), option) is None


class TestHeaders:
    def encoded(self, *headers: Any, **options: Any) -> list[tuple[bytes, bytes]]:
        return config(headers=headers, **options).settings().default_headers

    def test_server_comes_first(self):
        assert self.encoded(("X-A", "b")) == [(b"server", b"vivace"), (b"x-a", b"b")]

    def test_server_of_ones_own(self):
        assert self.encoded(("Server", "mine")) == [(b"server", b"mine")]

    def test_no_server(self):
        assert self.encoded(server_header=False) == []

    def test_white_space_around_a_value(self):
        assert self.encoded(("A", "  b c\t"), server_header=False) == [(b"a", b"b c")]

    @pytest.mark.parametrize(
        "header",
        [("a b", "c"), ("", "c"), ("a", "b\r\nc: d"), ("a", "b\0"), ("a:", "b"), ("a",)],
    )
    def test_what_http_forbids(self, header):
        with pytest.raises(ValueError, match="^headers: "):
            self.encoded(header)

    def test_what_latin_1_has_not(self):
        with pytest.raises(ValueError, match="cannot be written in Latin-1"):
            self.encoded(("a", "\u20ac"))


class TestEnvironment:
    def test_web_concurrency(self, monkeypatch):
        monkeypatch.setenv("WEB_CONCURRENCY", "3")
        assert config().processes == 3
        assert config(workers=2).processes == 2
        assert config(reload=True).processes == 1
        monkeypatch.setenv("WEB_CONCURRENCY", "0")
        assert config().processes == 1

    def test_web_concurrency_that_is_no_number(self, monkeypatch):
        monkeypatch.setenv("WEB_CONCURRENCY", "many")
        with pytest.raises(ValueError, match="^WEB_CONCURRENCY must be a number, not 'many'$"):
            config()

    def test_forwarded_allow_ips(self, monkeypatch):
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.0/8, unix:")
        assert config().settings().forwarded_allow_ips == ["10.0.0.0/8", "unix:"]
        given = config(forwarded_allow_ips=["::1", " 10.1.1.1 "])
        assert given.settings().forwarded_allow_ips == ["::1", "10.1.1.1"]

    def test_env_file(self, monkeypatch, tmp_path, caplog):
        caplog.set_level(logging.INFO, "uvicorn.error")
        # Set first, so that it is put back as it was; the file sets what is not set.
        monkeypatch.setenv("WEB_CONCURRENCY", "")
        del os.environ["WEB_CONCURRENCY"]
        monkeypatch.setenv("VIVACE_TEST_NAME", "kept")
        file = tmp_path / "variables"
        file.write_text("WEB_CONCURRENCY=5\nVIVACE_TEST_NAME=from the file\n")
        made = config(env_file=file)
        assert caplog.messages == [f"Loading environment from '{file}'"]
        assert made.processes == 5
        assert os.environ["VIVACE_TEST_NAME"] == "kept"

    def test_env_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ValueError, match="^env_file: there is no file '.*missing'$"):
            config(env_file=tmp_path / "missing")


class TestSettings:
    def test_numbers_have_the_types_that_the_engine_reads(self):
        settings = config(timeout_keep_alive=7, timeout_request=3, ws_ping_interval=1).settings()
        for name in ("timeout_keep_alive", "timeout_request", "ws_ping_interval", "timeout_write"):
            assert type(getattr(settings, name)) is float

    def test_an_interval_of_0_turns_pings_off(self):
        assert config(ws_ping_interval=0).settings().ws_ping_interval is None

    def test_jitter(self):
        limits = {
            config(limit_max_requests=10, limit_max_requests_jitter=3).settings().limit_max_requests
            for _ in range(200)
        }
        assert limits == {10, 11, 12, 13}

    def test_h11s_limit_is_ours(self):
        assert config(h11_max_incomplete_event_size=1000).settings().limit_header_size == 1000

    def test_no_websockets(self):
        assert config().settings().ws
        assert not config(ws="none").settings().ws
        assert not config(interface="wsgi").settings().ws

    def test_frozen(self):
        with pytest.raises(AttributeError):
            config().settings().root_path = "/x"  # type: ignore[misc]


def test_a_worker_gets_the_same_configuration():
    made = Config("module:app", port=0, workers=2, headers=[("a", "b")], log_config=None)
    copied = pickle.loads(pickle.dumps(made))
    assert copied.settings() == made.settings()
    assert copied.addresses == made.addresses


def test_passwords_are_not_shown():
    assert "secret" not in repr(config(ssl_keyfile_password="secret"))
