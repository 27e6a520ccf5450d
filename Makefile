# `make demo` runs the main job, `make test` lint and all tests; both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export MPLBACKEND ?= Agg

.PHONY: demo test lint bench clean
.DELETE_ON_ERROR:

demo: $(VENV)/run.stamp
	$(BIN)/python examples/plot_quickstart.py

test: lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/bench.stamp
	$(BIN)/python benchmarks/run.py

$(BIN)/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'skdl needs Python 3.11 or newer; set PYTHON=')"
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[test]"
	touch $@

$(VENV)/bench.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[bench]"
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
