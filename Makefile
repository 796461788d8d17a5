# Every target that needs the virtual environment makes it first, from the lock, and only when the lock changed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check quick fuzz up down ps rolling backup restore hold screenshots chaos cluster cluster-demo cluster-drill lint format bench bench-quick bench-figures lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
# Many tests wait for processes, so that three workers keep two cores busy; for a few tests two start sooner.
TEST_WORKERS ?= $(if $(ARGS),2,3)
# Each worker has its part of the modules in a row, until it takes from another: tests of one share what it starts.
PYTEST = $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## install what the lock names into .venv

$(STAMP): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Crossbook needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing from requirements-dev.lock ..."
	@$(BIN)/python $(INSTALL) -r requirements-dev.lock
	@touch $@

# Packages that only the peers of the bench need: nothing else waits for them.
$(BENCH_STAMP): tools/bench/requirements.lock | $(STAMP)
	@echo "installing from tools/bench/requirements.lock ..."
	@$(BIN)/python $(INSTALL) -r tools/bench/requirements.lock
	@touch $@

# docs/quickstart.md says what `make demo` runs and which variables tune it.
demo: setup  ## start everything, settle 1,000 orders, audit, stop: about a minute
	@$(BIN)/python -m tools.demo

# Tests with a bound of wall time run last: a bound is for a machine that does little else. What replaces a whole stack
# takes both cores and runs alone; the others mostly wait for times that run out, three at once.
TIMED = $(shell grep -rl 'pytest.mark.timed' tests)

test: setup  ## all tests, on servers of their own; ARGS=tests/unit for some of them
ifdef ARGS
	@$(PYTEST) $(ARGS)
else
	@$(PYTEST) -m "not timed"
	@$(PYTEST) -n 3 -m timed $(filter-out tests/journeys/stack/%,$(TIMED))
	@$(BIN)/python -m pytest -n 0 -m timed $(filter tests/journeys/stack/%,$(TIMED))
endif

# After every change: lint, types, walls, and every test without a process or a transaction of its own.
check: setup  ## lint, and the tests that need no process: under a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint quick

quick: TEST_WORKERS = 2
quick: setup  ## the tests of `check` alone
	@$(PYTEST) -m "not process and not transaction and not timed" $(ARGS)

# Property tests with new examples, FUZZ times as many. To repeat a failure: make fuzz SEED=...
FUZZ ?= 20
SEED ?= $(shell $(PYTHON) -c 'import secrets; print(secrets.randbelow(2**31))')

fuzz: setup  ## property tests with new examples, FUZZ times as many; SEED=... repeats a run
	@seed=$(SEED); echo "SEED=$$seed"; \
	FUZZ=$(FUZZ) SCHEMATHESIS_SEED=$$seed SCHEMATHESIS_EXAMPLES=$$((20 * $(FUZZ))) \
	$(PYTEST) -m property --hypothesis-seed=$$seed $(ARGS) || { echo "SEED=$$seed"; exit 1; }

up: setup  ## start everything and follow the logs; ARGS=--detach returns once it serves
	@$(BIN)/python -m tools.stack up $(ARGS)

down: setup  ## stop everything
	@$(BIN)/python -m tools.stack down

ps: setup  ## each process with its state and pid
	@$(BIN)/python -m tools.stack ps

# The programs of the running stack are replaced by the code in this folder, while they serve.
rolling: setup  ## upgrade the running programs to the code in this folder, without downtime
	@$(BIN)/python -m tools.stack roll

# Dumps of both databases and the keys, in var/backups/; while everything runs.
backup: setup  ## dump both databases and the keys into var/backups; ARGS="--to DIR"
	@$(BIN)/python -m tools.stack backup $(ARGS)

# make restore FROM=var/backups/20261124T120000Z, with the stack down: the present data are kept under another name.
restore: setup  ## restore a backup, with the stack down: FROM=var/backups/MOMENT
	@$(BIN)/python -m tools.stack restore $(FROM) $(ARGS)

# make hold MOMENT=2026-11-24T12:00:00Z, with the stack down: other tools have restored both databases (docs/backup.md).
hold: setup  ## hold a desk that other tools have restored, with the stack down: MOMENT=...
	@$(BIN)/python -m tools.stack hold $(MOMENT)

# The pictures in README.md and docs: the admin and the trade page.
screenshots: setup  ## retake the pictures of docs/images; needs Chromium
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest -n 0 tests/journeys/stack

# CHAOS_SEED=7 CHAOS_MINUTES=20 make chaos: see docs/chaos.md.
chaos: setup  ## break every part of a separate stack under load for two minutes, then audit the books
	@$(BIN)/python -m tools.chaos

# CLUSTER_SEED=7 make cluster ARGS="host-killed": see docs/availability.md. Needs root, Linux, etcd and HAProxy.
cluster: setup  ## run 3 whole hosts behind HAProxy on this machine, fail them under load, audit the books; as root; ARGS=FAULT
	@$(BIN)/python -m tools.cluster $(ARGS)

cluster-drill: setup  ## lose 3 hosts and their databases, restore to one minute before, audit the books; as root
	@$(BIN)/python -m tools.cluster.drill

cluster-demo: setup  ## the demo on 3 whole hosts behind HAProxy; as root
	@$(BIN)/python -m tools.cluster.demo

lint: setup  ## ruff, mypy and the import walls
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: setup  ## format, and fix what ruff can fix
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Some of the scenarios: make bench ARGS="single batch". tools/bench/README.md says what each measures.
bench: setup $(BENCH_STAMP)  ## full benchmark, with millions of earlier orders: most of an hour
	@$(BIN)/python -m tools.bench $(ARGS)

bench-quick: setup $(BENCH_STAMP)  ## short benchmark beside pgbench, django-hordak and plain Celery: under three minutes
	@$(BIN)/python -m tools.bench --quick $(ARGS)

bench-figures: setup  ## write the last benchmark's figures into README.md and docs/
	@$(BIN)/python -m tools.bench.write_figures $(ARGS)

# Universal over Python 3.11 to 3.14; the files name packages and hashes only, no index.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url

lock: setup  ## resolve the dependencies of pyproject.toml into the lock files
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) -c requirements.lock --group bench -o tools/bench/requirements.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) tools/cluster/requirements.in -o tools/cluster/requirements.lock

clean:  ## stop, then delete var/ (all data) and .venv
	@if test -x $(BIN)/python; then $(BIN)/python -m tools.stack clean; fi
	@echo "removing $(VENV) and caches ..."
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
