# The four things one does with Sovereign: run it, test it, lint it, measure it.
# Everything is installed into .venv from the pinned requirements; the engine gets an environment of its own.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := $(shell sed -n 's/^uv==//p' requirements/app.txt)
# pip knows a folder of wheels by PIP_FIND_LINKS; uv has its own name for it
UV := $(if $(PIP_FIND_LINKS),UV_FIND_LINKS="$(PIP_FIND_LINKS)") $(BIN)/python -m uv

.PHONY: up test lint format bench screenshots requirements

up: $(VENV)/.app
	@exec $(BIN)/python manage.py up

test: $(VENV)/.dev
	@bash tests/setup.sh
	@$(BIN)/python manage.py install_engine
	@$(BIN)/python manage.py install_interpreter
	@$(BIN)/python -m tests $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py check --deploy --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	@$(BIN)/python -m tests.bench

# The pictures of the documentation, anew
screenshots: $(VENV)/.dev
	@$(BIN)/python manage.py install_engine
	@$(BIN)/python -m tests.screenshots

$(BIN)/uv: requirements/app.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(VENV)/.app: requirements/app.txt | $(BIN)/uv
	@echo "Installing Sovereign into $(VENV)"
	@$(UV) pip install -q --compile-bytecode --python $(BIN)/python -r requirements/app.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.app
	@$(UV) pip install -q --compile-bytecode --python $(BIN)/python -r requirements/dev.txt
	@touch $@

# New pins of the product and its tests; the engine's are made the same way (see the head of those files).
requirements:
	$(UV) pip compile -q --upgrade --no-emit-index-url --no-emit-find-links --python-version 3.11 requirements/app.in -o requirements/app.txt
	$(UV) pip compile -q --upgrade --no-emit-index-url --no-emit-find-links --python-version 3.11 requirements/dev.in -c requirements/app.txt -o requirements/dev.txt
	for name in $(basename $(wildcard tests/sdk/environments/*.in)); do \
		$(UV) pip compile -q --upgrade --no-emit-index-url --no-emit-find-links --python-version 3.11 $$name.in -o $$name.txt || exit 1; \
	done
