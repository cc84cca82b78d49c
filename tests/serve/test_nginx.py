"""Behind nginx, configured as docs/serve.md says: its text is what runs here."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx")
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx")

DOCS = Path(__file__).resolve().parents[2] / "docs/serve.md"

CONFIGURATION = """
daemon off;
worker_processes 1;
user root;
pid FOLDER/nginx.pid;
error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    DOCUMENTED
}
"""


def documented() -> tuple[str, list[str]]:
    """The configuration of nginx, and the flags of the server that belong to it."""
    text = DOCS.read_text()
    [configuration] = re.findall(r"```nginx\n(.*?)```", text, re.DOTALL)
    section = text[text.index("## Behind nginx\n") :]
    match = re.search(r"^vivace serve app:app (.*)$", section, re.MULTILINE)
    assert match is not None
    flags = [word.strip("'") for word in match[1].split()]
    return configuration, flags


@contextlib.contextmanager
def nginx(folder: Path, configuration: str) -> Iterator[int]:
    """Run nginx; the value is its port."""
    assert NGINX is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert "listen 80;" in configuration
        configuration = configuration.replace("listen 80;", f"listen 127.0.0.1:{port};")
        text = CONFIGURATION.replace("FOLDER", str(folder)).replace("DOCUMENTED", configuration)
        file = folder / "nginx.conf"
        file.write_text(text)
        fd = listener.fileno()
        # nginx takes over sockets that it finds in this variable, as when it is upgraded. So the
        # port is ours from the beginning.
        process = subprocess.Popen(
            [NGINX, "-c", str(file), "-p", str(folder), "-e", "stderr"],
            env=os.environ | {"NGINX": f"{fd};"},
            pass_fds=(fd,),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
            print(errors)


@pytest.fixture
def proxied(tmp_path: Path, start_server: Any) -> Iterator[Callable[[str], int]]:
    """Starts an app with nginx before it; the answer is the port of nginx."""
    configuration, flags = documented()
    path = str(tmp_path / "app.sock")
    assert "/run/app/app.sock" in configuration
    assert "/run/app/app.sock" in flags
    flags = [flag.replace("/run/app/app.sock", path) for flag in flags]
    configuration = configuration.replace("/run/app/app.sock", path)
    with contextlib.ExitStack() as stack:

        def start(app: str) -> int:
            start_server(app, *flags)
            return stack.enter_context(nginx(tmp_path, configuration))

        yield start


def test_the_client_is_the_one_that_nginx_saw(proxied: Callable[[str], int]) -> None:
    port = proxied("apps.probe:app")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        answer = client.get(
            "/scope", headers={"host": "shop.example", "x-forwarded-for": "9.9.9.9"}
        )
    scope = ast.literal_eval(answer.text)
    # nginx appends the address that it sees, and everybody is trusted: the first one is taken.
    assert scope["client"] == ("9.9.9.9", 0)
    assert scope["scheme"] == "http"
    assert (b"host", b"shop.example") in scope["headers"]


def test_requests_and_bodies_go_over_few_connections(proxied: Callable[[str], int]) -> None:
    body = os.urandom(300_000)
    port = proxied("apps.probe:app")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for _ in range(20):
            # nginx stops sending the body when it has seen the head of the response: this
            # handler reads all of it first.
            answer = client.post("/echo", content=body)
            assert ast.literal_eval(answer.text)["body"] == body
            assert client.get("/hello").text == "hello"


def test_a_websocket_passes(proxied: Callable[[str], int]) -> None:
    from websockets.sync.client import connect

    port = proxied("apps.sockets:app")
    with connect(f"ws://127.0.0.1:{port}/echo", open_timeout=60) as socket:
        for text in ("a", "b" * 70_000):
            socket.send(text)
            assert socket.recv(60) == text
