# make run and make test need nothing but Python 3.11-3.13: both set themselves up in .venv.
.DEFAULT_GOAL := help
.PHONY: help setup run test lint format wheel benchmark-batch clean

python := .venv/bin/python

help:
	@echo "make run     open napari with the plugin (without a display: a scripted run under Xvfb)"
	@echo "make test    lint, types, import contracts and the whole test suite"
	@echo "make lint    lint, types and import contracts only"
	@echo "make format  format the code"
	@echo "make wheel   build the wheel into dist/"
	@echo "make benchmark-batch  images per second of 1 and 2 worker processes, and of a bare loop"
	@echo "make clean   remove the environment and everything that was built"

setup:
	@bash scripts/setup.sh

run: setup
	@bash scripts/run.sh

# Two processes: TensorFlow and Mesa's software renderer crash each other where they share one.
test: setup
	$(python) -m pytest --ignore tests/ui $(ARGS)
	$(python) -m pytest tests/ui $(ARGS)

lint: setup
	$(python) -m pytest tests/test_contracts.py

format: setup
	$(python) -m ruff format .
	$(python) -m ruff check --fix .

wheel: setup
	$(python) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# For example ARGS="--images 200 --rounds 3".
benchmark-batch: setup
	$(python) scripts/benchmark_batch.py $(ARGS)

clean:
	rm -rf .venv build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find napari_unet tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
