"""Sizes and durations are read as people write them, and shown with their unit."""

from __future__ import annotations

import pytest

from vivace._cli import _quantities


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4096", 4096),
        ("0", 0),
        ("12b", 12),
        ("64K", 64 << 10),
        (" 500m ", 500 << 20),
        ("1.5GiB", 3 << 29),
        (".5mb", 1 << 19),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert _quantities.size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("500ms", 0.5), ("2m", 120), ("1.5", 1.5), (".5S", 0.5)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert _quantities.duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "big", "-1", "1e3", "nan", "inf", "1 0", "1..5", ".", "5h"])
def test_what_is_neither_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text!r} is no size: "):
        _quantities.size(text)
    with pytest.raises(ValueError, match=f"^{text!r} is no time: "):
        _quantities.duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12.345, "12.3 s"), (0.00123, "1.23 ms"), (4.5e-5, "45 µs"), (3e-8, "30 ns"), (0, "0 ns")],
)
def test_durations_are_shown(seconds: float, text: str) -> None:
    assert _quantities.shown_duration(seconds) == text


def test_sizes_and_counts_are_shown() -> None:
    assert _quantities.shown_size(1_250_000) == "1.2 MB"
    assert _quantities.shown_size(999_400) == "999 kB"
    assert _quantities.grouped(1234567) == "1 234 567"
