# Each target does its own set-up: nothing is needed beforehand but Python 3.11 or newer, and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo up down env api-key certificates test check bench bench-telemetry bench-monitor bench-quiet

install:
	@$(PYTHON) scripts/install.py dev

demo:
	@$(PYTHON) scripts/install.py run
	@$(BIN)/orderflow demo

up:
	@$(PYTHON) scripts/install.py run
	@$(BIN)/orderflow up

down:
	@$(BIN)/orderflow down

# The settings of the Compose stack, with random passwords; what is there already stays.
env:
	@$(PYTHON) scripts/env.py

# A key for a caller of the Compose stack's API: `make api-key NAME=shop`.
api-key:
	@$(PYTHON) scripts/env.py key $(NAME)

# What docker-compose.secure.yml needs for TLS, in .certificates/; what is there already stays.
certificates:
	@scripts/certificates.sh

# Some of them only: `make test ARGS='tests/unit -k judge'`.
test: install
	@$(BIN)/pytest $(ARGS)

check: install
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: install
	@$(BIN)/python -m benchmarks.orders

bench-telemetry: install
	@$(BIN)/python -m benchmarks.telemetry

bench-monitor: install
	@$(BIN)/python -m benchmarks.detection
	@$(BIN)/python -m benchmarks.monitor_cost

bench-quiet: install
	@$(BIN)/python -m benchmarks.quiet
