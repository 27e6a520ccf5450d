# `make demo` runs the main job, `make test` lint and all tests, `make docs` builds the documentation,
# `make examples` compares the examples' docstrings with what they print; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
export MPLBACKEND ?= Agg
# Threads of scikit-learn that wait for each other sleep. By default they take the cores from the other tests.
export OMP_WAIT_POLICY ?= PASSIVE
FUZZ_CASES ?= 1200

.PHONY: demo test test-floors test-newest lint examples bench tables production companions docs check-site images keras-params dist clean
.DELETE_ON_ERROR:

demo: $(VENV)/run.stamp
	$(BIN)/python examples/plot_quickstart.py

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The tests with the oldest releases that pyproject.toml allows, on the oldest Python, and with the
# newest ones; each in a virtual environment of its own. TESTS="tests/test_private.py" names some.
test-floors: $(VENV)-floors/test.stamp
	$(VENV)-floors/bin/python -m pytest -n 2 --dist worksteal $(TESTS)

test-newest: $(VENV)-newest/test.stamp
	$(VENV)-newest/bin/python -m pytest -n 2 --dist worksteal $(TESTS)

# Runs each example at its defaults and compares what it prints with its docstring; DATA=folder runs
# those that take original data with the files in that folder as well.
examples: $(VENV)/test.stamp
	SKDL_EXAMPLES=full SKDL_DATA=$(DATA) $(BIN)/python -m pytest tests/test_examples.py --timeout 1800

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Some 6,000 random cases of data against scikit-learn's networks; 'make test' has a few of them.
fuzz: $(VENV)/test.stamp
	SKDL_FUZZ_CASES=$(FUZZ_CASES) $(BIN)/python -m pytest -n 2 --timeout 7200 tests/test_properties.py

# A thousand fits in one process, with threads, failures and interrupts: nothing leaks, bits repeat.
soak: $(VENV)/test.stamp
	$(BIN)/python benchmarks/soak.py

bench: $(VENV)/bench.stamp
	$(BIN)/python benchmarks/run.py

# Compares the tabular estimators with others; writes the table of the guide.
tables: $(VENV)/bench.stamp
	$(BIN)/python benchmarks/tables.py

# Compares the ways into production: size, time to load, time to answer; writes the table of the guide.
production: $(VENV)/test.stamp
	$(BIN)/python benchmarks/production.py

# Compares skdl's networks with scikit-learn's inside of other libraries, in a virtual environment of its
# own with pinned versions; writes the table of the guide.
companions: $(VENV)-companions/test.stamp
	$(VENV)-companions/bin/python -m pytest tests/companions --table docs/guide/companions.csv

# Runs the examples for their pictures; DOCSFLAGS="-D plot_gallery=0" leaves that out.
docs: $(VENV)/docs.stamp
	$(BIN)/python -m sphinx -W --keep-going -b html $(DOCSFLAGS) docs docs/_build/html

# Builds the documentation, and opens each of its pages in a browser.
check-site: $(VENV)/site.stamp docs
	$(BIN)/python -m pytest docs/check_site.py

# Draws the pictures of the README and the guide by the code above them.
images: $(VENV)/run.stamp
	$(BIN)/python docs/make_images.py

# Reads from Keras the parameters that type checkers know, such as optimizer__momentum.
keras-params: $(VENV)/run.stamp
	$(BIN)/python docs/make_keras_params.py

# Builds a source distribution and a wheel, and runs the quickstart with the wheel alone.
dist: $(VENV)/dist.stamp
	rm -rf dist $(VENV)-dist
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv $(VENV)-dist
	$(VENV)-dist/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/skdl-*.whl
	cd $(VENV)-dist && bin/python -I $(CURDIR)/examples/plot_quickstart.py --output output

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

$(VENV)/docs.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[docs]"
	touch $@

$(VENV)/site.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[site]"
	touch $@

$(VENV)/dist.stamp: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) "build>=1.2"
	touch $@

FLOORS := import tomllib; \
	project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	print(*(each.replace(">=", "==") for each in project["dependencies"]), sep="\n")

$(VENV)-floors/test.stamp: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -c '$(FLOORS)' > $(@D)/floors.txt
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(@D)/floors.txt --editable ".[test]"
	touch $@

# Made anew each day at most, since what is newest changes without pyproject.toml.
$(VENV)-newest/test.stamp: pyproject.toml $(VENV)-newest/$(shell date +%F)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager --editable ".[test]"
	touch $@

$(VENV)-newest/%:
	$(PYTHON) -m venv $(@D)
	touch $@

# PyTorch, which netcal needs, comes with what this machine's processors need.
$(VENV)-companions/test.stamp: tests/companions/requirements.txt
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $<
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $< torch==2.13.0
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-floors $(VENV)-newest $(VENV)-companions $(VENV)-dist dist .pytest_cache .ruff_cache docs/_build docs/auto_examples docs/reference/generated docs/reference/index.rst
