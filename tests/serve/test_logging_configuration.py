"""The logs: uvicorn's loggers, formats and configurations, and who writes the access log."""

from __future__ import annotations

import configparser
import io
import json
import logging
import logging.config
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vivace.serve import AccessFormatter, Config, DefaultFormatter
from vivace.serve._logging import (
    AccessLog,
    access_log_of,
    access_logger,
    configure,
    default_log_config,
    error_logger,
)

NAMES = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")

# What a --log-config written for uvicorn looks like.
FOR_UVICORN: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "()": "uvicorn.logging.DefaultFormatter",
            "fmt": "mine %(levelprefix)s %(message)s",
        },
        "access": {
            "()": "uvicorn.logging.AccessFormatter",
            "fmt": "mine %(client_addr)s %(request_line)s %(status_code)s",
        },
    },
    "handlers": {
        "default": {"class": "logging.StreamHandler", "formatter": "default"},
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "access",
            "stream": "ext://sys.stdout",
        },
    },
    "loggers": {
        "uvicorn": {"handlers": ["default"], "level": "INFO", "propagate": False},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}


@pytest.fixture(autouse=True)
def loggers_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [
        (list(each.handlers), each.level, each.propagate, list(each.filters)) for each in loggers
    ]
    yield
    for logger, (handlers, level, propagate, filters) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate, logger.filters = handlers, propagate, filters
        logger.setLevel(level)


def configured(log_config: Any = None, **options: Any) -> None:
    configure(
        default_log_config() if log_config is None else log_config,
        options.pop("log_level", None),
        access_log=options.pop("access_log", True),
        use_colors=options.pop("use_colors", None),
    )


def access_line(logger: logging.Logger = access_logger) -> None:
    logger.info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", "/x?y", "1.1", 200)


class TestDefault:
    def test_lines(self, capsys):
        configured(use_colors=False)
        error_logger.info("Started server process [%d]", 7)
        error_logger.warning("careful")
        access_line()
        captured = capsys.readouterr()
        assert captured.err == "INFO:     Started server process [7]\nWARNING:  careful\n"
        assert captured.out == 'INFO:     1.2.3.4:5 - "GET /x?y HTTP/1.1" 200 OK\n'

    def test_colours(self, capsys):
        configured(use_colors=True)
        extra = {"color_message": "Started server process [\x1b[36m%d\x1b[0m]"}
        error_logger.info("Started server process [%d]", 7, extra=extra)
        access_line()
        captured = capsys.readouterr()
        assert (
            captured.err == "\x1b[32mINFO\x1b[0m:     Started server process [\x1b[36m7\x1b[0m]\n"
        )
        assert captured.out == (
            '\x1b[32mINFO\x1b[0m:     1.2.3.4:5 - "\x1b[1mGET /x?y HTTP/1.1\x1b[0m" '
            "\x1b[32m200 OK\x1b[0m\n"
        )

    def test_a_status_without_a_name(self, capsys):
        configured(use_colors=False)
        access_logger.info('%s - "%s %s HTTP/%s" %d', "", "GET", "/", "1.1", 299)
        assert capsys.readouterr().out == 'INFO:      - "GET / HTTP/1.1" 299 \n'

    def test_a_record_is_left_as_it_is(self):
        record = logging.makeLogRecord({"msg": "a", "levelname": "INFO", "levelno": 20})
        record.color_message = "b"
        assert DefaultFormatter("%(levelprefix)s %(message)s", use_colors=True).format(record)
        assert record.msg == "a"
        assert not hasattr(record, "levelprefix")

    @pytest.mark.parametrize(
        ("level", "seen"), [("debug", True), ("INFO", False), (logging.DEBUG, True)]
    )
    def test_level(self, capsys, level, seen):
        configured(log_level=level)
        error_logger.debug("detail")
        assert ("detail" in capsys.readouterr().err) is seen

    def test_no_access_log(self, capsys):
        configured(access_log=False)
        access_line()
        assert capsys.readouterr().out == ""


