"""The HTTP server: what `vivace serve` and `vivace.serve(app)` run.

Nothing of it is imported by `import vivace`. What lies where:

    _settings   what the native engine reads
"""

from __future__ import annotations

from ._settings import Settings

__all__ = ["Settings"]
