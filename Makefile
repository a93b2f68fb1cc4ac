# Two commands do everything on a fresh machine with Python 3.11+ and make:
#   make demo    replays one real trading day and proves that every channel is right
#   make test    passes the tests, on SQLite and on real PostgreSQL
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2

.PHONY: help setup demo test check soak figures pins clean

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml requirements/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

setup: $(STAMP)  ## the environment, in .venv

demo: $(STAMP)  ## one real trading day on three simulated marketplaces; ARGS='--database postgresql'
	$(BIN)/channelsync demo $(ARGS)

test: $(STAMP)  ## all tests but the soak, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope -m "not soak" $(ARGS)

check: $(STAMP)  ## ruff, mypy --strict, import-linter, the architecture tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/architecture

soak: $(STAMP)  ## the long simulations and the thousand kills
	$(BIN)/python -m pytest -m soak $(ARGS)

figures: $(STAMP)  ## all figures as one table; NAME=x computes x anew
	$(BIN)/channelsync figures $(NAME)

pins: $(STAMP)  ## pins every dependency with its hashes, naming no index
	$(BIN)/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --all-extras --group dev --upgrade pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) build dist
