# The commands of this repository; `make help` lists them.
#
# What a target needs (interpreters, compilers, packages) is found or installed
# by the scripts in tools/, or named in one line. Every build is incremental.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

# `make demo`: the port (0 takes a free one), and ONCE=1 to request each endpoint
# and exit.
PORT ?= 8000
ONCE ?=

# The interpreters that `make test` runs on: those the machine has.
SUPPORTED := 3.11 3.12 3.13 3.14
ifndef VERSIONS
VERSIONS := $(shell for v in $(SUPPORTED); do tools/find-python $$v >/dev/null && echo $$v; done)
endif
export VERSIONS
NEWEST = $(lastword $(VERSIONS))
CHECKS = .venv-$(NEWEST)/bin/python

# More arguments for pytest and for the conformance runner.
PYTEST ?=
CONFORMANCE ?=

# Arguments of benchmarks/run.py.
BENCH ?=

# How long `make fuzz` feeds each target, and how long it does in `make test`.
FUZZ_SECONDS ?= 60
FUZZ_SECONDS_IN_TEST ?= 15

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help
help: ## lists the targets
	@awk -F ':.*## ' '/^[a-z0-9%-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' Makefile

# --- for users ---

.PHONY: demo
demo: .venv/.demo-requirements ## serves the example (PORT=8000, ONCE=1 for one round)
	@tools/develop .venv
	@exec .venv/bin/python -m tools.demo --port $(PORT) $(if $(ONCE),--once)

.venv/.demo-requirements: requirements/build.txt requirements/demo.txt examples/sourcerevision/requirements.txt
	@tools/check-compilers
	@python=$$(tools/find-python any) || { \
	    echo "missing: CPython 3.11 or newer; on Debian: sudo apt-get install python3 python3-venv" >&2; exit 3; }; \
	tools/new-venv "$$python" .venv
	@.venv/bin/python -m pip install -q -r requirements/demo.txt
	@touch $@

# --- everything that CI runs ---

# With commas in between they run at the same time: most of the suite waits.
comma := ,
empty :=
TOGETHER = $(subst $(empty) $(empty),$(comma),$(addprefix python-,$(VERSIONS)))
STAGES = fmt clippy rust loom miri deny ruff types stubs $(addprefix develop-,$(VERSIONS)) \
    $(TOGETHER) $(addprefix conformance-,$(VERSIONS)) example demo-once asan fuzz-briefly

.PHONY: test
test: packages ## builds what it needs and runs everything that CI runs
	@[ -n "$(VERSIONS)" ] || { echo "missing: a CPython of $(SUPPORTED)" >&2; exit 3; }
	@python=$$(tools/find-python $(NEWEST)) && exec "$$python" tools/stages.py \
	    $(addprefix --missing ,$(filter-out $(VERSIONS),$(SUPPORTED))) $(STAGES)

.PHONY: packages
packages: ## installs what the machine lacks: servers and a browser that tests start, rustfmt, clippy
	@tools/rust-components
	@command -v chromium >/dev/null || tools/debian-packages chromium
	@command -v nginx >/dev/null || ls /usr/sbin/nginx >/dev/null 2>&1 || tools/debian-packages nginx
	@command -v slowhttptest >/dev/null || tools/debian-packages slowhttptest
	@command -v redis-server >/dev/null || tools/debian-packages redis-server
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	    tools/debian-packages postgresql

.PHONY: fmt
fmt: ## checks the layout of the Rust code
	cargo fmt --all --check
	cargo fmt --manifest-path benchmarks/native/Cargo.toml --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --all --check

.PHONY: clippy
clippy: $(addprefix clippy-,$(VERSIONS)) ## checks the Rust code, for each Python
	CARGO_TARGET_DIR=$(CURDIR)/target/checks-native cargo clippy --quiet \
	    --manifest-path benchmarks/native/Cargo.toml --workspace --all-targets -- -D warnings

clippy-%: FORCE
	tools/cargo-for $* clippy --quiet --workspace --all-targets -- -D warnings

.PHONY: rust
rust: ## runs the unit tests of the Rust crates
	tools/cargo-for $(NEWEST) test --workspace --no-fail-fast

.PHONY: loom
loom: ## checks every interleaving of what threads share
	tools/loom

.PHONY: miri
miri: ## runs the Python-free crates under Miri, where a toolchain has it
	tools/miri

.PHONY: deny
deny: ## checks licences, sources and known faults of the crates we use
	tools/deny

