#!/bin/sh
# Record the corpus on a GPU machine without a network, in one call of about 8 minutes; see
# benchmarks/gpu/fetch_wheels.sh for what the machine lacks, and collect.py for what comes next.
#     sh tests/planted/record.sh OUTPUT_FOLDER [SECONDS]
# SECONDS: for so long recordings are begun; the last ones and packing take another minute.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
out=${1:-${OUT:-.}}
if ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH PYTHONUNBUFFERED=1
mkdir -p "$out"
python3 tests/planted/record.py "$out" --seconds "${2:-400}" >"$out/planted.log" 2>&1 || code=$?
cat "$out/planted.log"
exit "${code:-0}"
