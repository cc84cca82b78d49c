"""Runs CPython's own `test.test_asyncio` on another event loop, Task class and Future class.

`python -m tests.conformance --help` from the root of the checkout; README.md beside this file says
how it works. The modules fall in two: `worker` and what it imports live in the child processes in
which the tests run, everything else lives in the process that starts and judges them.
"""
