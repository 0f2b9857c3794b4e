# Commands of the project; `make` alone lists them. Needs make, bash and Python 3.11, 3.12 or 3.13.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport PYTHONPATH PYTHONHOME

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8080
KEEP ?=
ARGS ?=
# Three files of tests at a time; the tests of a file stay together and in order (tests/conftest.py).
SIDE_BY_SIDE := --numprocesses 3 --no-loadscope-reorder
PY := $(VENV)/bin/python

# Runs pip; some hundred packages take minutes the first time, so it tells how far it is.
define pip
"$(PY)" -m pip install --disable-pip-version-check --no-input --progress-bar off $(1) 2>&1 \
	| tee "$(VENV)/pip.log" \
	| awk '/^Collecting/ && ++n % 50 == 0 { print "  " n " packages looked up"; fflush() } \
		/^Installing collected/ { print "  unpacking " NF - 3 " packages"; fflush() }' \
	|| { tail -n 20 "$(VENV)/pip.log"; exit 1; }
endef

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter, PORT=8080 the port of the UI,"
	@echo "  ARGS='-k name' goes to pytest or to the benchmark."

.PHONY: demo
demo: install  ## one past day, end to end, without an account (KEEP=1 leaves the UI open)
	@exec "$(PY)" scripts/demo.py $(if $(KEEP),--keep --port "$(PORT)")

.PHONY: run
run: install  ## Airflow on this machine, with the UI, against the real service
	@exec "$(PY)" scripts/run.py --port "$(PORT)"

.PHONY: rehearse
rehearse: install  ## the same, with an emulated service and its products (ARGS='--fault 429')
	@exec "$(PY)" scripts/rehearse.py --port "$(PORT)" $(ARGS)

.PHONY: airflow
airflow: install  ## a command in the Airflow of `make run`: ARGS='dags list'
	@exec "$(PY)" scripts/cli.py $(ARGS)

.PHONY: test
test: lint  ## what CI runs: style, types, tests
	@exec "$(PY)" -m pytest $(SIDE_BY_SIDE) $(ARGS)

.PHONY: test-long
test-long: $(VENV)/.dev-installed  ## the big proofs; results are written to docs
	@exec "$(PY)" -m pytest -m "long or hypothesis" --hypothesis-profile long $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev-installed  ## the measured figures
	@exec "$(PY)" -m benchmarks $(ARGS)

.PHONY: release-check
release-check: $(VENV)/.dev-installed  ## whether the last commit can be released; minutes
	@exec "$(PY)" scripts/release_check.py

.PHONY: docs
docs: $(VENV)/.dev-installed  ## the documentation as HTML, in build/docs; warnings are errors
	@"$(PY)" -m sphinx --fail-on-warning --keep-going --nitpicky --quiet $(ARGS) docs build/docs
	@echo "build/docs/index.html"

.PHONY: live
live: $(VENV)/.dev-installed  ## checks against the real service; needs COPERNICUS_USERNAME and COPERNICUS_PASSWORD
	@: "$${COPERNICUS_USERNAME:?is not set; make live needs an account}" "$${COPERNICUS_PASSWORD:?is not set; make live needs an account}"
	@exec "$(PY)" -m pytest -m live tests/live $(ARGS)

.PHONY: peers
peers: $(patsubst tests/peers/%.txt,.peers/%/.installed,$(wildcard tests/peers/*.txt))  ## other people's clients, for tests/peers

.peers/%/.installed: tests/peers/%.txt
	@echo "Installing $*"
	@rm -rf "$(@D)"
	@"$(PYTHON)" -m venv "$(@D)"
	@"$(@D)/bin/python" -m pip install --disable-pip-version-check --no-input --no-compile --quiet --quiet \
		--only-binary :all: --require-hashes --requirement "$<"
	@touch "$@"

.PHONY: lint
lint: $(VENV)/.dev-installed  ## style and types only
	@"$(PY)" -m ruff format --check .
	@"$(PY)" -m ruff check .
	@"$(PY)" -m mypy

.PHONY: install
install: $(VENV)/.installed  ## the virtual environment that runs the project

.PHONY: env
env: .env  ## .env for docker compose, with fresh secrets
.env: | .env.example
	@"$(PYTHON)" scripts/make_env.py

.PHONY: pins
pins:  ## all requirement files anew, versions kept; ARGS=--upgrade takes new ones; needs uv
	@command -v uv >/dev/null || { echo "make pins needs uv: pip install uv"; exit 1; }
	@"$(PYTHON)" scripts/pin.py $(ARGS)

.PHONY: digests
digests:  ## the digests of the images in Dockerfile and docker-compose.yaml; needs docker and a registry
	@command -v docker >/dev/null || { echo "make digests needs docker, with buildx"; exit 1; }
	@"$(PYTHON)" scripts/digests.py

.PHONY: clean
clean:  ## removes the virtual environment, the demo and caches; keeps .airflow, .env and data
	rm -rf "$(VENV)" .peers .demo .rehearsal .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -maxdepth 2 -name '*.egg-info' -exec rm -rf {} +

$(VENV)/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "$(PYTHON) is $$("$(PYTHON)" --version 2>&1 || true); Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12"; exit 1; }
	@echo "Making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv "$(VENV)"

$(VENV)/.installed: requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing what runs the project (one to three minutes the first time)"
	@$(call pip,--require-hashes --requirement requirements.txt)
	@$(call pip,--no-deps --editable .)
	@touch "$@"

$(VENV)/.dev-installed: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what tests the project"
	@$(call pip,--require-hashes --requirement requirements-dev.txt)
	@touch "$@"
