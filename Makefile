# Every target that needs the virtual environment makes it first, from the lock, and only when the lock changed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test up down ps rolling backup restore screenshots chaos lint format bench bench-quick lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps
TEST_WORKERS ?= 2

help:
	@echo "make demo | test | up | down | ps | rolling | backup | restore | chaos | lint | format | bench | bench-quick | setup | lock | clean"

setup: $(STAMP)

$(STAMP): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Crossbook needs Python 3.11 or newer: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing from requirements-dev.lock ..."
	@$(BIN)/python $(INSTALL) -r requirements-dev.lock
	@touch $@

# What only the peers of the bench need: nothing else is held up by it.
$(BENCH_STAMP): bench/requirements.lock | $(STAMP)
	@echo "installing from bench/requirements.lock ..."
	@$(BIN)/python $(INSTALL) -r bench/requirements.lock
	@touch $@

# What `make demo` runs and what it is tuned by stands in README.md.
demo: setup
	@$(BIN)/python -m demo

test: setup
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) $(ARGS)

up: setup
	@$(BIN)/python -m config.stack up $(ARGS)

down: setup
	@$(BIN)/python -m config.stack down

ps: setup
	@$(BIN)/python -m config.stack ps

# The programs of the running stack are replaced by the code that lies here now, while they serve.
rolling: setup
	@$(BIN)/python -m config.stack roll

# Dumps of both databases and the keys, in var/backups/; while everything runs.
backup: setup
	@$(BIN)/python -m config.stack backup $(ARGS)

# make restore FROM=var/backups/20261124T120000Z, with the stack down: what was there is kept under another name.
restore: setup
	@$(BIN)/python -m config.stack restore $(FROM) $(ARGS)

# What the README shows of the admin and the trade page, taken anew.
screenshots: setup
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest -n 0 tests/journeys/test_cockpit_in_a_browser.py tests/journeys/test_trade_in_a_browser.py

# CHAOS_SEED=7 CHAOS_MINUTES=20 make chaos: what it does to a stack of its own stands in docs/chaos.md.
chaos: setup
	@$(BIN)/python -m chaos

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Some of the scenarios: make bench ARGS="single batch". What they measure stands in bench/README.md.
bench: setup $(BENCH_STAMP)
	@$(BIN)/python -m bench $(ARGS)

bench-quick: setup $(BENCH_STAMP)
	@$(BIN)/python -m bench --quick $(ARGS)

# Universal over Python 3.11 to 3.14; the files name packages and hashes only, no index.
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url

lock: setup
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) -c requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	@$(BIN)/uv pip compile $(LOCK_FLAGS) $(ARGS) -c requirements.lock --group bench -o bench/requirements.lock

clean:
	@if test -x $(BIN)/python; then $(BIN)/python -m config.stack clean; fi
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
