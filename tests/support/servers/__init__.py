"""Servers that tests/downstream starts: one module for each, all by support.servers.process."""
