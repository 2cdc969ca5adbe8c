# Everything a developer types. Works with the make that macOS ships (3.81) and needs only Python 3.11 or newer.
PYTHON ?= python3
UV ?= uv
WORKERS ?= 4
ARGS ?=
# Without what was compiled before, every test worker and every server compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
READY := .venv/.ready
COMPILE := $(UV) pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make requirements"

.DEFAULT_GOAL := help
.PHONY: help setup serve demo test bench lint format requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  Options go in ARGS: make serve ARGS='--port 9000', make test ARGS='-k outbox'"

setup: $(READY) ## Make .venv with the pinned packages (PYTHON=python3.13 to choose one)
	@:

$(READY): pyproject.toml requirements/dev.txt scripts/setup_venv.py
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here. Parley needs Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) scripts/setup_venv.py

serve: setup ## Run Parley on http://127.0.0.1:8000, on an embedded PostgreSQL unless DATABASE_URL is set
	@exec $(BIN)/parley serve $(ARGS)

demo: setup ## Play a short conversation on a seeded booking, then keep serving it
	@exec $(BIN)/parley demo $(ARGS)

test: setup ## Run the tests
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

bench: setup ## Measure against pgbench and Node's ws, and print the tables
	@exec $(BIN)/parley bench $(ARGS)

lint: setup ## Check style, types and the import rules
	@failed=0; for check in 'ruff check .' 'ruff format --check .' mypy 'lint-imports --no-logo'; do \
		echo "$$check"; $(BIN)/$$check || failed=1; \
	done; exit $$failed

format: setup ## Rewrite the code in the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

requirements: ## Pin the packages anew after a change in pyproject.toml (UPGRADE=1 for the newest); needs uv
	$(COMPILE) $(if $(UPGRADE),--upgrade) pyproject.toml --group dev --output-file requirements/dev.txt
	$(COMPILE) pyproject.toml --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(COMPILE) --group build --constraint requirements/dev.txt --output-file requirements/build.txt

clean: ## Remove .venv and everything that the tools keep; the embedded database stays
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests migrations benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
