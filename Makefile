# make demo            the whole way on the embedded phantom cohort -> runs/demo/index.html
# make demo DATA=dir   the same on your own cohort (see README.md for its form)
# make test            format, types, import order and tests
# Each makes .venv where it is missing.

PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
DATA   ?=
OUT    ?= $(if $(DATA),runs/$(notdir $(abspath $(DATA))),runs/demo)
EXTRA  ?=

.PHONY: demo test clean help

# pip leaves compiling to the first import, which must be allowed to keep what it compiled: else
# each of the twenty processes compiles MONAI, torch and transformers again (25 s, not 8 s).
unexport PYTHONDONTWRITEBYTECODE

help:
	@sed -n '1,4s/^# //p' Makefile

demo: $(VENV)/.installed
	$(BIN)/python scripts/run_pipeline.py --profile demo --out $(OUT) $(if $(DATA),--data "$(DATA)",) $(EXTRA)

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy --num-workers "$$(nproc)"
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n "$$(nproc)" --maxprocesses 8 --dist loadfile

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) was not found; install Python 3.11 or say 'make demo PYTHON=/path/to/python3.11'" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[test,encoder,notebook,itk]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf runs build dist
