# `make demo` shows what it does, `make test` proves it; both need only Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test faults lint types docs benchmark fuzz clean

demo: $(VENV)/.record
	@$(BIN)/python scripts/demo.py

# A file's tests share what they set up, so each file stays with one worker; one more than cores, since
# many tests wait for a process. The order of files, and of tests in a file, follows from SEED.
# Tests start Python a thousand times: with no bytecode kept, each start would compile the package again.
unexport PYTHONDONTWRITEBYTECODE
SEED ?= 1
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 8 ? cores + 1 : 8)))
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --randomly-seed=$(SEED)

faults: $(VENV)/.dev
	HARNESS_FAULTS=full $(BIN)/python -m pytest tests/faults -rP

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev
	$(BIN)/mypy -p harness

fuzz: $(VENV)/.dev
	$(BIN)/python -m tests.fuzz.run $(FUZZ)
docs: $(VENV)/.dev
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/troubleshooting.py
	$(BIN)/python scripts/glossary.py
	$(BIN)/python scripts/definition_lists.py

benchmark: $(VENV)/.dev
	$(BIN)/python benchmarks/gaps_vs_peers.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "make: needs Python 3.11 to 3.13, $(PYTHON) is $$($(PYTHON) -V 2>&1); try make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.record: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[strategies]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install -c constraints.txt -e '.[strategies,dev,cupti-test]'
	@touch $@ $(VENV)/.record

clean:
	rm -rf $(VENV) build *.egg-info
