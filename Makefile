# `make` alone explains itself.
PYTHON ?= python3
BIN := .venv/bin
NEEDS := $(BIN)/.needs
RUNS := $(BIN)/.runs
TESTS := $(BIN)/.tests
LINT := $(BIN)/.lint
CHECKS := $(BIN)/.checks
DOCS := $(BIN)/.docs
FAST := tests/dialects tests/routing tests/gateway/config tests/test_layers.py tests/test_recipes.py tests/test_words.py
SLOW := tests/dialects/test_laws.py tests/dialects/test_continuations.py
# Compiled tests are kept, also where a container says that nothing compiled is: they take half as long to be found.
unexport PYTHONDONTWRITEBYTECODE
# Processes that test: one for each core. CI has two.
JOBS ?= auto
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run test test-fast test-cov check lint format types docs docs-serve docs-reference golden schema drill simulate bench bench-short bench-compare profile bench-routing mutants fuzz fuzz-surface soak lowest lock audit sbom release-check clean

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(RUNS) ## Create .venv and install the proxy into it
	@:

run: $(RUNS) ## Serve on 127.0.0.1:3001: with config.json if there is one, else a demo (ARGS="--port 8080")
	@$(BIN)/sap-ai-proxy --or-demo $(ARGS)

test: $(TESTS) ## Run the tests (ARGS="-k breaker")
	$(BIN)/python -m pytest -q -n $(JOBS) $(ARGS)

test-fast: $(TESTS) ## Run the unit tests of dialects, routing and the config, and the laws about the code: 20 s on two idle cores
	WITHOUT_SDKS=1 $(BIN)/python -m pytest -q -n $(JOBS) -m "not hypothesis" $(FAST) $(SLOW:%=--ignore=%) $(ARGS)

# These go where other tests go, many times over: watching them costs minutes and finds no line.
AGAIN := matrix or hypothesis or repeats
# The files that have some, so that no others need be loaded for them; tests/conftest.py sees to it that none is missed.
AGAIN_IN = $$(grep -rlE 'hypothesis|mark\.(matrix|repeats)' tests --include='test_*.py' | sort)

test-cov: $(TESTS) ## Run the tests and hold branch coverage: 100 % of routing/, 90 % of everything
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest -q -n $(JOBS) -m "not ($(AGAIN))" --cov --cov-report= $(ARGS)
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='routing/*' --fail-under=100
	$(BIN)/python -m pytest -q -n $(JOBS) -m "$(AGAIN)" $(AGAIN_IN) $(ARGS)

check: lint types test-cov ## Check everything that CI checks: lint, types, tests and coverage

lint: $(LINT) ## Check format and style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(LINT) ## Format the files, and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(CHECKS) ## Check types, strictly
	$(BIN)/mypy

docs: $(DOCS) ## Build the documentation as a site, into build/site; a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs-serve: $(DOCS) ## Show the documentation on 127.0.0.1:8000 while you write
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve $(ARGS)

docs-reference: $(TESTS) ## Rewrite the references of settings and commands in docs/
	$(BIN)/python -m tests.docs

golden: $(TESTS) ## Rewrite the golden files; read the diff before you commit it
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/dialects $(ARGS)

schema: $(RUNS) ## Rewrite the JSON Schema of the config file; then `make docs-reference`
	$(BIN)/python -m gateway.config.schema_writer

drill: $(TESTS) ## Break one of two deployments in every way there is, and print what clients saw
	$(BIN)/python -m tests.drill

simulate: $(RUNS) ## Simulate endpoints that fail, under each strategy, and print the table (ARGS="--only outage --seed 3")
	@$(BIN)/python -m simulation $(ARGS)

bench: $(RUNS) ## Compare the proxy with other gateways, side by side (ARGS="--only bare,proxy --rounds 3 --quick")
	$(BIN)/python -m benchmarks.bench $(ARGS)

bench-short: $(RUNS) ## Count the CPU of a request and of a chunk of a stream
	$(BIN)/python -m benchmarks.bench --short $(ARGS)

