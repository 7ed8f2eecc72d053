# Two commands matter: `make run` shows scmd at work, `make test` checks everything.
# Both work from a clean clone with python3 (3.11 or newer), make and pip.

PYTHON ?= python3
export PYTHON
PYTHONS ?= $(PYTHON)

.PHONY: help run test test-long install dev requirements clean

help:
	@echo "make run           install into .venv, then run the demo (Ctrl-C ends it)"
	@echo "make test          install what the tests need, then check everything"
	@echo "make test-long     the same, 10,000 watched services, fuzzing, 10 million simulated steps,"
	@echo "                   broken cores, clean clones (PYTHONS=\"python3.11 python3.12\"); takes an hour or more"
	@echo "make install       install into .venv only; the program is .venv/bin/scmd"
	@echo "make dev           install into .venv for development (editable, with the tools)"
	@echo "make requirements  resolve and hash the requirements again"
	@echo "make clean         remove .venv and what the tools left"

run: install
	@exec .venv/bin/scmd demo

install:
	@scripts/install run

dev:
	@scripts/install dev

test: dev
	@scripts/install-peers
	@scripts/check

test-long: test
	@SCMD_TEST_SERVICES=10000 .venv/bin/python -m pytest -q tests/system/test_many_requests.py
	@scripts/fuzz 60
	@.venv/bin/python scripts/simulate --total 5000000
	@.venv/bin/python scripts/simulate --total 5000000 --steps 1000
	@.venv/bin/python scripts/mutants
	@scripts/check-install $(PYTHONS)

requirements:
	@$(PYTHON) scripts/update-requirements

clean:
	rm -rf .venv build src/*.egg-info .ruff_cache .mypy_cache .pytest_cache .hypothesis \
		.import_linter_cache .coverage
