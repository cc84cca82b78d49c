"""The suites: one module for each kind of benchmark, each with `measure` and `tables`."""
