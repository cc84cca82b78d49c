"""What may be handed in as an application, and how it is found and called."""

from __future__ import annotations

import functools
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from vivace.serve import Config
from vivace.serve._adapters import adapt, called_if_factory, interface_of
from vivace.serve._errors import NotStarted
from vivace.serve._importer import ImportFromStringError, import_from_string


async def asgi3(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "done", "scope": scope})


def asgi2(scope: Any) -> Any:
    async def instance(receive: Any, send: Any) -> None:
        await send({"type": "done", "scope": scope})

    return instance


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode(), b" ", environ["wsgi.input"].read()]


class Asgi3:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Asgi3ByHand:
    """Not an `async def`, and still ASGI 3."""

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return asgi3(scope, receive, send)


class Awaitable:
    """ASGI 3 by being awaited, as the endpoints of Starlette are."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.arguments = (scope, receive, send)

    def __await__(self) -> Any:
        return asgi3(*self.arguments).__await__()


class Asgi2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class Wsgi:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return wsgi(environ, start_response)


@pytest.fixture
def errors(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "uvicorn.error")
    return caplog


@pytest.mark.parametrize(
    ("app", "interface"),
    [
        (asgi3, "asgi3"),
        (functools.partial(asgi3), "asgi3"),
        (Asgi3(), "asgi3"),
        (Asgi3().__call__, "asgi3"),
        (Asgi3ByHand(), "asgi3"),
        (Awaitable, "asgi3"),
        (asgi2, "asgi2"),
        (Asgi2, "asgi2"),
        (wsgi, "wsgi"),
        (Wsgi(), "wsgi"),
    ],
)
def test_interfaces(app, interface):
    assert interface_of(app) == interface


def call(app: Any, scope: dict[str, Any], body: bytes = b"") -> list[dict[str, Any]]:
    """Call an ASGI 3 application on vivace's loop, and return what it sends."""
    import vivace

    sent: list[dict[str, Any]] = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    vivace.run(app(scope, receive, send))
    return sent


SCOPE = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.5"}}


@pytest.mark.parametrize("app", [Awaitable, Asgi3ByHand()])
def test_what_is_called_is_a_coroutine(app):
    """The engine makes a task of it, which takes no other awaitables."""
    adapted, _ = adapt(app, "auto")
    ((message),) = call(adapted, SCOPE)
    assert message == {"type": "done", "scope": SCOPE}


@pytest.mark.parametrize("app", [asgi3, Asgi3(), Asgi3().__call__])
def test_coroutine_functions_are_called_themselves(app):
    assert adapt(app, "auto")[0] is app


def test_asgi2_is_told_its_version():
    app, interface = adapt(asgi2, "auto")
    assert interface == "asgi2"
    ((message),) = call(app, SCOPE)
    assert message["scope"]["asgi"] == {"version": "2.0", "spec_version": "2.5"}
    assert SCOPE["asgi"]["version"] == "3.0"


def test_wsgi():
    pytest.importorskip("a2wsgi")
    app, interface = adapt(wsgi, "auto")
    assert interface == "wsgi"
    scope = {
        **SCOPE,
        "method": "POST",
        "path": "/",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-length", b"4")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
    }
    sent = call(app, scope, b"body")
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent) == b"POST body"


def test_wsgi_without_the_package(monkeypatch, errors):
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(NotStarted):
        adapt(wsgi, "wsgi")
    assert errors.messages == [
        "Error loading WSGI app. It needs the a2wsgi package: "
        "pip install a2wsgi, or pip install 'vivace[wsgi]'"
    ]


def test_something_that_cannot_be_called(errors):
    with pytest.raises(NotStarted):
        adapt(3, "auto")
    assert errors.messages == ["Error loading ASGI app. 3 is of type int, which cannot be called."]


class TestFactories:
    def test_by_flag(self, errors):
        assert called_if_factory(lambda: asgi3, factory=True) is asgi3
        assert errors.messages == []

    def test_by_its_look(self, errors):
        assert called_if_factory(lambda: asgi3, factory=False) is asgi3
        assert errors.messages == [
            "ASGI app factory detected. Using it, "
            "but please consider setting the --factory flag explicitly."
        ]

    @pytest.mark.parametrize("app", [asgi3, asgi2, wsgi, Asgi3(), Asgi2])
    def test_applications_are_none(self, app):
        assert called_if_factory(app, factory=False) is app

    def test_one_that_takes_anything_is_none_if_it_cannot_be_called(self):
        def wrapped(*args: Any) -> Any:
            return asgi2(*args)

        assert called_if_factory(wrapped, factory=False) is wrapped

    def test_said_to_be_one_and_is_none(self, errors):
        with pytest.raises(NotStarted):
            called_if_factory(asgi3, factory=True)
        assert errors.messages[0].startswith("Error loading ASGI app factory: asgi3() missing")


