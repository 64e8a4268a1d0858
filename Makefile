# `make demo` and `make test` need Python 3.11 or newer and nothing else: they set up .venv themselves.

PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow lint setup clean

# Of Model 1's 30 epochs, as many as leave it under five minutes on two cores.
demo: setup  ## Trains Model 1 on the built-in demo corpus and evaluates it.
	$(VENV)/bin/python -m mmgenre.main --config configs/model1.py --config.epochs=20 --workdir runs/demo/model1

test: setup  ## Lint, format, types and the tests that do not take minutes each.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile

test-slow: setup  ## The tests that take minutes each.
	$(VENV)/bin/python -m pytest -m slow

lint: setup  ## Mends what ruff can mend.
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

setup: $(INSTALLED)

# The versions in constraints.txt are the ones that were tested together.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache *.egg-info