.PHONY: ruff
ruff: venv-$(NEWEST) ## checks the Python code and its layout
	$(CHECKS) -m ruff check .
	$(CHECKS) -m ruff format --check .

.PHONY: types
types: develop-$(NEWEST) ## checks the types of the package, the tools and the example
	$(foreach v,$(SUPPORTED),$(CHECKS) -m mypy --strict --python-version $(v) python/vivace &&) true
	$(CHECKS) -m mypy --strict --explicit-package-bases tools
	MYPYPATH=examples:examples/sourcerevision/tests \
	    $(CHECKS) -m mypy --strict --explicit-package-bases examples/sourcerevision

.PHONY: stubs
stubs: develop-$(NEWEST) ## compares the stubs with the extension module
	@[ -e python/vivace/_native.pyi ] || { echo "there are no stubs: python/vivace/_native.pyi" >&2; exit 1; }
	cd python && ../$(CHECKS) -m mypy.stubtest vivace._native \
	    $(if $(wildcard tools/stubtest.allow),--allowlist ../tools/stubtest.allow)

# Whatever passes only when it is repeated is named at the end of `make test`.
python-%: develop-% FORCE
	.venv-$*/bin/python -m pytest tests --ignore tests/nightly \
	    --reruns 1 --rerun-show-tracebacks -rR $(PYTEST)

conformance-%: develop-% FORCE
	.venv-$*/bin/python -m tests.conformance $(CONFORMANCE)

.PHONY: python
python: $(addprefix python-,$(VERSIONS)) ## runs the test suite on each Python

.PHONY: conformance
conformance: $(addprefix conformance-,$(VERSIONS)) ## runs CPython's asyncio tests on each Python

.PHONY: example
example: develop-$(NEWEST) ## runs the tests of the example
	$(CHECKS) -m pytest examples/sourcerevision $(PYTEST)

.PHONY: demo-once
demo-once: ## requests each endpoint of the example once
	@$(MAKE) --no-print-directory demo PORT=0 ONCE=1

# --- for developers ---

# `make develop-3.13` builds vivace into .venv-3.13.
develop-%: venv-% FORCE
	@tools/develop $*

venv-%: FORCE
	@tools/test-venv $*

.PHONY: FORCE
FORCE:

.PHONY: test-py314
test-py314: ## sets up Debian's Python 3.14 in a folder and runs the suite there
	tools/py314 tools/test-venv 3.14
	tools/py314 tools/develop 3.14
	@status=0; \
	tools/py314 .venv-3.14/bin/python -m pytest tests --ignore tests/nightly $(PYTEST) || status=1; \
	tools/py314 .venv-3.14/bin/python -m tests.conformance $(CONFORMANCE) || status=1; \
	tools/py314 .venv-3.14/bin/python -m pytest examples/sourcerevision $(PYTEST) || status=1; \
	exit $$status

.PHONY: test-fresh
test-fresh: ## runs `make demo` as a newcomer would, on a fresh Debian 13 in a folder
	tools/fresh-debian

.PHONY: asan
asan: venv-$(NEWEST) ## runs the suite on an extension with AddressSanitizer
	tools/asan $(NEWEST) $(PYTEST)

.PHONY: fuzz
fuzz: ## feeds each fuzz target for a minute (FUZZ_SECONDS=60)
	tools/fuzz $(FUZZ_SECONDS)

.PHONY: fuzz-briefly
fuzz-briefly:
	tools/fuzz $(FUZZ_SECONDS_IN_TEST)

.PHONY: nightly
nightly: develop-$(NEWEST) ## runs what takes too long for CI: soak, long fuzzing, wheels
	tools/nightly $(VERSIONS)

.PHONY: bench
bench: ## measures loops and web servers side by side (BENCH="--quick")
	@python=$$(tools/find-python any) && exec "$$python" benchmarks/run.py $(BENCH)

.PHONY: wheels
wheels: ## builds a wheel for each Python and imports each in a clean environment
	rm -rf dist
	tools/wheels $(VERSIONS)
	[ ! -e .work/py314.ready ] || tools/py314 tools/wheels 3.14

.PHONY: clean
clean: ## removes what was built; .work (Python 3.14, results) stays
	rm -rf target dist .venv .venv-3.* python/vivace/_native*.so
	find . -path ./.work -prune -o -path ./.git -prune -o -type d \
	    \( -name __pycache__ -o -name .mypy_cache -o -name .ruff_cache -o -name .pytest_cache \) \
	    -prune -exec rm -rf {} +
