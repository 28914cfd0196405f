# The targets are the CI: .ci/run sets up and judges a checkout with them. `make` alone lists them.
# A fresh machine needs Python 3.11 or newer, pip and git; everything else goes into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# The locked set; `make CONSTRAINTS= test` resolves fresh.
CONSTRAINTS ?= --constraint requirements.lock
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
PYTEST_ARGS ?=
# Most tests wait for other processes, so three workers keep two cores busy; `make test WORKERS=` goes without.
WORKERS ?= -n 3 --dist loadgroup --max-worker-restart 0

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contracts coverage agents bench lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 12

# Stamps, so that a second `make` installs nothing; the source itself is installed editable.
$(VENV)/.pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "graftline needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.runtime: $(VENV)/.pip pyproject.toml requirements.lock
	$(PIP) install $(CONSTRAINTS) --editable .
	touch $@

# All that .runtime installs, and more, in one go: the package is built and its dependencies are resolved once.
$(VENV)/.develop: $(VENV)/.pip pyproject.toml requirements.lock
	$(PIP) install $(CONSTRAINTS) --editable '.[openai]' --group lint --group types --group test
	touch $(VENV)/.runtime $@

demo: $(VENV)/.runtime ## run a plan end to end with a scripted agent: no key, no agent CLI, no server of yours
	$(BIN)/graftline demo

test: $(VENV)/.develop ## run the test suite
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST_ARGS)

coverage: $(VENV)/.develop ## run the test suite and report what it covers
	$(BIN)/python -m pytest $(WORKERS) --cov --cov-report=term $(PYTEST_ARGS)

lint: $(VENV)/.develop ## check format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.develop ## check types of source, tests and benchmarks
	$(BIN)/mypy

contracts: $(VENV)/.develop ## check the direction of imports
	$(BIN)/lint-imports --no-logo

agents: ## install the real agent CLIs that the end-to-end tests drive (needs Node.js), and fetch what they work on
	npm install --prefix tests/e2e
	test -x tests/e2e/.venv/bin/python || $(PYTHON) -m venv tests/e2e/.venv
	tests/e2e/.venv/bin/python -m pip --disable-pip-version-check install -qq --requirement tests/e2e/requirements.txt
	tests/e2e/.venv/bin/python -m pip --disable-pip-version-check download -qq --no-deps --dest tests/e2e/repositories --requirement tests/e2e/repositories.txt

bench: $(VENV)/.develop ## measure what a run costs beside its agents
	$(BIN)/python -m benchmarks.overhead

lock: ## resolve afresh within the bounds of pyproject.toml and write the locked set
	$(MAKE) VENV=$(VENV)-lock CONSTRAINTS= $(VENV)-lock/.develop
	$(VENV)-lock/bin/python -m pip freeze --exclude-editable --exclude pip --exclude setuptools > requirements.lock
	rm -rf $(VENV)-lock

clean: ## remove what these targets made
	rm -rf $(VENV) $(VENV)-lock tests/e2e/.venv tests/e2e/repositories build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
