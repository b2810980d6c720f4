# Everything a person or a machine does in this checkout. `make help` lists it.
# Needs Python 3.11-3.14, pip and make; the rest is installed into .venv by hash.

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
WORKERS ?= 2
PYTEST  := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile
COMPILE := $(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-fast lint format generated readme lock image-check client-check wheel clean \
        bench-quality bench-idle bench-http bench-server bench-cost bench-carbon

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## make .venv and install the locked requirements and the project into it

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	  || { echo "Python 3.11 to 3.14 is needed; name one: make install PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)  ## run the main job on generated customers: leaderboard, picks, receipt
	$(BIN)/frugal demo

serve: $(STAMP)  ## start the service on http://127.0.0.1:8080
	$(BIN)/frugal serve

test: lint  ## the whole gate: format, lint, types, layers, every test and doctest
	$(PYTEST) -rs

test-fast: $(STAMP)  ## the quick tests only: no real data, no servers, nothing slow
	$(PYTEST) -q -m "not slow and not data and not postgres and not server and not browser"

lint: $(STAMP)  ## format and lint check, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## rewrite the files as the formatter and the safe fixes want them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

generated: $(STAMP)  ## renew README.md's settings and map, docs/reference.md, deploy/env.example
	$(BIN)/python -m benchmarks.readme_demo --without-demo

readme: $(STAMP)  ## the same, and the output of a real `make demo` run
	$(BIN)/python -m benchmarks.readme_demo

lock: $(STAMP)  ## resolve the requirements anew into the lock files (UPGRADE=1: newest versions)
	$(COMPILE) pyproject.toml -o requirements.lock >/dev/null
	$(COMPILE) pyproject.toml --extra postgres --group dev -o requirements-dev.lock >/dev/null
	$(COMPILE) pyproject.toml --extra postgres -o deploy/requirements.lock >/dev/null
	$(COMPILE) --group build -o deploy/build.lock >/dev/null
	$(COMPILE) deploy/client-check.in -o deploy/client-check.lock >/dev/null

image-check: $(STAMP)  ## run the Dockerfile's own COPY and RUN lines in a plain folder (no Docker)
	$(BIN)/python deploy/check.py

client-check: $(STAMP)  ## generate a client from the OpenAPI description and call the service with it
	$(BIN)/python deploy/client_check.py

bench-quality: $(STAMP)  ## average precision and CPU-seconds on real data, against LightGBM's default
	$(BIN)/python -m benchmarks.quality

bench-idle: $(STAMP)  ## what the service takes at rest: processor and memory
	$(BIN)/python -m benchmarks.idle

bench-http: $(STAMP)  ## how quickly the service answers: predictions, leaderboard, page, against floors
	$(BIN)/python -m benchmarks.http

bench-server: $(STAMP)  ## web servers compared: idle cost, slow clients, unauthenticated uploads
	$(BIN)/python -m benchmarks.server

bench-cost: $(STAMP)  ## fit the expected cost of each model anew
	$(BIN)/python -m benchmarks.cost_model

bench-carbon: $(STAMP)  ## what waiting saves, how quickly it is planned, and a year of faults (QUICK=1: a minute)
	$(BIN)/python -m benchmarks.carbon $(if $(QUICK),--quick)

wheel: $(STAMP)  ## build the wheel into dist/
	$(BIN)/python -m hatchling build -t wheel

clean:  ## remove .venv, caches and reports; data folders stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache reports dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
