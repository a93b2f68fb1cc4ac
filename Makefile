# Two commands do everything on a fresh machine with Python 3.11+ and make:
#   make demo    replays one real trading day and proves that every channel is right
#   make test    passes the tests, on SQLite and on real PostgreSQL
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench-installed
WORKERS ?= 2
SEEDS ?= 200

.PHONY: help setup demo test check simulate soak bench figures pins clean

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml requirements/dev.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# The peer that order intake is compared with; no test needs it.
$(BENCH_STAMP): $(STAMP) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
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

simulate: $(STAMP)  ## simulated days with everything going wrong; SEEDS=200
	$(BIN)/channelsync simulate --seeds $(SEEDS) --workers $(WORKERS) $(ARGS)

soak: $(STAMP)  ## the long simulations and the thousand kills
	$(BIN)/python -m pytest -m soak $(ARGS)
	$(BIN)/channelsync simulate --seeds 10000 --workers $(WORKERS) --figures soak

bench: $(BENCH_STAMP)  ## the benchmarks, ten minutes at most; ARGS='--quick intake'
	$(BIN)/python -m benchmarks $(ARGS)

figures: $(STAMP) $(if $(filter bench,$(NAME)),$(BENCH_STAMP))  ## all figures as one table; NAME=x computes x anew
	$(BIN)/channelsync figures $(NAME)

PIN := $(BIN)/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade

pins: $(STAMP)  ## pins every dependency with its hashes, naming no index
	$(PIN) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(PIN) --group pyproject.toml:bench -c requirements/dev.txt -o requirements/bench.txt

clean:
	rm -rf $(VENV) build dist