class TestConfigurations:
    """Files and dictionaries, also where they name uvicorn's classes."""

    def check(self, capsys: pytest.CaptureFixture[str]) -> None:
        error_logger.info("hello")
        access_line()
        captured = capsys.readouterr()
        assert captured.err == "mine INFO:     hello\n"
        assert captured.out == "mine 1.2.3.4:5 GET /x?y HTTP/1.1 200 OK\n"

    def test_dictionary(self, capsys):
        configured(FOR_UVICORN)
        self.check(capsys)
        assert FOR_UVICORN["formatters"]["default"]["()"] == "uvicorn.logging.DefaultFormatter"

    def test_json(self, capsys, tmp_path):
        path = tmp_path / "log.json"
        path.write_text(json.dumps(FOR_UVICORN))
        configured(path)
        self.check(capsys)

    @pytest.mark.parametrize("suffix", ["yaml", "yml"])
    def test_yaml(self, capsys, tmp_path, suffix):
        yaml = pytest.importorskip("yaml")
        path = tmp_path / f"log.{suffix}"
        path.write_text(yaml.safe_dump(FOR_UVICORN))
        configured(str(path))
        self.check(capsys)

    INI = """\
[loggers]
keys = root, uvicorn, access
[handlers]
keys = default, access
[formatters]
keys = default, access
[logger_root]
handlers =
[logger_uvicorn]
qualname = uvicorn
level = INFO
handlers = default
propagate = 0
[logger_access]
qualname = uvicorn.access
level = INFO
handlers = access
propagate = 0
[handler_default]
class = StreamHandler
formatter = default
args = (sys.stderr,)
[handler_access]
class = StreamHandler
formatter = access
args = (sys.stdout,)
[formatter_default]
class = uvicorn.logging.DefaultFormatter
format = mine %(levelprefix)s %(message)s
[formatter_access]
class = uvicorn.logging.AccessFormatter
format = mine %(client_addr)s %(request_line)s %(status_code)s
"""

    def test_ini(self, capsys, tmp_path):
        path = tmp_path / "log.ini"
        path.write_text(self.INI)
        configured(str(path))
        self.check(capsys)

    def test_an_open_file(self, capsys):
        configured(io.StringIO(self.INI))
        self.check(capsys)

    def test_a_parser(self, capsys):
        parser = configparser.RawConfigParser()
        parser.read_string(self.INI)
        configured(parser)
        self.check(capsys)

    def test_uvicorn_is_not_imported_for_it(self):
        configured(FOR_UVICORN)
        assert type(access_logger.handlers[0].formatter) is AccessFormatter

    def test_none_leaves_the_logs_alone(self):
        configured()
        handlers = list(access_logger.handlers)
        Config("module:app", log_config=None)
        assert access_logger.handlers == handlers

    @pytest.mark.parametrize(
        ("name", "contents"),
        [
            ("log.json", "{"),
            ("log.json", "[]"),
            ("log.json", '{"version": 1, "handlers": {"x": {"class": "no.such.Handler"}}}'),
            ("log.ini", "[loggers]\n"),
            ("missing.json", None),
            ("missing.ini", None),
        ],
    )
    def test_one_that_cannot_be_used(self, tmp_path, name, contents):
        path = tmp_path / name
        if contents is not None:
            path.write_text(contents)
        with pytest.raises(ValueError):
            configured(str(path))


class TestWhoWritesTheAccessLog:
    """The engine, as long as nobody could tell the difference."""

    @pytest.fixture
    def set_up(self, monkeypatch):
        """To be called by the test, as pytest replaces sys.stdout between fixture and test."""

        def set_up():
            monkeypatch.setattr(sys, "stdout", sys.__stdout__)
            configured(use_colors=True)

        return set_up

    def test_the_engine(self, set_up):
        set_up()
        assert access_log_of(True, "text") == AccessLog(enabled=True, colours=True)

    def test_nobody(self, set_up):
        set_up()
        assert not access_log_of(False, "text").enabled
        access_logger.setLevel(logging.WARNING)
        assert not access_log_of(True, "text").enabled

    def test_nobody_as_there_are_no_handlers(self, set_up):
        set_up()
        access_logger.handlers = []
        assert not access_log_of(True, "text").enabled

    @pytest.mark.parametrize(
        "change",
        [
            lambda: access_logger.addHandler(logging.NullHandler()),
            lambda: access_logger.addFilter(lambda record: True),
            lambda: access_logger.handlers[0].addFilter(lambda record: True),
            lambda: access_logger.handlers[0].setFormatter(logging.Formatter()),
            lambda: access_logger.handlers[0].setFormatter(AccessFormatter("%(message)s")),
            lambda: access_logger.handlers[0].setStream(sys.stderr),  # type: ignore[attr-defined]
            lambda: setattr(access_logger, "propagate", True),
        ],
    )
    def test_the_logger_after_any_change(self, set_up, change):
        set_up()
        change()
        assert access_log_of(True, "text") == AccessLog(enabled=True, logger=access_logger)

    def test_the_logger_if_output_is_redirected_in_python(self, set_up, monkeypatch):
        set_up()
        monkeypatch.setattr(sys, "stdout", io.StringIO())
        access_logger.handlers[0].setStream(sys.stdout)  # type: ignore[attr-defined]
        assert access_log_of(True, "text").logger is access_logger

    def test_another_format_was_asked_for_by_name(self, set_up):
        set_up()
        access_logger.addHandler(logging.NullHandler())
        assert access_log_of(True, "json").logger is None


def test_levels_of_a_file_are_kept(tmp_path: Path) -> None:
    quiet = {**FOR_UVICORN, "loggers": {"uvicorn.error": {"level": "ERROR"}}}
    configured(quiet)
    assert error_logger.level == logging.ERROR
