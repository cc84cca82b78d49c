"""Makes the folder of machine files that the demo shows."""

from __future__ import annotations

from pathlib import Path

_DRILL = """\
%
O1001 (BRACKET, TWO HOLES)
G90 G54 G17
T1 M6 (DRILL 6.8)
S2400 M3
G0 X20 Y15
G81 Z-12 R2 F180
X60
G80
M30
%
"""

_FILES = {
    "bracket.mcam": b"MCAM\0\1" + bytes(range(256)) * 48,
    "housing.mcam": b"MCAM\0\1" + bytes(range(255, -1, -1)) * 130,
    "bracket-op10.vnc": _DRILL.encode(),
    "bracket-op20.vnc": _DRILL.replace("O1001", "O1002").replace("X60", "X60 Y45").encode(),
    "README.txt": b"Not a machine file: the application does not show it.\n",
}


def make_sample(folder: Path) -> None:
    """Puts the sample files into the folder; files that are there stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in _FILES.items():
        path = folder / name
        if not path.exists():
            path.write_bytes(content)
