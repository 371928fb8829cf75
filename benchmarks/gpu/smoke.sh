#!/bin/sh
# One command on the GPU machine: install the carried wheels, record over every CUPTI road, check.
#     sh benchmarks/gpu/smoke.sh OUTPUT_FOLDER
set -eu
cd "$(dirname "$0")/../.."
out=${1:-${OUT:-.}}
site=$(mktemp -d)
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
    --target "$site" .gpu-wheels/*.whl
PYTHONPATH="$site:$PWD" XDG_CACHE_HOME="$site/cache" PYTHONUNBUFFERED=1 \
    python3 benchmarks/gpu/cupti_smoke.py "$out"
