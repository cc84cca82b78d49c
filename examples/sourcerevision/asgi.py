"""What a server imports: the application, configured from the environment."""

from __future__ import annotations

from sourcerevision.app import create_app
from sourcerevision.settings import Settings, SettingsError

try:
    app = create_app(Settings.from_environment())
except SettingsError as error:
    # A wrong setting is the operator's to mend: one line, no traceback.
    raise SystemExit(f"sourcerevision: {error}") from None
