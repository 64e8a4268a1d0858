# `make demo` and `make test` need Python 3.11 or newer and nothing else: they set up .venv themselves.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow lint docs setup clean

# The demo corpus has 1,646 movies to learn from, The Movies Dataset 29,568. So both models take smaller steps
# than in their configs (32 movies instead of 256 and 128), Model 1 starts from a wider embedding, and Model 2 leaves the
# posters as they are: mirrored or darkened, these invented ones would say something else. Two lengths of batches in place of four: each is
# compiled, which takes a fifth of the time here. Chosen on validation.
demo: setup  ## Trains Models 1 and 2 on the built-in demo corpus and compares them.
	$(PY) -m mmgenre.main --config configs/model1.py --workdir runs/demo/model1 \
	    --config.batch_size=32 --config.data.bucket_lengths="(64,128)" --config.epochs=14 \
	    --config.model.embedding_stddev=0.5
	$(PY) -m mmgenre.main --config configs/model2.py --workdir runs/demo/model2 \
	    --config.batch_size=32 --config.data.bucket_lengths="(64,128)" --config.model.augment_posters=False
	rm -rf runs/demo/comparison.html runs/demo/comparison-figures
	$(PY) -m mmgenre.report --run runs/demo/model1 --run runs/demo/model2 --out runs/demo/comparison.html

test: setup  ## Lint, format, types and the tests that do not take minutes each.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-slow: setup  ## The tests that take minutes each.
	$(PY) -m pytest -m slow

lint: setup  ## Mends what ruff can mend.
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: setup  ## The documentation as a site of files: site/index.html.
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict

setup: $(INSTALLED)

# The versions in constraints.txt are the ones that were tested together.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache *.egg-info site
