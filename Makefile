# Every target that needs the virtual environment makes it first, from the lock, and only when the lock changed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test check quick fuzz up down ps rolling backup restore screenshots chaos cluster lint format bench bench-quick bench-figures lock clean

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

# What only the peers of the bench need: nothing else is held up by it.
$(BENCH_STAMP): tools/bench/requirements.lock | $(STAMP)
	@echo "installing from tools/bench/requirements.lock ..."
	@$(BIN)/python $(INSTALL) -r tools/bench/requirements.lock
	@touch $@

# What `make demo` runs and what it is tuned by stands in docs/quickstart.md.
demo: setup  ## start everything, settle 1,000 orders, audit, stop: about a minute
	@$(BIN)/python -m tools.demo

# What holds a bound of wall time comes last, with nothing beside it: a bound is for a machine that does nothing else.
test: setup  ## all tests, on servers of their own; ARGS=tests/unit for some of them
ifdef ARGS
	@$(PYTEST) $(ARGS)
else
	@$(PYTEST) -m "not timed"
	@$(BIN)/python -m pytest -n 1 -m timed
endif

# After a change of a line: lint, types, walls, and every test without a process or a transaction of its own.
check: setup  ## lint and the tests that need no process: under a minute
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint quick

quick: TEST_WORKERS = 2
quick: setup  ## the tests of `check` alone
	@$(PYTEST) -m "not process and not transaction and not timed" $(ARGS)

# Property tests with new examples, FUZZ times as many. What failed fails again: make fuzz SEED=...
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

# The programs of the running stack are replaced by the code that lies here now, while they serve.
rolling: setup  ## replace the running programs by the code that lies here now
	@$(BIN)/python -m tools.stack roll

# Dumps of both databases and the keys, in var/backups/; while everything runs.
backup: setup  ## dump both databases and the keys into var/backups; ARGS="--to DIR"
	@$(BIN)/python -m tools.stack backup $(ARGS)

# make restore FROM=var/backups/20261124T120000Z, with the stack down: what was there is kept under another name.
restore: setup  ## put a backup back, with the stack down: FROM=var/backups/MOMENT
	@$(BIN)/python -m tools.stack restore $(FROM) $(ARGS)

# What README.md and docs/quickstart.md show of the admin and the trade page, taken anew.
screenshots: setup  ## take the pictures of docs/images anew; needs Chromium
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest -n 0 tests/journeys/stack

# CHAOS_SEED=7 CHAOS_MINUTES=20 make chaos: what it does to a stack of its own stands in docs/chaos.md.
chaos: setup  ## break a stack of its own under load for two minutes and prove the books
	@$(BIN)/python -m tools.chaos

# CLUSTER_SEED=7 make cluster ARGS="host-killed": what it does stands in docs/availability.md. Root, Linux, etcd.
cluster: setup  ## break hosts of a database cluster under load and prove the books; ARGS=FAULT for some
	@$(BIN)/python -m tools.cluster $(ARGS)

lint: setup  ## ruff, mypy and the import walls
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: setup  ## ruff, with what it can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Some of the scenarios: make bench ARGS="single batch". What they measure stands in tools/bench/README.md.
bench: setup $(BENCH_STAMP)  ## measure at length, with millions of earlier orders: most of an hour
	@$(BIN)/python -m tools.bench $(ARGS)

bench-quick: setup $(BENCH_STAMP)  ## measure beside pgbench, django-hordak and plain Celery: under three minutes
	@$(BIN)/python -m tools.bench --quick $(ARGS)

# What the last bench measured, into README.md and docs/.
bench-figures: setup  ## write what the last bench measured into README.md and docs/
	@$(BIN)/python -m tools.bench.write_figures $(ARGS)

# Universal over Python 3.11 to 3.14; the files name packages and hashes only, no index.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url

lock: setup  ## resolve the dependencies of pyproject.toml anew into the lock files
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) -c requirements.lock --group bench -o tools/bench/requirements.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) tools/cluster/requirements.in -o tools/cluster/requirements.lock

clean:  ## stop, then delete var/ (all data) and .venv
	@if test -x $(BIN)/python; then $(BIN)/python -m tools.stack clean; fi
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
