"""Diagnostics: what the loop tells of the program that it runs.

What happens for each step of a task is native (``crates/vivace-python/src/see``), and so are the
thread that notices a blocked loop and the texts of reports (``crates/vivace-see``). Here is what
is asked seldom and may take its time.

==============  ==========================================================================
``_findings``   reports a finding
``_settings``   what the environment asked for
==============  ==========================================================================
"""

from __future__ import annotations
