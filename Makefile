# make run and make test need nothing but Python 3.11-3.13: both set themselves up in .venv.
.DEFAULT_GOAL := help
.PHONY: help setup run test test-training test-lowest lint format wheel benchmark-gates benchmark-auto benchmark-adaptation benchmark-queue benchmark-effort benchmark-grow benchmark-batch benchmark-large benchmark-scale bench clean

python := .venv/bin/python

help:
	@echo "make run     open napari with the plugin (without a display: a scripted run under Xvfb)"
	@echo "make test    lint, types, import contracts and the whole test suite"
	@echo "make test-training DATA=...  a network from scratch against Otsu's threshold, on the images in DATA"
	@echo "make test-lowest  a quick selection of tests with the lowest versions that pyproject.toml declares"
	@echo "make lint    lint, types and import contracts only"
	@echo "make format  format the code"
	@echo "make wheel   build the wheel into dist/"
	@echo "make benchmark-gates  corrections that cannot be right: how many of 20 draws of each kind are refused"
	@echo "make benchmark-auto DATA=...  how often Auto takes the model that fits best"
	@echo "make benchmark-adaptation DATA=...  AP after 5 to 100 corrected objects, and what is forgotten"
	@echo "make benchmark-queue DATA=...  cells to look at until labels are right: Next to fix, rows, random"
	@echo "make benchmark-effort  clicks and keys to repair typical errors: our tools, napari's alone"
	@echo "make benchmark-grow DATA=...  how well a cell is drawn from the image by one key"
	@echo "make benchmark-batch  images per second of 1 and 2 worker processes, and of a bare loop"
	@echo "make benchmark-large  peak memory and seconds of an image bigger than memory, and whether blocks matter"
	@echo "make benchmark-scale DATA=...  cells in one scene at 0.25, 0.5 and 1 µm per pixel"
	@echo "make bench DATA=...  seconds from image to labels and of a training step, side by side"
	@echo "make clean   remove the environment and everything that was built"

setup:
	@bash scripts/setup.sh

run: setup
	@bash scripts/run.sh

# Two runs: TensorFlow and Mesa's software renderer crash each other where they share a process. Each run has
# two processes, since one window or one network seldom keeps both cores busy.
test: setup
	$(python) -m pytest --numprocesses 2 --dist loadfile --ignore tests/ui $(ARGS)
	$(python) -m pytest --numprocesses 2 --dist loadfile tests/ui $(ARGS)

# Real images are not part of this repository: make test-training DATA=FOLDER
test-training: setup
	$(python) -m pytest tests/test_from_scratch.py --data "$(DATA)" $(ARGS)

# In an environment of its own; the oldest Python has wheels for all of them.
test-lowest: setup
	@bash scripts/test_lowest.sh $(ARGS)

lint: setup
	$(python) -m pytest tests/test_contracts.py

format: setup
	$(python) -m ruff format .
	$(python) -m ruff check --fix .

wheel: setup
	$(python) -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

# Real images are not part of this repository: make benchmark-gates DATA=FOLDER ARGS="--steps 60".
benchmark-gates: setup
	@mkdir -p out
	$(python) scripts/benchmark_gates.py "$(DATA)" out/gates.md $(ARGS)

# An interrupted run goes on; for example ARGS="--images 4".
benchmark-auto: setup
	@mkdir -p out
	$(python) scripts/benchmark_auto.py "$(DATA)" out/auto.md $(ARGS)

# An interrupted run goes on; ARGS="--precision float32 --threads 2" measures as on a laptop, ARGS="--set
# learning_rate=3e-4" tries another value.
benchmark-adaptation: setup
	@mkdir -p out
	$(python) scripts/benchmark_adaptation.py "$(DATA)" out/adaptation.md $(ARGS)

# An interrupted run goes on; for example ARGS="--sets dic_hela:cells --seeds 10".
benchmark-queue: setup
	@mkdir -p out
	$(python) scripts/benchmark_queue.py "$(DATA)" out/queue.md $(ARGS)

benchmark-effort: setup
	$(python) -m pytest tests/ui/test_effort.py -q -s -p no:logging $(ARGS)

# For example ARGS="--names fluo_hela --cells 50".
benchmark-grow: setup
	@mkdir -p out
	$(python) scripts/benchmark_grow.py "$(DATA)" out/grow.md $(ARGS)

# For example ARGS="--images 200 --rounds 3".
benchmark-batch: setup
	$(python) scripts/benchmark_batch.py $(ARGS)

# For example ARGS="--side 4000 --block 1024 --block 4096".
benchmark-large: setup
	$(python) scripts/benchmark_large.py $(ARGS)

benchmark-scale: setup
	@mkdir -p out
	$(python) scripts/benchmark_scale.py "$(DATA)" out/scale.md $(ARGS)

# Without DATA on rendered nuclei; for example ARGS="--sides 512 2048 8192 --peer stardist:FOLDER".
bench: setup
	$(python) scripts/benchmark_speed.py $(if $(DATA),--data "$(DATA)") $(ARGS)

clean:
	rm -rf .venv build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find napari_unet tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +
