# Everything below sets itself up: no environment, no step before it.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)

# uv installs in a tenth of pip's time, but reads none of pip's settings. So pip chooses the build of torch (for CPU, say),
# and installs everything where uv cannot: behind a company's mirror that only pip knows.
define install
$(PIP) --no-compile torch uv
$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint $(CONSTRAINTS) --editable $(1) || $(PIP) -e $(1)
endef

# Where it is set, as in many containers, every process compiles all that it imports: 10 s instead of 4.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help fit study ui experiments bench docs test tests test-python test-fast wheel check format golden audit pins clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

fit: $(VENV)/.installed ## set up, then train a Gaussian VAE on the embedded digits
	$(BIN)/python -m reparam_suite.fit $(ARGS)

study: $(VENV)/.installed-study ## set up with Optuna, then search learning rate, latent size and estimator on the digits
	OMP_NUM_THREADS=1 $(BIN)/python -m reparam_suite.study --config conf/studies/digits.yaml $(ARGS)

ui: $(VENV)/.installed ## set up, then MLflow's page, opened on the training curves of the runs
	$(BIN)/python -m reparam_suite.ui $(ARGS)

experiments: $(VENV)/.installed ## set up, then every experiment at its short setting; fills docs/measured, and the numbers in docs
	OMP_NUM_THREADS=1 $(BIN)/python -m experiments --output docs/measured/experiments $(ARGS); status=$$?; $(BIN)/python -m experiments.fill_numbers && exit $$status

bench: $(VENV)/.installed-benchmarks ## set up with the peers, then every benchmark at its short setting; fills docs/measured
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks --tables docs/measured/benchmarks $(ARGS)

docs: $(VENV)/.installed-dev ## set up, then the documentation's site, into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open build/site/index.html"

test: $(VENV)/.installed-dev ## set up, then the whole suite: format, lint, types, import contracts, a wheel, tests
	@$(MAKE) --no-print-directory --jobs 3 check wheel tests

tests: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-python: ## all tests in an environment of their own: PYTHON=python3.13, or CONSTRAINTS=constraints-oldest.txt
	@$(MAKE) --no-print-directory VENV=.venv-$(notdir $(PYTHON))-$(basename $(CONSTRAINTS)) tests

test-fast: $(VENV)/.installed-dev ## set up, then for two minutes the tests that the changed files reach, without the slow ones
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.reached $(ARGS)

wheel: $(VENV)/.installed-dev ## build a wheel, and run fit, study and compare from it in an environment that has nothing else
	.ci/wheel

check: $(VENV)/.installed-dev ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-dev ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(VENV)/.installed-dev ## renew the numbers that tests hold numerics to, and print the differences
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.golden

audit: $(VENV)/.installed-audit ## look up known vulnerabilities of constraints.txt; fails where the database cannot be reached
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

pins: $(VENV)/.installed-audit ## write constraints-hashed.txt, with the files' hashes, and constraints-oldest.txt, the floors of pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --constraints constraints.txt --quiet --universal --python-version 3.11.5 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --output-file constraints-hashed.txt
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra dashboard --resolution lowest-direct --quiet --python-version 3.11.5 \
	  --no-header --no-annotate --no-emit-index-url --output-file constraints-oldest.txt

clean: ## remove the environment and the caches; runs and data stay
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "reparam_suite needs Python 3.11, 3.12 or 3.13; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(call install,.)
	touch $@

$(VENV)/.installed-study: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(call install,'.[study]')
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(call install,'.[dev]')
	touch $@ $(VENV)/.installed

$(VENV)/.installed-audit: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(call install,'.[audit]')
	touch $@

$(VENV)/.installed-benchmarks: $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	$(call install,'.[benchmarks]')
	touch $@
