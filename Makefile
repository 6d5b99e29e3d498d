# make demo   set up, then start the server, a shop, a worker and traffic; prints one address
#             SYSTEM=luster: another system in the shop's place, one of examples/
# make test   set up, then run the tests
# make live   run the tests that look at a clock, which need the machine for themselves
# make check  formatting, lint, types, import order
# make bench  the measured promises, as ratios to the peers
# make conformance  the cases of CONFORMANCE (../shared/conformance) that an Alertmanager and rules have to pass
# make crash  kill the alerting at random moments; KILLS=200 times
# make docs   reference pages, checked against the code

SHELL := /bin/bash
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
BIN := $(VENV)/bin
FRONTEND := src/trackside/server/web/static/dist/manifest.json
# Versions of libraries that some tests need apart from the others.
LIBRARIES := $(patsubst tests/libraries/%.txt,$(VENV)/libraries/%/.stamp,$(wildcard tests/libraries/*.txt))
ARGS ?=
SYSTEM ?=
# The examples need more packages than the shop.
EXAMPLE := $(filter-out shop,$(SYSTEM))

.DEFAULT_GOAL := help
KILLS ?= 200
CONFORMANCE ?= ../shared/conformance
OURS := $(abspath $(BIN))/trackside
SERVE := $(OURS) serve --no-auth --config {config} --data-dir {data} --listen 127.0.0.1:{port}
.PHONY: help demo test live check bench conformance crash docs frontend format clean

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

demo: $(VENV)/.$(if $(EXAMPLE),examples,demo) $(FRONTEND)
	$(BIN)/trackside demo $(if $(EXAMPLE),--system $(EXAMPLE)) $(ARGS)

# Tests start some hundred interpreters; each would compile everything anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev $(LIBRARIES) $(FRONTEND)
	$(BIN)/python -m pytest -n 4 --dist worksteal -m 'not live' $(ARGS)

# Apart from the others, which would make everything late.
live: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m live tests/alerting $(ARGS)

check: $(VENV)/.dev $(FRONTEND)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/sdk/request_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/wsgi_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/rendering_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/memory_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/import_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/workers_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/off_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/adapters_cost.py $(ARGS)
	$(BIN)/python benchmarks/sdk/logs_cost.py $(ARGS)
	$(BIN)/python benchmarks/jobs/sample_cost.py
	$(BIN)/python benchmarks/jobs/sql_sample_cost.py
	$(BIN)/python benchmarks/jobs/page_cost.py
	$(BIN)/python benchmarks/web/status_cost.py
	$(BIN)/python benchmarks/promql/engine_speed.py
	$(BIN)/python benchmarks/scrape/scrape_cost.py
	$(BIN)/python benchmarks/alerting/dispatch_round.py
	$(BIN)/python benchmarks/server/start_cost.py $(ARGS)

conformance: $(VENV)/.dev
	$(BIN)/python $(CONFORMANCE)/alerting/forstate.py --strict --signal KILL --server '$(SERVE)'
	$(BIN)/python $(CONFORMANCE)/alerting/forstate.py --strict --signal TERM --server '$(SERVE)'
	$(BIN)/python $(CONFORMANCE)/alerting/alertgen.py --scale 30 --server '$(SERVE) --rules.alert.resend-delay={resend}'
	# Last, since one of its files expects the windows of Prometheus 2, which are not ours nor those of Prometheus 3.
	$(BIN)/python $(CONFORMANCE)/alerting/runner.py --check-config '$(OURS) check {config}' --promtool $(OURS) \
		--server '$(SERVE)' $(ARGS)

crash: $(VENV)/.dev
	TRACKSIDE_KILLS=$(KILLS) $(BIN)/python -m pytest tests/alerting/test_crash.py $(ARGS)

docs: $(VENV)/.dev
	$(BIN)/python scripts/reference.py $(ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

frontend: $(FRONTEND)

# The lock file is the stamp of npm's work: only a change of it installs again.
$(FRONTEND): $(wildcard frontend/src/*) frontend/package.json frontend/package-lock.json frontend/build.mjs
	@command -v npm >/dev/null || { echo "make: npm is needed to build the pages (Debian: apt install npm; or nodejs.org)"; exit 1; }
	cd frontend && npm ci --no-audit --no-fund --silent && npm run --silent build

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or later is needed and was not found (set PYTHON=/path/to/python)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml $(FRONTEND) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[demo]'
	@touch $@

$(VENV)/.examples: pyproject.toml $(FRONTEND) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[examples]'
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml $(FRONTEND) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.demo $(VENV)/.examples

$(VENV)/libraries/%/.stamp: tests/libraries/%.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --no-warn-conflicts --upgrade --target $(@D) -r $<
	@touch $@

clean:
	rm -rf $(VENV) frontend/node_modules src/trackside/server/web/static/dist
