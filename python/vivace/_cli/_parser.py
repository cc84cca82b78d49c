"""A command line whose mistakes are told in one line, as all of ours are."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from . import fail


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """End with one line."""
        sys.exit(fail(self.prog, message))
