"""The page that `vivace trace` writes, in a real browser."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostics.recorded import Recorded, program
from support import chromium
from support.chromium import Page

from vivace import _native

pytestmark = [
    pytest.mark.skipif(chromium.find() is None, reason="there is no chromium"),
    pytest.mark.time_limit(300),
]


@pytest.fixture(scope="module")
def new_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Page]]:
    with chromium.browser(tmp_path_factory.mktemp("browser")) as new_page:
        yield new_page


def opened(page: Page, made: Recorded, end: int, folder: Path, command: str = "made-up.py") -> Any:
    """Opens the page of a trace; the answer is what the viewer has summed up."""
    recording, html = folder / "trace.part", folder / "trace.html"
    made.write(recording, end, command)
    _native.see_trace_convert(str(recording), str(html))
    page.open(html.as_uri())
    return page.evaluate("vivace.then(({sums, opened}) => ({...sums, opened}))")


def run(page: Page, body: str) -> Any:
    """The value of an expression over ``app``, ``model`` and ``state``."""
    return page.evaluate(
        f"vivace.then(({{app, model}}) => {{ const state = app.state; return ({body}); }})"
    )


def key(page: Page, name: str) -> None:
    text = {"text": name} if len(name) == 1 else {}
    page.call("Input.dispatchKeyEvent", type="keyDown", key=name, **text)
    page.call("Input.dispatchKeyEvent", type="keyUp", key=name)


def click(page: Page, x: float, y: float) -> None:
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    for kind in ("mousePressed", "mouseReleased"):
        page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def picture(page: Page, path: Path) -> bytes:
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.screenshot(path, 1400, 800).read_bytes()


def test_its_sums_are_those_of_the_trace(new_page: Callable[[], Page], tmp_path: Path) -> None:
    page = new_page()
    made, end = program(50_000)
    sums = opened(page, made, end, tmp_path)
    assert (sums["steps"], sums["busy"], sums["tasks"]) == (made.steps, made.busy, made.tasks)
    # The sums that are drawn add up to the same, over any division of the time.
    drawn = run(
        page,
        """(() => {
            let sum = 0;
            const part = model.end / 977;
            for (let i = 0; i < 977; i++)
                sum += model.loops[0].steps.covered(i * part, (i + 1) * part);
            return sum;
        })()""",
    )
    assert drawn == pytest.approx(made.busy, rel=1e-9)
    assert page.console == []


def test_mouse_and_keyboard(new_page: Callable[[], Page], tmp_path: Path) -> None:
    page = new_page()
    made, end = program(3_000)
    opened(page, made, end, tmp_path)
    first = picture(page, tmp_path / "first.png")
    # A click on a lane chooses a task, and the panel tells of it.
    row = run(page, "state.layout.rows.find(row => row.kind === 'lane').y")
    top = page.evaluate("document.getElementById('timeline').getBoundingClientRect().top")
    click(page, 700, top + 20 + row + 8)
    assert run(page, "state.selected !== null")
    panel = page.evaluate("document.getElementById('detail').innerText")
    assert "lived" in panel
    assert "woken by" in panel
    # Keys: zoom, the next blocked time, the critical path, light and dark.
    before = run(page, "state.t1 - state.t0")
    key(page, "+")
    assert run(page, "state.t1 - state.t0") < before
    key(page, "n")
    blocks = run(page, "model.blocks.length")
    assert blocks > 0
    assert "the loop was blocked" in page.evaluate("document.getElementById('detail').innerText")
    key(page, "c")
    path = run(page, "state.path.map(part => [part.from, part.to])")
    # Without holes, and as long as the task lived until its last step.
    for one, other in itertools.pairwise(path):
        assert one[1] == pytest.approx(other[0], abs=1)
    life = run(
        page, "[state.selected.task.from, model.stepEnd(model.order[state.selected.task.last - 1])]"
    )
    assert path[0][0] == pytest.approx(life[0], abs=1)
    assert path[-1][1] == pytest.approx(life[1], abs=1)
    light = picture(page, tmp_path / "light.png")
    key(page, "t")
    assert len({first, light, picture(page, tmp_path / "dark.png")}) == 3
    key(page, "0")
    assert run(page, "state.t1 - state.t0") == pytest.approx(before)
    key(page, "Escape")
    assert run(page, "state.selected === null")
    assert page.console == []


def test_search_finds_tasks_functions_and_lines(
    new_page: Callable[[], Page], tmp_path: Path
) -> None:
    page = new_page()
    made, end = program(3_000)
    opened(page, made, end, tmp_path)
    key(page, "/")
    for letter in "worker-3":
        key(page, letter)
    assert run(page, "state.matches.map(task => model.label(task))") == ["worker-3"]
    key(page, "Enter")
    assert run(page, "model.label(state.selected.task)") == "worker-3"
    handlers = run(page, "(app.search('web.py:88'), state.matches.length)")
    assert handlers == made.tasks - 9
    key(page, "/")
    key(page, "Escape")
    assert run(page, "state.query") == ""
    assert run(page, "app.groups.length") == 3


def test_names_are_shown_as_text(new_page: Callable[[], Page], tmp_path: Path) -> None:
    page = new_page()
    hostile = "<img src=x onerror=hacked=1></script><script>hacked=1</script>\x1b[2J\u202e"
    made = Recorded()
    task = made.create(
        0, made.name(hostile, hostile, 1), hostile, made.name(hostile, hostile, 2), 0
    )
    made.step(10_000, 500_000, task, made.name(hostile))
    made.record(3, 600_000, task, 0)
    made.step(700_000, 900_000, task, 0)
    opened(page, made, 1_000_000, tmp_path, command=hostile)
    run(page, "app.choose([...model.tasks.values()][0], 0)")
    run(page, "app.togglePath()")
    click(page, 700, 250)
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    title = page.evaluate("document.querySelector('#detail h2').textContent")
    assert title.startswith("<img src=x onerror=hacked=1></script>")
    assert title.endswith("\\u{1b}[2J\\u{202e}")
    assert page.console == []


def test_the_page_asks_nobody_for_anything(tmp_path: Path) -> None:
    made, end = program(100)
    recording, html = tmp_path / "trace.part", tmp_path / "trace.html"
    made.write(recording, end)
    summary = json.loads(_native.see_trace_convert(str(recording), str(html)))
    assert summary["steps"] == made.steps
    text = html.read_text()
    assert "default-src 'none'" in text
    for word in ("http://", "https://", "import(", "fetch(", "XMLHttpRequest"):
        assert word not in text, word


def test_a_trace_that_cannot_be_read_says_so(new_page: Callable[[], Page], tmp_path: Path) -> None:
    made, end = program(100)
    recording, html = tmp_path / "trace.part", tmp_path / "trace.html"
    made.write(recording, end)
    _native.see_trace_convert(str(recording), str(html))
    text = html.read_text()
    at = text.index('type="text/plain">') + 60
    html.write_text(text[:at] + "AAAA" + text[at + 4 :])
    page = new_page()
    page.open(html.as_uri())
    page.wait_for("document.getElementById('loading')?.textContent.includes('cannot be shown')")
