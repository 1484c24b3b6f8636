# Two commands set everything up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test lint format bench screenshots lock clean

help:
	@echo "make demo    the whole job on NASA's Blue Marble: figures and a picture"
	@echo "make test    the tests that need no Docker and no browser"
	@echo "make lint    style, types, import directions"
	@echo "make format  lay the code out"
	@echo "make bench   the benchmarks"
	@echo "make screenshots  the pictures of the pages in docs/images; needs Chromium"
	@echo "make lock    renew the locked requirements of the images"

# Made again when the dependencies change.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "playground needs Python 3.10 or later: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

demo: $(VENV)/installed
	$(BIN)/playground demo --out demo

# What is compiled is kept: the tests start hundreds of processes that import the same.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/installed
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "not docker and not browser and not slow" \
		$(PYTEST_ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed
	$(BIN)/python benchmarks/overhead/run.py
	$(BIN)/python benchmarks/format/run.py
	$(BIN)/python benchmarks/overload/run.py --seconds 20
	$(BIN)/python benchmarks/batching/run.py
	$(BIN)/python benchmarks/memory/run.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[bench]"
	$(BIN)/python benchmarks/tiles/run.py
	$(BIN)/python benchmarks/area/run.py

screenshots: $(VENV)/installed
	cd tests && ../$(BIN)/python screenshots.py

lock: $(VENV)/installed
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --quiet --output-file templates/requirements.txt

clean:
	rm -rf $(VENV) demo build dist
