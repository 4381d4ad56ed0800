# `make help` lists the targets. They write to .venv, var/ and site/ and change nothing else on the machine.
.DEFAULT_GOAL := help
.PHONY: help demo test faults lint bench load scale compose-check messages screenshots docs requirements clean

SUPPORTED := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

demo: .venv/runtime ## Classify the shipped samples, from nothing to a report
	@$(BIN)/returns-pipeline demo

# Twice as many as two cores have: tests often wait for the processes that they start.
TESTERS ?= 4

# Tests start many processes. Each would compile the package again where this variable is set.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/dev ## Run the tests; they start their own Redis and PostgreSQL
	@$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal $(ARGS)

lint: .venv/dev ## Check style, types and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

faults: .venv/dev ## Inflict every fault on both databases: SEED=… ROUNDS=… SCALE=… CONTROLS=… BEATS=… ONLY=…
	@$(BIN)/python -m tests.faults

bench: .venv/bench ## Measure the pipeline against its limit, its peers and its goals
	@$(BIN)/python -m benchmarks $(ARGS)

compose-check: .venv/dev ## Run docker-compose.yml on a Docker engine, and inflict faults on it: WORK=… ONLY=…
	@$(BIN)/python -m tests.compose

load: .venv/dev ## Measure how long a photo sent over HTTP waits for its answer
	@$(BIN)/python -m benchmarks.load $(ARGS)

scale: .venv/dev ## Measure each step among ten million photos: ARGS="--database sqlite --images 1000000"
	@$(BIN)/python -m benchmarks.scale $(ARGS)

screenshots: .venv/dev ## Take the screenshots of the README again, or of every page: ARGS=FOLDER; needs chromium
	@$(BIN)/python -m tests.e2e.screenshots $(ARGS)

messages: .venv/dev ## Bring the files of translations up to date with the code
	@$(BIN)/python -m returns_pipeline.languages.extraction

docs: .venv/dev ## Write docs/settings.md and build the documentation site into site/
	@$(BIN)/python -m returns_pipeline.settings.reference > docs/settings.md
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "site/index.html"

requirements: .venv/dev ## Pin the newest versions that pyproject.toml admits
	@$(PIP) uv
	@for extra in "" collect recommend trace train gpu docs dev bench; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
			$${extra:+--extra $$extra} pyproject.toml -o requirements$${extra:+-$$extra}.txt \
			$${extra:+-c requirements.txt} || exit 1; \
	done
	@for group in materials storage; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
			--group $$group -o requirements-$$group.txt || exit 1; \
	done

clean: ## Remove .venv, var/ and site/
	rm -rf .venv var site

.venv/python:
	@test -n "$(PYTHON)" || { echo "Error: no Python 3.11, 3.12 or 3.13 with venv was found." \
		"On Debian and Ubuntu: apt-get install python3 python3-venv" >&2; exit 1; }
	@echo "Making .venv with $(PYTHON) …"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/runtime: .venv/python requirements.txt pyproject.toml
	@echo "Installing requirements.txt …"
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --editable .
	@touch $@

.venv/dev: .venv/runtime requirements-dev.txt
	@echo "Installing requirements-dev.txt …"
	@$(PIP) -r requirements-dev.txt
	@touch $@

.venv/bench: .venv/dev requirements-bench.txt
	@echo "Installing requirements-bench.txt …"
	@$(PIP) -r requirements-bench.txt
	@touch $@
