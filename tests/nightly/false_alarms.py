"""Runs the test suites of other projects on vivace, and looks at what is reported.

    .venv-3.13/bin/python tests/nightly/false_alarms.py                  all of them
    .venv-3.13/bin/python tests/nightly/false_alarms.py anyio --keep     one; its folder stays

The suites come with the source distributions on PyPI; pinned, so that the list below stays true.
Each runs twice in an environment of its own, on asyncio and under ``vivace run`` with the
diagnostics on. Whatever passes on asyncio must pass on vivace, and what is reported must be in the
list of what those tests do on purpose. Reports of time (V101, V110, V111, V112) are measured, not
concluded: they are counted, and are no alarm.

Exit status 0 if nothing is left over.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
MEASURED = {"V101", "V110", "V111", "V112"}
LIMIT = 3600


@dataclass(frozen=True)
class Suite:
    """A package whose tests are run.

    Attributes:
        requires: What the tests import, besides the package.
        chosen: Arguments for pytest.
        files: Which of the files are run, by what follows `test_` in their names; all of them if
            none is named.
        deliberate: Findings that the tests cause on purpose: the code, and the end of the path of
            the file it was found in, or a word of the title.
    """

    version: str
    requires: str
    chosen: tuple[str, ...]
    files: str = ""
    deliberate: tuple[tuple[str, str], ...] = field(default=())


SUITES = {
    "anyio": Suite(
        "4.16.0",
        "trio blockbuster exceptiongroup hypothesis psutil pytest-mock pytest-timeout trustme "
        "truststore uvloop coverage",
        ("-k", "asyncio and not uvloop and not trio"),
    ),
    "starlette": Suite(
        "1.10.0",
        "itsdangerous jinja2 python-multipart pyyaml httpx httpx2[zstd] blockbuster trio "
        "opentelemetry-api opentelemetry-sdk importlib-metadata pytest-codspeed",
        ("-k", "not trio"),
    ),
    "aiohttp": Suite(
        "3.14.5",
        "blockbuster coverage freezegun gunicorn isal proxy.py pytest-codspeed pytest-cov "
        "pytest-mock pytest-timeout python-on-whales re-assert trustme zlib_ng",
        # Benchmarks take long, and the cases of Autobahn need a container.
        ("-o", "addopts=", "-k", "not benchmark", "--ignore", "tests/autobahn"),
    ),
    # Much code that depends on which callback of a connection comes first.
    "asyncssh": Suite(
        "2.24.1",
        "bcrypt fido2",
        (),
        files="agent auth channel connection_auth forward process stream",
    ),
    "aioquic": Suite("1.7.2", "", (), files="asyncio"),
    "janus": Suite("2.0.0", "pytest-asyncio", ("-o", "addopts=")),
}

OUTCOME = re.compile(r"^(FAILED|ERROR) (\S+(?: \S+\])?)", re.MULTILINE)


class Place:
    """A folder with the tests of a package and an environment to run them in."""

    def __init__(self, folder: Path, name: str, suite: Suite) -> None:
        self.folder = folder
        self.name = name
        self.suite = suite
        self.python = folder / "venv" / "bin" / "python"

    def prepare(self) -> None:
        """Gets the tests, and makes the environment."""
        venv.create(self.folder / "venv", with_pip=True)
        wanted = f"{self.name}=={self.suite.version}"
        self._pip("install", wanted, "pytest", *self.suite.requires.split())
        self._pip("download", "--no-deps", "--no-binary", self.name, wanted, "-d", str(self.folder))
        [packed] = self.folder.glob("*.tar.gz")
        with tarfile.open(packed) as tar:
            tar.extractall(self.folder, filter="data")
        # The installed package is tested, which has its extension modules.
        shutil.rmtree(self.tests / self.name, ignore_errors=True)
        [packages] = (self.folder / "venv" / "lib").glob("python*/site-packages")
        (packages / "vivace.pth").write_text(f"{CHECKOUT / 'python'}\n")

    @property
    def tests(self) -> Path:
        """Where the suite is run."""
        return self.folder / f"{self.name}-{self.suite.version}"

    def _pip(self, *arguments: str) -> None:
        subprocess.run([str(self.python), "-m", "pip", *arguments, "-q"], check=True)

    def run(self, *runner: str, **environment: str) -> tuple[set[str], str]:
        """The tests that do not pass, and the closing line."""
        shown = ("-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::ResourceWarning")
        files = [f"tests/test_{name}.py" for name in self.suite.files.split()] or ["tests"]
        done = subprocess.run(
            [str(self.python), *runner, "-m", "pytest", *files, *shown, *self.suite.chosen],
            cwd=self.tests,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
        lines = done.stdout.rstrip().splitlines() or [f"exit status {done.returncode}"]
        return {match[2] for match in OUTCOME.finditer(done.stdout)}, lines[-1]


def alarms(suite: Suite, findings: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What was reported and is not known to be true."""
    for finding in findings:
        place = str(finding.get("file", ""))
        known = any(
            code == finding["code"] and (place.endswith(where) or where in finding["title"])
            for code, where in suite.deliberate
        )
        if finding["code"] not in MEASURED and not known:
            yield finding


def look_at(place: Place) -> bool:
    """Runs a suite both ways; whether nothing is left over."""
    began = time.monotonic()
    place.prepare()
    usual, closing = place.run()
    print(f"{place.name} on asyncio: {closing}", flush=True)
    output = place.folder / "findings.json"
    ours, closing = place.run(
        "-m", "vivace", "run", VIVACE_DIAG_FORMAT="json", VIVACE_DIAG_OUTPUT=str(output)
    )
    print(f"{place.name} on vivace: {closing}", flush=True)
    findings = []
    if output.exists():
        findings = [json.loads(line) for line in output.read_text().splitlines()]
    print(f"{place.name}: reported {dict(Counter(f['code'] for f in findings)) or 'nothing'}")
    worse = sorted(ours - usual)
    for test in worse:
        print(f"{place.name}: fails on vivace only: {test}")
    false = list(alarms(place.suite, findings))
    for finding in false:
        print(f"{place.name}: {json.dumps(finding)}")
    print(f"{place.name}: {time.monotonic() - began:.0f} s", flush=True)
    return not worse and not false


def main() -> int:
    """Looks at the suites that are asked for."""
    parser = argparse.ArgumentParser(description="looks for false alarms in suites of others")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SUITES))
    parser.add_argument("--keep", action="store_true", help="leave the folders")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SUITES))
    if unknown:
        parser.error(f"there is no suite {', '.join(unknown)}; there are {', '.join(SUITES)}")
    good = True
    for name in options.names or SUITES:
        folder = Path(tempfile.mkdtemp(prefix=f"vivace-{name}-"))
        try:
            good &= look_at(Place(folder, name, SUITES[name]))
        finally:
            if options.keep:
                print(f"{name}: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
