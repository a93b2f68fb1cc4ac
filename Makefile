# Two commands do everything on a fresh machine with Python 3.11+ and make:
#   make demo    replays one trading day, of simulated baskets, and proves that every channel is right
#   make test    passes the tests, on SQLite and on real PostgreSQL
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.bench-installed
JUDGES_STAMP := $(VENV)/.judges-installed
# On two cores: tests of real processes wait for most of their time.
WORKERS ?= 3
SEEDS ?= 200

.PHONY: help setup demo test check judges simulate soak bench image figures pins clean

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

# Clients that others wrote for the vendors' APIs; the tests that use them are left out where they are missing.
$(JUDGES_STAMP): $(STAMP) requirements/judges.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/judges.txt
	touch $@

setup: $(STAMP)  ## the environment, in .venv

demo: $(STAMP)  ## one trading day of simulated baskets on three simulated marketplaces; ARGS='--database postgresql'
	$(BIN)/channelsync demo $(ARGS)

# In their own order, or the files with few and long tests (real processes) would come last, on one worker alone.
test: $(STAMP)  ## all tests but the soak, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder -m "not soak" $(ARGS)

check: $(STAMP)  ## ruff, mypy --strict, import-linter, hadolint, Compose's schema, the architecture tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.example.yaml
	$(BIN)/python -m pytest -q tests/architecture

judges: $(JUDGES_STAMP)  ## the vendors' own clients against our test servers; needs CHANNELSYNC_CONTRACTS, node and npm
	$(BIN)/python -c "import bidkit, boto3, ebaysdk, spapi, woocommerce"
	$(BIN)/python -m pytest -q tests/vendors_tests/*/test_client.py
	tests/vendors_tests/shopify/judge/run.sh $(abspath $(BIN)/python)

simulate: $(STAMP)  ## simulated days with everything going wrong; SEEDS=200
	$(BIN)/channelsync simulate --seeds $(SEEDS) --workers $(WORKERS) $(ARGS)

soak: $(STAMP)  ## the long simulations and the thousand kills
	$(BIN)/python -m pytest -m soak $(ARGS)
	$(BIN)/channelsync simulate --seeds 10000 --workers $(WORKERS) --figures soak

bench: $(BENCH_STAMP)  ## the benchmarks, ten minutes at most; GROUP=operations, ARGS='--quick intake'
	$(BIN)/python -m benchmarks$(if $(GROUP),.$(GROUP)) $(ARGS)

image:  ## the container's image, built, run and checked; ARGS='--keep'
	$(PYTHON) deploy/image.py $(ARGS)

figures: $(STAMP) $(if $(filter bench,$(NAME)),$(BENCH_STAMP))  ## all figures as one table; NAME=x computes x anew
	$(BIN)/channelsync figures $(NAME)

PIN := $(BIN)/uv pip compile --universal --python-version 3.11 --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --upgrade

pins: $(STAMP)  ## pins every dependency with its hashes, naming no index
	$(PIN) --all-extras --group dev pyproject.toml -o requirements/dev.txt
	$(PIN) --group pyproject.toml:bench -c requirements/dev.txt -o requirements/bench.txt
	$(PIN) --group pyproject.toml:judges -c requirements/dev.txt -o requirements/judges.txt
	$(PIN) --extra sftp --extra amazon-sqs -c requirements/dev.txt pyproject.toml -o requirements/run.txt
	echo 'hatchling' | $(PIN) -c requirements/dev.txt - -o requirements/build.txt

clean:
	rm -rf $(VENV) build dist