class TestImportStrings:
    @pytest.fixture(autouse=True)
    def modules(self, tmp_path, monkeypatch):
        monkeypatch.syspath_prepend(tmp_path)
        (tmp_path / "good_module.py").write_text("class thing:\n    inner = 3\n")
        (tmp_path / "bad_module.py").write_text("import not_there_at_all\n")
        (tmp_path / "raising_module.py").write_text("1 / 0\n")
        yield
        for name in ("good_module", "bad_module", "raising_module"):
            sys.modules.pop(name, None)

    def test_found(self):
        assert import_from_string("good_module:thing.inner") == 3
        assert import_from_string(3) == 3

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("good", 'Import string "good" must be in format "<module>:<attribute>".'),
            ("good:", 'Import string "good:" must be in format "<module>:<attribute>".'),
            ("no_such_module:app", 'Could not import module "no_such_module".'),
            ("no_such.package:app", 'Could not import module "no_such.package".'),
            ("good_module:app", 'Attribute "app" not found in module "good_module".'),
        ],
    )
    def test_not_found(self, text, message):
        with pytest.raises(ImportFromStringError) as caught:
            import_from_string(text)
        assert str(caught.value) == message

    def test_something_that_the_module_wants_is_missing(self):
        with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
            import_from_string("bad_module:app")

    def test_what_the_server_says(self, errors):
        for name, text in (
            ("no_such_module:app", 'Could not import module "no_such_module".'),
            ("raising_module:app", "It raised:"),
        ):
            errors.clear()
            with pytest.raises(NotStarted):
                Config(name, log_config=None).load_app()
            assert errors.messages == [f"Error loading ASGI app. {text}"]
        assert "ZeroDivisionError" in errors.text


class TestLoad:
    def test_once(self):
        config = Config(asgi3, log_config=None)
        assert config.load() is config.load() is asgi3
        assert config.loaded

    def test_trace(self, caplog):
        caplog.set_level(5, "uvicorn")
        config = Config(asgi3, log_config=None, log_level="trace")
        caplog.set_level(5, "uvicorn.asgi")
        call(config.load(), {**SCOPE, "client": ("1.2.3.4", 5), "headers": [(b"a", b"b")]})
        lines = [r.getMessage() for r in caplog.records if r.name == "uvicorn.asgi"]
        assert lines[0].startswith("1.2.3.4:5 - ASGI [1] Started scope={'type': 'http'")
        assert "'headers': '<...>'" in lines[0]
        assert lines[1].startswith("1.2.3.4:5 - ASGI [1] Send {'type': 'done'")
        assert lines[2] == "1.2.3.4:5 - ASGI [1] Completed"

    def test_app_dir(self, tmp_path: Path, monkeypatch):
        monkeypatch.setattr(sys, "path", list(sys.path))
        (tmp_path / "elsewhere_module.py").write_text("async def app(scope, receive, send): ...")
        config = Config("elsewhere_module:app", app_dir=str(tmp_path), log_config=None)
        assert config.load_app().__module__ == "elsewhere_module"
        del sys.modules["elsewhere_module"]


class TestLoops:
    @pytest.mark.parametrize("name", ["auto", "none", "asyncio", "uvloop", "vivace"])
    def test_it_is_vivaces(self, name):
        import vivace

        assert Config(asgi3, log_config=None, loop=name).loop_factory() is vivace.new_event_loop

    def test_a_factory(self):
        config = Config(asgi3, log_config=None, loop="asyncio:new_event_loop")
        import asyncio

        assert config.loop_factory() is asyncio.new_event_loop

    def test_none_of_that_name(self, errors):
        with pytest.raises(NotStarted):
            Config(asgi3, log_config=None, loop="no_such:factory").loop_factory()
        assert errors.messages == [
            'Error loading custom loop setup function. Could not import module "no_such".'
        ]
