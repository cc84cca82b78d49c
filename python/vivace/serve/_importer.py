"""Finds what an import string such as ``package.module:attribute`` names.

Used for the application, and for factories given by name. The messages are uvicorn's.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["ImportFromStringError", "import_from_string"]


class ImportFromStringError(Exception):
    """The string has no such form, or names nothing."""


def import_from_string(name: Any) -> Any:
    """Import what the string names; anything that is no string is returned as it is.

    Raises:
        ImportFromStringError: The string has another form, or there is no such thing. Whatever
            else the module raises while it is imported is passed on.
    """
    if not isinstance(name, str):
        return name
    module_name, _, attributes = name.partition(":")
    if not module_name or not attributes:
        raise ImportFromStringError(
            f'Import string "{name}" must be in format "<module>:<attribute>".'
        )
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Something else that the module wants is missing: that is the module's own error. A
        # parent that is missing is part of the name.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ImportFromStringError(f'Could not import module "{module_name}".') from None
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ImportFromStringError(
                f'Attribute "{attributes}" not found in module "{module_name}".'
            ) from None
    return found
