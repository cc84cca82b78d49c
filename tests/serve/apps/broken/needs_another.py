"""A module that cannot be imported because another is missing."""

import nothing_of_this_name  # noqa: F401
