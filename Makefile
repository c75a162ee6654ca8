# Everything a newcomer, CI and the image need. Python 3.11 and make are enough to begin.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ARGS ?=
JOBS ?= 2
IMAGE ?= govgate:0.1.0
SOAKED = tests/laws/test_log_history.py $(addprefix tests/faults/test_, \
	kill.py many_writers.py syscalls.py tampering.py)

# The first of these that runs and is new enough; PYTHON=… overrides.
PYTHON = $(shell for each in python3.11 python3.12 python3.13 python3; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$each"; break; }; done)

##@ Use

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} \
	/^##@ / {printf "\n%s\n", substr($$0, 5)} \
	/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
run: $(VENV)/.demo ## set up, show the tour, serve; ARGS=--once ends after the tour
	@$(BIN)/govgate demo $(ARGS)

##@ Develop

.PHONY: setup
setup: $(VENV)/.dev ## install everything that tests and checks need, by hash

.PHONY: check
check: setup lint types imports locks policy-check ## lint, types, import rules, locks, policy

.PHONY: test
test: setup services ## every test: unit, laws, contracts, integration, clients; ARGS=… for pytest
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

.PHONY: test-litellm
test-litellm: setup ## the clients that need LiteLLM's SDK; `make test` leaves them out, except in CI
	@.ci/clients litellm
	@$(BIN)/python -m pytest tests/clients -k "LiteLLM or DSPy" $(ARGS)

.PHONY: soak
soak: setup services ## the faults in full: kills, writers, system calls, tamperings; hours
	@GOVGATE_TEST_KILLS=500 GOVGATE_TEST_APPENDS=200000 GOVGATE_TEST_SYSCALLS=all \
	GOVGATE_TEST_TAMPERINGS=10000 GOVGATE_TEST_PROFILE=thorough \
	$(BIN)/python -m pytest -rP --durations=0 $(SOAKED) $(ARGS)

.PHONY: bench
bench: setup ## measure against the direct call, the floor and installed peers
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-peers
bench-peers: $(BIN)/python ## install LiteLLM and Portkey, each in its own environment
	@bench/peers/install $(ARGS)

.PHONY: policy
policy: ## compile policies/lib to the WebAssembly module that is shipped
	@.ci/policy --write

.PHONY: lock
lock: setup ## lock requirements again: hashes, no index address, nothing younger than 7 days
	@.ci/lock

.PHONY: image
image: ## build the container image; IMAGE=name:tag
	docker build --tag $(IMAGE) .

.PHONY: clean
clean: ## remove what make built; records in var/ stay
	rm -rf $(VENV) .tools .clients build dist *.egg-info tests/clients/node_modules
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
	find gateway tests migrations bench -name __pycache__ -prune -exec rm -rf {} +

# The parts of `make check`

.PHONY: lint types imports locks policy-check
lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

imports:
	$(BIN)/lint-imports

locks:
	.ci/locks

policy-check:
	.ci/policy

# What the tests need besides Python. In CI each is a must; elsewhere what is missing is said,
# and the tests that need it say so again.

.PHONY: services
services:
	@.ci/services

# The environment. A stamp is as old as the lock that it was installed from.

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Govgate needs Python 3.11 or newer on the PATH."; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
	echo "No virtual environment could be made; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/.demo: requirements/demo.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing Govgate into $(VENV), once …"
	@$(INSTALL) --require-hashes -r requirements/demo.txt -r requirements/build.txt
	@$(INSTALL) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.demo
	@echo "Installing what tests and checks need into $(VENV), once …"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
