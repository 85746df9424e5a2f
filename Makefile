# Spreadwatch. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

# Any Python from 3.11 on; `make setup PYTHON=/path/to/python3.13` chooses one.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.spreadwatch-runtime
DEV := $(VENV)/.spreadwatch-dev
# The pinned installer: pip, which every venv has, fetches it by hash from the lock; pip itself is the fallback.
INSTALL = deployments/install.sh $(VENV)

# A .venv is never replaced behind one's back.
ifeq ($(origin PYTHON),command line)
ifneq ($(wildcard $(BIN)/python),)
ifneq ($(shell $(PYTHON) -c 'import sys; print(sys.version_info[:2])' 2>&1),$(shell $(BIN)/python -c 'import sys; print(sys.version_info[:2])' 2>&1))
$(error $(VENV) has $(shell $(BIN)/python -V 2>&1), not $(shell $(PYTHON) -V 2>&1); run `make clean` first to change it)
endif
endif
endif

# Tests that run at a time; most of them wait for a process or a browser.
WORKERS ?= 2

.PHONY: help setup demo up test lint format bench chaos soak soak-demo fuzz screenshots lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(RUNTIME) ## create .venv with everything needed to run
	@:

demo: setup ## run the whole platform offline, on the simulator
	@exec $(BIN)/spreadwatch up --kind simulated

up: setup ## run the whole platform on live Binance
	@exec $(BIN)/spreadwatch up

test: $(DEV) ## set up and run all tests
	@exec $(BIN)/python -m pytest -n $(WORKERS)

lint: $(DEV) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## let ruff fix and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV) ## each benchmark beside its named peer
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script; done

chaos: $(DEV) ## faults and kill -9 for 15 minutes, then the tables beside the truth (CHAOS="--minutes 5 --seed 3")
	@exec $(BIN)/python benchmarks/chaos.py $(CHAOS)

soak: $(DEV) ## one simulated day in 10 minutes: does memory grow? (SOAK="--minutes 30")
	@exec $(BIN)/python benchmarks/soak_day.py $(SOAK)

soak-demo: $(DEV) ## the demo for an hour: failed runs, processor shares, memory, sizes (SOAK="--minutes 10")
	@exec $(BIN)/python benchmarks/soak_demo.py $(SOAK)

fuzz: $(DEV) ## broken and hostile messages through the decoders for 5 minutes (FUZZ="--seconds 60 --check-bounds")
	@exec $(BIN)/python benchmarks/fuzz.py $(FUZZ)

screenshots: $(DEV) ## every view of the running dashboard, dark and light, wide and narrow (SHOTS="--url http://127.0.0.1:5006 --readme")
	@exec $(BIN)/python docs/screenshots.py $(SHOTS)

lock: $(DEV) ## choose dependency versions anew
	$(BIN)/uv pip compile pyproject.toml --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --upgrade --group dev -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-annotate -q -o requirements-dev.lock

clean: ## remove .venv and caches (never data/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer was found; install one (for example: apt install python3 python3-venv) or run: make setup PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Spreadwatch needs Python 3.11 or newer: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot create a virtual environment; install its venv module (for example: apt install python3-venv) and try again" >&2; exit 1; }

$(RUNTIME): requirements.lock pyproject.toml deployments/install.sh | $(BIN)/python
	@$(INSTALL) requirements.lock
	@$(BIN)/python -m pipeline.cli doctor --prepare
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	@$(INSTALL) requirements-dev.lock
	@touch $@
