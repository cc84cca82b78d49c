"""The interpreter that the workers run in, and the loops that it has.

The peers go into a virtual environment of the benchmarks, so that no test ever runs with one of
them installed. vivace is the checkout itself, built with the profile of the wheels.
"""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .checkout import NATIVE, ROOT, WORK

SUBJECT = "vivace"
STANDARD = "asyncio"
# Packages with a `new_event_loop` of their own, from the package index.
PEERS = ("uvloop", "rloop", "zuvloop")
# zuvloop exists for 3.14 and later only.
OLDEST_PYTHON = {"zuvloop": (3, 14)}

_PROBE = """
import sys
from importlib.metadata import PackageNotFoundError, version
package = __import__(sys.argv[1])
package.new_event_loop().close()
if sys.argv[1] == "asyncio":
    print("%d.%d.%d" % sys.version_info[:3])
else:
    try:
        print(version(sys.argv[1]))
    except PackageNotFoundError:
        print(getattr(package, "__version__", "checkout"))
"""


class PreparationError(Exception):
    """Something without which nothing can be measured is missing."""


@dataclass
class Environment:
    """A Python version and the loops to measure in it.

    Attributes:
        version: Such as "3.13".
        python: The interpreter of the benchmarks' virtual environment.
        loops: Version of each loop that works there, in the order to measure them.
        left_out: Why each other loop that was asked for does not.
    """

    version: str
    python: Path
    loops: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The loop whose ratios are shown: vivace, or the last one when it is missing."""
        return SUBJECT if SUBJECT in self.loops else list(self.loops)[-1]


def default_loops(version: str) -> list[str]:
    """Returns the loops measured when none are named, the subject last."""
    parsed = tuple(map(int, version.split(".")))
    peers = [peer for peer in PEERS if OLDEST_PYTHON.get(peer, (0,)) <= parsed]
    return [STANDARD, *peers, SUBJECT]


def default_version() -> str:
    """Returns the version the targets are set for, or else the running one."""
    return "3.13" if _find_python("3.13") else f"{sys.version_info[0]}.{sys.version_info[1]}"


def prepare(version: str, loops: list[str], build: bool) -> Environment:
    """Makes the virtual environment and finds out which of the loops work in it.

    Args:
        version: The Python version, such as "3.13".
        loops: Names of the packages.
        build: Whether to build vivace; without it, what is there is measured.

    Raises:
        PreparationError: If there is no such interpreter, or not one of the loops.
    """
    environment = Environment(version, WORK / f"venv-{version}" / "bin" / "python")
    if not environment.python.exists():
        _make_virtual_environment(version, environment.python.parent.parent)
    _point_at_checkout(version, environment.python.parent.parent)
    for loop in loops:
        try:
            if loop == SUBJECT and build:
                _run([str(ROOT / "tools" / "develop"), version, "release"])
                # As an installer does it for every package: no run is to pay for it.
                _run([str(environment.python), "-m", "compileall", "-q", str(ROOT / "python")])
            elif loop in PEERS:
                install(environment, loop)
            environment.loops[loop] = _run([str(environment.python), "-c", _PROBE, loop]).strip()
        except PreparationError as error:
            environment.left_out[loop] = str(error)
    if not environment.loops:
        raise PreparationError(f"none of {', '.join(loops)} works on Python {version}")
    return environment


def install(environment: Environment, package: str) -> None:
    """Installs a package into the benchmarks' virtual environment unless it is there.

    Raises:
        PreparationError: If that fails.
    """
    if not _has(environment.python, package):
        _run([str(environment.python), "-m", "pip", "install", "-q", package])


def version_of(environment: Environment, package: str) -> str:
    """Returns the version of a package that is installed."""
    probe = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    return _run([str(environment.python), "-c", probe, package]).strip()


def build_native(tls: bool = False) -> Path:
    """Builds the load generator and the bare server; returns the folder they are in.

    Args:
        tls: Whether the load generator has to speak TLS, which takes more crates.

    Raises:
        PreparationError: If that fails, or there is no cargo and nothing built before.
    """
    target = ROOT / "target" / ("bench-native-tls" if tls else "bench-native")
    features = ["--features", "tls"] if tls else []
    command = ["cargo", "build", "-q", "--release", "--locked", "--target-dir", str(target)]
    try:
        _run([*command, *features], cwd=NATIVE)
    except FileNotFoundError:
        if not (target / "release" / "echo-load").exists():
            raise PreparationError("cargo is needed to build the load generator") from None
    return target / "release"


def _find_python(version: str) -> str | None:
    found = subprocess.run(
        [ROOT / "tools" / "find-python", version], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None


def _make_virtual_environment(version: str, folder: Path) -> None:
    python = _find_python(version)
    if python is None:
        raise PreparationError(f"no Python {version} on this machine")
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run([python, "-m", "venv", str(folder)])


def _point_at_checkout(version: str, folder: Path) -> None:
    packages = folder / "lib" / f"python{version}" / "site-packages"
    # The checkout's own package, where `tools/develop` leaves the extension module.
    (packages / "vivace.pth").write_text(f"{ROOT / 'python'}\n")


def _has(python: Path, package: str) -> bool:
    found = subprocess.run([python, "-c", f"import {package}"], capture_output=True, check=False)
    return found.returncode == 0


def _run(command: list[str], cwd: Path = ROOT) -> str:
    """Returns the standard output of a command; a failure carries its last line."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise PreparationError(lines[-1].strip())
    return done.stdout