profile: $(RUNS) ## Show which parts of the proxy the time of a request and of a chunk goes to (ARGS="--measures 16")
	$(BIN)/python -m benchmarks.hot_path $(ARGS)

bench-compare: $(RUNS) ## Compare the checkout with a commit, or two commits (BASE=main NEW=HEAD ARGS="--rounds 12")
	@test -n "$(BASE)" || { echo 'Name the commit to compare with: make bench-compare BASE=main' >&2; exit 1; }
	$(BIN)/python -m benchmarks.compare $(ARGS) $(BASE) $(NEW)

bench-routing: $(TESTS) ## Time the choice of an endpoint
	$(BIN)/python benchmarks/bench_routing.py

mutants: $(CHECKS) ## Mutate routing/ and check that the tests notice (slow)
	$(BIN)/python -m tests.mutants $(ARGS)

fuzz: $(TESTS) ## Feed random input to the readers and parsers for ten minutes (FUZZ_SECONDS=600)
	$(BIN)/python -m tests.fuzz

fuzz-surface: $(TESTS) ## Send 20,000 valid and broken requests to three proxies (ARGS="--requests 1000 --seed 3")
	$(BIN)/python -m tests.surface $(ARGS)

soak: $(TESTS) ## Run two workers for ten minutes in mixed traffic, outages, reloads and attacks (ARGS="--seconds 60 --seed 3")
	$(BIN)/python -m tests.soak $(ARGS)

lock: ## Lock the newest libraries with their hashes, for deployments, in deploy/requirements*.txt; read the diff
	.ci/supply lock $(PYTHON)

audit: ## Check the locked libraries: their hashes, licences, known defects, and advisories if these can be reached
	.ci/supply audit $(PYTHON)

sbom: ## Write what is deployed as a CycloneDX document into dist/
	.ci/supply sbom $(PYTHON)

lowest: ## Run the unit tests with the lowest versions of the libraries that pyproject.toml admits (ARGS="-k breaker")
	ARGS='$(ARGS)' .ci/supply lowest $(PYTHON)

release-check: ## Build a version, and check all that can be checked before it is uploaded (docs/releasing.md)
	.ci/release $(PYTHON)

clean: ## Remove what was built
	rm -rf .venv build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache mutants

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer. Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# What of pyproject.toml says what is to be installed. It is written when that has changed: no other line installs anew.
$(NEEDS): pyproject.toml | $(BIN)/python
	@$(BIN)/python -c 'import tomllib; said = tomllib.load(open("pyproject.toml", "rb")); \
	  print(said.get("build-system"), said.get("project"), said.get("tool", {}).get("setuptools"))' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# Installs $(1), which is $(2). A terminal shows what pip is at, in one line; all that it says is shown if it fails.
define installing
	@echo "Installing $(2) into .venv, which takes a minute the first time"
	@{ $(BIN)/pip install --disable-pip-version-check --editable '$(1)' 2>&1 || echo FAILED; } | { \
	  said=$@.said; : >$$said; \
	  while IFS= read -r line; do case "$$line" in \
	    FAILED) cat $$said >&2; exit 1;; \
	    Collecting*|Building*|Installing*) if [ -t 1 ]; then printf '\r\033[K  %.76s' "$$line"; fi;; \
	  esac; printf '%s\n' "$$line" >>$$said; done; \
	  if [ -t 1 ]; then printf '\r\033[K'; fi; rm $$said; }
endef

$(RUNS): $(NEEDS)
	$(call installing,.,the proxy)
	@touch $@

$(TESTS): $(NEEDS)
	$(call installing,.[test],the proxy and what tests it)
	@touch $@ $(RUNS)

$(LINT): $(NEEDS)
	$(call installing,.[lint],the proxy and what checks its style)
	@touch $@ $(RUNS)

$(DOCS): $(NEEDS)
	$(call installing,.[docs],the proxy and what builds its documentation)
	@touch $@ $(RUNS)

$(CHECKS): $(NEEDS)
	$(call installing,.[dev],the proxy and all that checks it)
	@touch $@ $(TESTS) $(LINT) $(DOCS) $(RUNS)
