# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test docs lint setup clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[evaluation,docs,test,dev]'
	touch $(READY)

demo: setup
	$(BIN)/python examples/demo.py

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -c docs -b html . build/site
	@echo 'open build/site/index.html'

lint: setup
	$(BIN)/ruff check src tests docs/*.py examples benchmarks experiments attacks fuzz
	$(BIN)/ruff format --check src tests docs/*.py examples benchmarks experiments attacks fuzz
	$(BIN)/mypy

test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache
