#!/bin/sh
# Fetch into ./.gpu-wheels what a GPU machine without a network lacks: CPython 3.12, x86-64.
# There:  python3 -m pip install -q --no-index --no-deps --no-compile --upgrade \
#             --target /tmp/site .gpu-wheels/*.whl && export PYTHONPATH=/tmp/site:$PWD
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
rm -rf .gpu-wheels
mkdir -p .gpu-wheels
"$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 \
    --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 --platform manylinux1_x86_64 \
    --platform linux_x86_64 -d .gpu-wheels \
    adbc-driver-sqlite adbc-driver-manager importlib-resources nanoarrow msgspec platformdirs \
    sqlite-utils sqlite-fts4 click-default-group nvtx==0.2.11 \
    pytest pytest-timeout pluggy iniconfig hypothesis sortedcontainers syrupy
ls -l .gpu-wheels
