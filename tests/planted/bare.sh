#!/bin/sh
# Every loop with its fault, as `harness profile` records it, with steps without the recorder beside
# it; on a machine with a GPU, see benchmarks/gpu/fetch_wheels.sh. Four are under way at a time, and
# one alone uses the GPU. About three minutes; benchmarks/bare.py judges them.
#     sh tests/planted/bare.sh OUTPUT_FOLDER
set -u
cd "$(dirname "$0")/../.."
out=${1:-${OUT:-.}}
[ "$out" = --one ] || mkdir -p "$out"
if [ "$out" != --one ] && ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    export PYTHONPATH="$site:$PWD"
fi
if [ "$out" = --one ]; then # LOOP VARIANT, in $MADE
    timeout -k 10 120 python3 -m harness profile --capture cupti --capture-range cudaProfilerApi \
        --step 'train_step *' --name "$2-$3" -o "$MADE" --force \
        -- python3 tests/planted/run.py "$2" "$3" --recorder shim --after 2.5 \
        >"$MADE/$2-$3.txt" 2>&1 || echo "$2-$3: exit $?"
    exit 0
fi
MADE=$(mktemp -d)
touch "$MADE/lock"
export MADE PLANTED_LOCK="$MADE/lock" USE_PYTORCH_KERNEL_CACHE=0 PYTHONUNBUFFERED=1
loops=$(cd tests/planted && python3 -c 'from loops import LOOPS; print(*LOOPS)')
{
    echo gpu-bound clean
    echo launch-bound clean
    for loop in $loops; do [ "$loop" = gpu-bound ] || echo "$loop fault"; done
} | xargs -P 4 -L 1 sh tests/planted/bare.sh --one
tar -C "$MADE" -cf - . | gzip -9 >"$out/planted-bare.tar.gz"
ls -la "$out"
