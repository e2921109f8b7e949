# make demo    the energy report of the shipped network (sets everything up first)
# make test    linters, types, import contracts and tests, under 10 minutes on 2 cores
# make check   the same plus the slow tests, browser and budget; what CI runs
# make check-oldest  the fast tests with the oldest versions that pyproject.toml allows, in an
#                    environment of their own, .venv-oldest; CI runs it, too
# make wheel   what a release puts out, in dist/, checked; CONTRIBUTING.md says what else it takes
# make docs    the documentation as a site, in site/
# make notebooks  runs all notebooks and keeps their outputs and figures; about three minutes
# make reports    trains the networks the notebooks draw, where their reports are missing; from
#                 nothing about three hours, goes on where it was stopped
#
# Torch comes in the build for CPUs alone where there is no GPU and pip's index offers one; make says
# which it takes. TORCH= names another: make demo TORCH='torch==X+cpu torchvision==Y+cpu'.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLDEST := .venv-oldest

.PHONY: demo test check check-oldest wheel docs notebooks reports lint clean schema refresh-docs

demo: $(VENV)/installed
	$(BIN)/gac-analyze --output reports/demo

test: lint
	$(BIN)/pytest

check: lint $(VENV)/installed-all
	$(BIN)/pytest -m "slow or not slow"
	$(BIN)/gac-analyze --budget budget.toml

# Not the tests against other frameworks, which ask for newer versions; and old libraries may warn of
# what newer ones beside them will no longer do.
check-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/pytest -W ignore::DeprecationWarning -W ignore::FutureWarning --ignore=tests/peers --ignore=tests/test_notebooks.py

wheel: $(VENV)/installed-dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

docs: $(VENV)/installed-all
	$(BIN)/mkdocs build --strict

notebooks: $(VENV)/installed-dev
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False notebooks/*.ipynb

reports: $(VENV)/installed-dev
	$(BIN)/gac-networks reports/digits
	$(BIN)/gac-networks reports/mnist5k
	$(BIN)/gac-encoders --output reports/encoders

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=...")'
	@echo "Installing into $(VENV): some minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	torch="$${TORCH-$$($(BIN)/python .ci/cpu_build.py)}" && $(BIN)/python -m pip install --quiet $$torch --editable .
	touch $@

$(OLDEST)/installed: pyproject.toml constraints-oldest.txt
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable '.[test]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(VENV)/installed-all: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --editable '.[dev,peers,docs,browser]'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) dist .mypy_cache .pytest_cache .ruff_cache

schema: $(VENV)/installed  # after a change of the records: writes report.schema.json anew
	$(BIN)/python -c 'import json; from analysis.reporting.writers import json_schema; print(json.dumps(json_schema(), indent=1))' > analysis/reporting/report.schema.json

refresh-docs: $(VENV)/installed-all  # after a change of what is printed or drawn: pages, pictures
	$(BIN)/python docs/refresh.py
