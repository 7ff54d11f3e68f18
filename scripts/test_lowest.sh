#!/usr/bin/env bash
# Install the lowest versions that pyproject.toml declares into an empty environment and run a quick selection of
# tests there. Called by `make test-lowest`, on Python 3.11: the lowest versions have no wheels for newer ones.
set -eu
cd "$(dirname "$0")/.."

environment=out/lowest
mkdir -p out
.venv/bin/python scripts/lowest_versions.py >out/lowest.txt
"${PYTHON:-python3.11}" -m venv --clear "$environment"
"$environment/bin/python" -m pip install --quiet -c out/lowest.txt ".[all]"
"$environment/bin/python" -m pip install --quiet -c out/lowest.txt hypothesis psutil pytest pytest-qt pytest-timeout \
    pytest-xdist pytest-xvfb
# Old packages warn about each other: only what fails counts here. The installed package is tested, not the checkout.
"$environment/bin/python" -P -m pytest -q -W default "${@:-tests/core}" tests/io tests/store tests/nn/test_model_file.py \
    tests/jobs/test_segmentation.py tests/test_api.py
