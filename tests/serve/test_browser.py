"""A real browser: FastAPI's /docs of the example, a request from that page, a WebSocket."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import chromium
from support.chromium import Page

pytestmark = [
    pytest.mark.skipif(chromium.find() is None, reason="there is no chromium"),
    pytest.mark.time_limit(300),
]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NETWORK = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/"


@pytest.fixture(scope="module")
def new_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Page]]:
    """Makes tabs of a browser that gets Swagger's files from a package, not from the network."""
    package = importlib.util.find_spec("fastapi_offline")
    assert package is not None
    assert package.origin is not None
    files = Path(package.origin).parent / "static"
    substitutes = {
        f"{NETWORK}swagger-ui-bundle.js": (
            (files / "swagger-ui-bundle.js").read_bytes(),
            "text/javascript",
        ),
        f"{NETWORK}swagger-ui.css": ((files / "swagger-ui.css").read_bytes(), "text/css"),
        "https://fastapi.tiangolo.com/img/favicon.png": (
            (files / "favicon.png").read_bytes(),
            "image/png",
        ),
    }
    with chromium.browser(tmp_path_factory.mktemp("browser"), substitutes) as new_page:
        yield new_page


def test_a_request_from_the_page_of_swagger(
    new_page: Callable[[], Page], start_server: Any, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "part.mcam").write_bytes(b"G0")
    server = start_server(
        "sourcerevision.asgi:app", app_dir=EXAMPLES, env={"REPO_PATH": str(repository)}
    )
    page = new_page()
    page.open(f"{server.url}/docs")
    page.wait_for("document.querySelector('#operations-checkouts-check_out_api_checkout_post')")
    operation = "document.querySelector('#operations-checkouts-check_out_api_checkout_post')"
    page.evaluate(f"{operation}.querySelector('button.opblock-summary-control').click()")
    page.wait_for(f"{operation}.querySelector('.try-out__btn')")
    page.evaluate(f"{operation}.querySelector('.try-out__btn').click()")
    page.wait_for(f"{operation}.querySelector('textarea.body-param__text')")
    # As React hears of it when somebody types.
    page.evaluate(
        f"""
        (() => {{
            const area = {operation}.querySelector('textarea.body-param__text');
            const set = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value').set;
            const body = {{filename: 'part.mcam', user: 'ann', message: 'from the browser'}};
            set.call(area, JSON.stringify(body));
            area.dispatchEvent(new Event('input', {{bubbles: true}}));
        }})()
        """
    )
    page.wait_for(f"{operation}.querySelector('button.execute')")
    page.evaluate(f"{operation}.querySelector('button.execute').click()")
    page.wait_for(f"{operation}.querySelector('.live-responses-table .response-col_status')")
    status = page.evaluate(
        f"{operation}.querySelector('.live-responses-table tbody .response-col_status').innerText"
    )
    assert status.strip().startswith("200")
    body = page.evaluate(f"{operation}.querySelector('.live-responses-table').innerText")
    assert "from the browser" in body
    assert json.loads(server.get("/api/audit").body)[0]["user"] == "ann"


def test_a_websocket_is_held(new_page: Callable[[], Page], shared_server: Any) -> None:
    server = shared_server("apps.fastapi_app:app")
    page = new_page()
    page.open(f"{server.url}/openapi.json")
    answer = page.evaluate(
        f"""
        new Promise((resolve, reject) => {{
            const socket = new WebSocket('ws://127.0.0.1:{server.port}/socket/7');
            const texts = [];
            socket.onopen = () => socket.send('0');
            socket.onerror = () => reject(new Error('refused'));
            socket.onmessage = event => {{
                texts.push(JSON.parse(event.data).text);
                if (texts.length === 200) socket.close(1000, 'enough');
                else socket.send(String(texts.length));
            }};
            socket.onclose = event => resolve([texts.length, texts.at(-1), event.code,
                                               event.wasClean, socket.extensions.split(';')[0]]);
        }})
        """
    )
    assert answer == [200, "199", 1000, True, "permessage-deflate"]


def test_pages_styles_and_scripts_are_kept_alive(
    new_page: Callable[[], Page], start_server: Any, tmp_path: Path
) -> None:
    server = start_server(
        "sourcerevision.asgi:app", app_dir=EXAMPLES, env={"REPO_PATH": str(tmp_path)}
    )
    page = new_page()
    page.open(f"{server.url}/")
    assert page.evaluate("document.styleSheets.length") == 1
    statuses = page.evaluate(
        """
        Promise.all(Array.from({length: 40}, (_, i) => fetch('/api/files?' + i)
            .then(response => response.json().then(() => response.status))))
        """
    )
    assert statuses == [200] * 40
    assert page.console == []
