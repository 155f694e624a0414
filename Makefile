# make demo: train on the embedded graph.  make test: everything that must pass.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Nothing but what a lock knows, byte for byte.
LOCKED := $(PIP) --require-hashes --no-deps

.PHONY: demo test test-all docs wheel kills audit lint format bench gpu clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      train on the embedded graph, and write a page about it"
	@echo "make test      suite, lint, types and import contracts"
	@echo "make test-all  the same with the slow tests and the audit"
	@echo "make docs      build the site in docs/_build/html"
	@echo "make wheel     build the wheel, and use it in an empty folder"
	@echo "make kills     kill runs 1,000 times, and see whether anything is lost"
	@echo "make audit     ask for known vulnerabilities of what is pinned"
	@echo "make format    lay out the code"
	@echo "make bench     measure an epoch against the peers"
	@echo "make gpu       check and measure what runs on a GPU, in eight minutes"

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The stamps say what was installed; a change of the pins or of the project installs anew.
# Which build of torch fits depends on the machine, so it has a pin and no hash. It comes after the
# lock, which has what it needs: only the build itself, and the CUDA of some builds, go unchecked.
# Builds with CUDA bring a triton of their own, which must stay.
$(VENV)/.stamp: pyproject.toml constraints.txt requirements.lock | $(VENV)/bin/python
	@echo "installing into $(VENV) (torch is large; this takes a minute or two)"
	$(LOCKED) --only-binary :all: -r requirements.lock
	$(PIP) -c constraints.txt torch
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp requirements-dev.lock requirements-triton.lock
	$(LOCKED) -r requirements-dev.lock
	$(BIN)/python -c 'import triton' 2>/dev/null || $(LOCKED) -r requirements-triton.lock
	@touch $@

demo: $(VENV)/.stamp
	$(BIN)/vgae train
	@$(BIN)/vgae report --quiet "$$(ls -dt runs/stdlib-vgae-* | head -n 1)"
	@echo "The command is $(BIN)/vgae; 'source $(BIN)/activate' makes it plain vgae."

# A file of tests to a process, in the order of the files: the long ones come early.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test: $(VENV)/.stamp-dev lint
	$(PYTEST) -m "not slow"

test-all: $(VENV)/.stamp-dev lint audit
	$(PYTEST) --hypothesis-profile=thorough

# Every warning is an error: a link that leads nowhere, a page that no other one names.
docs: $(VENV)/.stamp-dev
	$(BIN)/sphinx-build -q -W --keep-going -E -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

wheel: $(VENV)/.stamp-dev
	PYTHON=$(BIN)/python .ci/wheel.sh

# Half an hour. The second one must lose some, or the first would prove nothing.
kills: $(VENV)/.stamp-dev
	$(BIN)/python tests/faults/kill_loop.py --kills 1000 > benchmarks/results/kills.json
	$(BIN)/python tests/faults/kill_loop.py --kills 200 --in-place > benchmarks/results/kills-in-place.json

audit: $(VENV)/.stamp-dev
	$(BIN)/python .ci/audit.py

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --warnings
	$(BIN)/lint-imports

format: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.stamp-dev
	$(BIN)/python benchmarks/epoch.py

# GPU="--device cpu --small" tries the same code where there is none.
gpu: $(VENV)/.stamp-dev
	$(BIN)/python benchmarks/gpu.py $(GPU)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist docs/_build docs/api
