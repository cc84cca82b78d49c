"""Diagnostics: what the loop tells of the program that it runs.

What happens for each step of a task is native (``crates/vivace-python/src/see``), and so are the
thread that notices a blocked loop and the texts of reports (``crates/vivace-see``). Here is what
is asked seldom and may take its time.

=====================  ===================================================================
``_begin``             begins to look, when the first loop is made
``_tick``              what looks once a second
``_gauges``            numbers for the metrics that nobody keeps
``_findings``          reports a finding
``_settings``          what the environment asked for
``_authors``           who wrote a file
``_sites``             places in the program, and tasks, as reports name them
``_tasks``             the task that runs, and those that are pending
``_threads``           what the threads of an executor are doing
``_frames``            the frames of what is suspended, read without a trace
``_waits``             what a task waits for
``_wait``              that as a value, and what those who describe it may ask for
``_futures``           what a bare future is, and for which tasks it stands
``_asyncio_waits``     the waits of asyncio
``_anyio_waits``       the waits of anyio
``_owners``            who is inside of which ``async with``
``_acquisitions``      who took a lock by hand (``--dev``)
``_reach``             whether a task can reach an object
``_graph``             the wait graph, and its circles
``_idle``              whether anything could still wake a task
``_deadlocks``         looks for circles: V301, V303
``_deadlock_reports``  what is said of them
``_accesses``          which instructions read and write shared state
``_races``             updates that are lost at awaits (``--races``): V501
``_strict``            calls that block, refused (the plugin for pytest): V401
``_lost``              starts what looks for the next seven
``_unawaited``         coroutines that were never awaited: V201
``_unobserved``        failures that nobody looked at: V202
``_orphans``           tasks that can never go on: V203
``_leaks``             tasks made at one place that become more and more: V210
``_cancels``           tasks that ignore being cancelled: V220
``_exit``              what is left when a loop ends: V230
``_executors``         executors that are full: V120
``_snapshot``          the list of tasks for other processes
``_jobs``              what other processes ask for
``_diagnostics``       what is known of this process, for the program itself
``_metrics``           the numbers for Prometheus
``_opentelemetry``     the numbers for OpenTelemetry
=====================  ===================================================================
"""

from __future__ import annotations
