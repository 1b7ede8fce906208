# make demo   the main job on real data, from a fresh clone
# make test   lint, types, import contracts and the tests
# make lock   pin the dependencies anew (needs uv)
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
SOURCES := $(shell find ledger verifiers cli policies -name '*.py')

.DEFAULT_GOAL := help
.PHONY: help demo test lint types contracts pytest bench lock clean

help:
	@sed -n 's/^# make /make /p' Makefile

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("dataseal needs Python 3.11 or later; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements/run.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# A strict editable install links module by module: it is made again whenever a file appears or goes.
$(VENV)/modules.txt: FORCE | $(BIN)/python
	@printf '%s\n' pyproject.toml $(sort $(SOURCES)) | cmp -s - $@ || printf '%s\n' pyproject.toml $(sort $(SOURCES)) > $@
.PHONY: FORCE
FORCE:

$(VENV)/install.stamp: pyproject.toml $(VENV)/modules.txt $(VENV)/run.stamp
	rm -rf build
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --config-settings editable_mode=strict -e .
	@touch $@

demo: $(VENV)/install.stamp
	@$(BIN)/python examples/sentiment/demo.py

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp $(VENV)/install.stamp
	$(BIN)/mypy -p dataseal.ledger -p dataseal.verifiers -p dataseal.cli -p dataseal.policies

contracts: $(VENV)/dev.stamp $(VENV)/install.stamp
	$(BIN)/lint-imports --no-cache

pytest: $(VENV)/dev.stamp $(VENV)/install.stamp
	$(BIN)/python -m pytest -n $(JOBS)

test: lint types contracts pytest

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --no-emit-find-links pyproject.toml --group build -o requirements/run.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --no-emit-find-links pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
