"""The reporter: codes, formats, limits, settings."""

from __future__ import annotations

from typing import Any

REPORT = """
    from vivace.see._findings import report
    for place in ("a.py:1", "a.py:1", "b.py:1", "", ""):
        report("V201", "mail()", place=place, lines=[("do", "await it")], data={"line": 3})
"""


def test_one_a_minute_for_each_place(watch: Any) -> None:
    found = watch(REPORT).of("V201")
    assert len(found) == 4
    assert found[0]["name"] == "NEVER AWAITED"
    assert found[0]["line"] == 3
    assert found[0]["report"] == [["do", "await it"]]


def test_nothing_is_reported_when_off(watch: Any) -> None:
    assert watch(REPORT, diag="0").findings == []


def test_text_cannot_steer_a_terminal(watch: Any) -> None:
    done = watch(
        """
        from vivace.see._findings import report
        report("V201", "\\x1b[2J\\n", lines=[("task", "\\x9b1m\\u202e")])
        """,
        VIVACE_DIAG_FORMAT="text",
        VIVACE_DIAG_OUTPUT="",
    )
    assert "V201 NEVER AWAITED \\x1b[2J\\n" in done.stderr
    assert "  task   \\x9b1m\\u{202e}\n" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_setting_that_is_not_understood_is_named(watch: Any) -> None:
    done = watch(REPORT, diag="maybe")
    assert 'vivace: VIVACE_DIAG="maybe" is not understood; it takes 0, 1 or dev' in done.stderr
    assert len(done.of("V201")) == 4


def test_so_are_those_that_are_only_asked_for_later(watch: Any) -> None:
    done = watch(REPORT, VIVACE_DIAG_DEADLOCK="soon")
    assert 'vivace: VIVACE_DIAG_DEADLOCK="soon" is not understood; it takes seconds' in done.stderr


def test_a_wrong_code_is_an_error(watch: Any) -> None:
    done = watch("from vivace.see._findings import report\nreport('V999')\n", status=1)
    assert 'ValueError: no such code: "V999"' in done.stderr
