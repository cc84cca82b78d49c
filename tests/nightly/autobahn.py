"""Runs the Autobahn test suite, the one that all WebSocket libraries are measured by.

    python tests/nightly/autobahn.py                          against `vivace serve`
    python tests/nightly/autobahn.py --crate                  against the echo server of the crate
    python tests/nightly/autobahn.py --url ws://127.0.0.1:8000 --agent uvicorn
    python tests/nightly/autobahn.py --cases 1.* 7.*          some of its 517 cases

The suite needs Python 2.7; without one there is a line that says so, and exit status 0. All cases
take about 20 minutes, those of compression (12.* and 13.*) nearly all of it. The reports, with the
bytes of each case, are in `.work/autobahn/reports`. Exit status 0 means that no case failed.

In nine cases a fault follows at once on a message, and the suite would rather see that come back
before the end. The echo server of the crate must do so. Under a server the application has not run
by then, and the RFC wants no delay: there those cases are counted apart.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import serving

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".work" / "autobahn"
REQUIREMENTS = ROOT / "requirements" / "autobahn.txt"

# The last one that makes environments for 2.7.
VIRTUALENV = "virtualenv==20.15.1"

# What the suite says of a case; the other words are FAILED, WRONG CODE, UNCLEAN, FAILED BY CLIENT
# and UNIMPLEMENTED.
PASSED = {"OK"}
LESS_STRICT = {"NON-STRICT"}
# There is no right or wrong: the RFC leaves it to the server.
SKIPPED = {"INFORMATIONAL"}

LIMIT = 3600.0


def main() -> int:
    """Run the suite and return the exit status."""
    parser = argparse.ArgumentParser(description="runs the Autobahn test suite")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--url", help="of an echo server; if there is none, one is started")
    which.add_argument("--crate", action="store_true", help="start that of the crate")
    parser.add_argument("--agent", default="vivace", help="what the reports call the server")
    parser.add_argument("--cases", nargs="+", default=["*"], metavar="CASE")
    arguments = parser.parse_args()
    python = _python2()
    if python is None:
        print("there is no Python 2.7: the Autobahn test suite is left out")
        return 0
    wstest = _install(python)
    if arguments.url:
        server = contextlib.nullcontext(arguments.url)
    else:
        server = _echo_of_the_crate() if arguments.crate else _vivace_serve()
    with server as url:
        reports = _run(wstest, url, arguments.agent, arguments.cases)
    return _sum_up(reports, strict=arguments.crate)


def _python2() -> Path | None:
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = sorted(pyenv.glob("versions/2.7.*/bin/python2.7"))
    if found := shutil.which("python2.7"):
        candidates.insert(0, Path(found))
    for path in candidates:
        # pyenv leaves a command in the path that only says that the version is not chosen.
        if subprocess.run([path, "-c", ""], capture_output=True, timeout=60).returncode == 0:
            return path
    return None


def _install(python: Path) -> Path:
    """Make an environment with the suite, unless there is one; return its command."""
    environment = FOLDER / "environment"
    wstest = environment / "bin" / "wstest"
    stamp = FOLDER / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if wstest.exists() and stamp.exists() and stamp.read_text() == wanted:
        return wstest
    print("installing the suite for Python 2.7", flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    base = FOLDER / "virtualenv"
    pip = ["-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    # Nothing of the Python that runs this: it is the other one's turn.
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    variables["PYTHONWARNINGS"] = "ignore"
    with (FOLDER / "install.log").open("w") as log:
        for command, path in (
            ([python, *pip, "--target", base, VIRTUALENV], None),
            ([python, "-m", "virtualenv", "--quiet", environment], base),
            ([environment / "bin" / "python", *pip, "-r", REQUIREMENTS], None),
        ):
            if path is not None:
                variables["PYTHONPATH"] = str(path)
            else:
                variables.pop("PYTHONPATH", None)
            subprocess.run(
                list(map(str, command)), env=variables, check=True, stdout=log, stderr=log
            )
    stamp.write_text(wanted)
    return wstest


@contextlib.contextmanager
def _vivace_serve() -> Iterator[str]:
    """An ASGI application that sends back what comes, under the whole server."""
    with tempfile.TemporaryDirectory() as folder:
        server = serving.start(Path(folder), "apps.sockets:app", "--no-access-log")
        try:
            yield f"{server.url.replace('http', 'ws', 1)}/echo?id=autobahn"
            # A case that ends the server would be seen as a failure; an error in its log not.
            if "Traceback" in server.output():
                raise SystemExit(f"the server has reported an error:\n{server.output()}")
        finally:
            server.kill()


@contextlib.contextmanager
def _echo_of_the_crate() -> Iterator[str]:
    """The example of the crate: what is tested is the protocol, without a server around it."""
    arguments = ["--profile", "quick", "-p", "vivace-http", "--example", "ws_echo"]
    subprocess.run(["cargo", "build", "--quiet", *arguments], cwd=ROOT, check=True)
    command = ["cargo", "run", "--quiet", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


def _run(wstest: Path, url: str, agent: str, cases: list[str]) -> Path:
    reports = FOLDER / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    specification = FOLDER / "specification.json"
    specification.write_text(
        json.dumps(
            {
                "outdir": str(reports),
                "servers": [{"agent": agent, "url": url}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    print(f"running the Autobahn test suite against {url}", flush=True)
    with (FOLDER / "wstest.log").open("w") as log:
        subprocess.run(
            [str(wstest), "--mode", "fuzzingclient", "--spec", str(specification)],
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            cwd=FOLDER,
            check=True,
            timeout=LIMIT,
            stdout=log,
            stderr=log,
        )
    return reports


def _sum_up(reports: Path, *, strict: bool) -> int:
    """Print what is not as it should be, and the sum."""
    (cases,) = json.loads((reports / "index.json").read_text()).values()
    counts: Counter[str] = Counter()
    for name in sorted(cases, key=lambda name: [int(part) for part in name.split(".")]):
        words = {cases[name]["behavior"], cases[name]["behaviorClose"]}
        if words <= PASSED:
            counts["passed"] += 1
        elif words <= PASSED | SKIPPED:
            counts["skipped"] += 1
        elif words <= PASSED | LESS_STRICT and not strict:
            counts["less strict"] += 1
        else:
            counts["failed"] += 1
            print(f"{name}: {' and '.join(sorted(words))}")
    print(
        f"autobahn: {counts['passed']} passed, {counts['less strict']} passed less strictly,"
        f" {counts['failed']} failed, {counts['skipped']} skipped"
    )
    # A suite that ran nothing has shown nothing.
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
