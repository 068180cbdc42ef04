# `make demo`, `make test`, `make lint` and `make bench`; each installs what it needs into .venv first.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
DATA ?= data

ifndef PYTHON # the first of these that is Python 3.11 or newer
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
endif
export PYTHON

# a file's tests stay in one process, and each process has databases of its own; NEO4J_URI's can't be shared
PYTEST ?= $(if $(NEO4J_URI),,-n 2 --dist loadfile)

BENCHMARKS := $(basename $(notdir $(shell grep -l __main__ benchmarks/*.py)))
CASES := $(wildcard docs/cases/*.json)

.PHONY: help install demo test lint bench clean

help: ## says what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST)

install: $(INSTALLED) ## installs Evigraph and its tools into .venv, in the versions of uv.lock

$(INSTALLED): pyproject.toml uv.lock
	@test -n '$(PYTHON)' || { echo 'Evigraph needs Python 3.11 or newer' >&2; exit 1; }
	@.ci/need venv openmp
	@echo 'Installing into $(VENV)'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'
	@$(BIN)/uv export --quiet --frozen --all-extras --no-emit-project --output-file $(VENV)/requirements.txt
# uv is quick; where only pip is configured to reach a package index, pip installs the same
	@install() { "$$@" --require-hashes -r $(VENV)/requirements.txt && "$$@" --no-deps --editable .; }; \
	install $(BIN)/uv pip install --quiet --python $(BIN)/python || install $(BIN)/pip install --quiet
	@touch $@

demo: install ## loads all of HPO into an embedded database, and diagnoses three published cases
	@export EVIGRAPH_GRAPH='embedded:$(DATA)' EVIGRAPH_DATA='$(DATA)' PATH="$(BIN):$$PATH"; \
	run() { printf '\n$$ %s\n' "$$*"; "$$@"; }; \
	run evigraph ingest hpo; \
	run evigraph status; \
	for case in $(CASES); do run evigraph diagnose "$$case" --catalogue OMIM --limit 3; done

# each process computes in one thread: two that compute in two each wait for one another most of the time
test: install ## runs all tests, those on Neo4j included
	@.ci/need java maven || test "$${CI:-}" != true
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/pytest $(PYTEST)

lint: install ## checks style, types, layers and dependencies
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry . --no-ansi

bench: install ## runs the benchmarks; tables are printed, JSON goes to benchmarks/results
	@.ci/need java maven
	@mkdir -p benchmarks/results
	@for name in $(BENCHMARKS); do \
		printf '\n==== %s\n' "$$name"; \
		$(BIN)/python -m benchmarks.$$name --json benchmarks/results/$$name.json; \
	done

clean: ## removes what was installed and built, not the data
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
