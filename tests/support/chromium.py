"""Drives a headless Chromium through the DevTools protocol: pages, scripts, screenshots.

https://chromedevtools.github.io/devtools-protocol/ describes the messages.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from websockets.sync.client import ClientConnection, connect

# Ends a hang; no test depends on it.
LIMIT = 120.0

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
]

#: A body and its media type, for an address that the page may not reach.
Substitute = tuple[bytes, str]


class ScriptError(AssertionError):
    """A script threw an exception."""


def find() -> str | None:
    """The path of a Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """A tab of the browser."""

    def __init__(self, connection: ClientConnection, substitutes: Mapping[str, Substitute]) -> None:
        self._connection = connection
        self._substitutes = substitutes
        self._last = 0
        self._session: str | None = None
        #: What the page wrote to its console, and the exceptions that nobody caught.
        self.console: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")
        if substitutes:
            self.call("Fetch.enable", patterns=[{"urlPattern": url} for url in substitutes])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return what it answers."""
        number = self._send(method, parameters)
        deadline = time.monotonic() + LIMIT
        while True:
            message = self._receive(deadline)
            if message.get("id") == number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return cast("dict[str, Any]", message["result"])

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is loaded."""
        answer = self.call("Page.navigate", url=url)
        assert "errorText" not in answer, f"{url}: {answer['errorText']}"
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, script: str) -> Any:
        """The value of an expression; of a promise, what it becomes."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            text = details.get("exception", {}).get("description") or details["text"]
            raise ScriptError(f"{text}\nin {script}")
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + LIMIT
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                text = self.evaluate("document.body.innerText")
                raise AssertionError(f"never true: {condition}\n{text}\n{self.console}")
            # A browser has no way to tell of any condition at all: it is asked.
            time.sleep(0.05)

    def screenshot(self, path: Path, width: int = 1280, height: int = 800) -> Path:
        """Write a picture of the page (PNG)."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))
        return path

    def _send(self, method: str, parameters: Mapping[str, Any]) -> int:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": dict(parameters)}
        if self._session is not None:
            message["sessionId"] = self._session
        self._connection.send(json.dumps(message))
        return self._last

    def _receive(self, deadline: float) -> dict[str, Any]:
        message = json.loads(self._connection.recv(max(0.0, deadline - time.monotonic())))
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled":
                words = (str(arg.get("value", arg)) for arg in parameters["args"])
                self.console.append(" ".join(words))
            case "Runtime.exceptionThrown":
                self.console.append(json.dumps(parameters["exceptionDetails"]))
            case "Fetch.requestPaused":
                body, media_type = self._substitutes[parameters["request"]["url"]]
                fulfilment = {
                    "requestId": parameters["requestId"],
                    "responseCode": 200,
                    "responseHeaders": [{"name": "content-type", "value": media_type}],
                    "body": base64.b64encode(body).decode(),
                }
                self._send("Fetch.fulfillRequest", fulfilment)
        return cast("dict[str, Any]", message)


@contextlib.contextmanager
def browser(
    folder: Path, substitutes: Mapping[str, Substitute] | None = None
) -> Iterator[Callable[[], Page]]:
    """Start a browser; the value makes tabs.

    Args:
        folder: Where its profile is written.
        substitutes: What it gets for addresses that are not to be asked for.
    """
    chromium = find()
    assert chromium, "there is no chromium"
    profile = folder / "profile"
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=log,
            stderr=log,
            env=os.environ | {"HOME": str(folder)},
        )
    try:
        url = _debugger(process, profile, folder / "chromium.log")
        with connect(url, max_size=None, ping_interval=None) as connection:
            yield lambda: Page(connection, substitutes or {})
    finally:
        process.kill()
        process.wait()


def _debugger(process: subprocess.Popen[bytes], profile: Path, log: Path) -> str:
    port_file = profile / "DevToolsActivePort"
    deadline = time.monotonic() + LIMIT
    while True:
        with contextlib.suppress(OSError, ValueError):
            port, path = port_file.read_text().split("\n")[:2]
            return f"ws://127.0.0.1:{port}{path}"
        assert process.poll() is None, f"chromium ended: {log.read_text(errors='replace')}"
        assert time.monotonic() < deadline, f"chromium does not start: {log.read_text()}"
        time.sleep(0.05)
