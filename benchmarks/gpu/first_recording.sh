#!/bin/sh
# Programs that say nothing of profilers, recorded through CUPTI on a GPU: by --steps, by the clock, by
# default with ranges and without, and stopped afterwards. Takes about two minutes.
#     sh benchmarks/gpu/first_recording.sh OUTPUT_FOLDER
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
out=${1:-${OUT:-.}}
mkdir -p "$out"
out=$(cd "$out" && pwd)
if ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    PYTHONPATH="$site:$root${PYTHONPATH:+:$PYTHONPATH}"
    export PYTHONPATH
fi
export PYTHONUNBUFFERED=1
cp benchmarks/gpu/train.py benchmarks/gpu/own_calls.py "$out"
cd "$out"
failed=0

# record NAME EXIT_CODE STEPS [options of harness profile --] [arguments of train.py]
record() {
    name=$1 code=$2 check=$3
    shift 3
    echo "== $name: harness profile $*" | tee -a first.txt >&2
    got=0
    python3 -m harness profile --capture cupti --name "$name" -o . --force "$@" >"$name.out" 2>"$name.err" ||
        got=$?
    grep -v '^$' "$name.err" | tail -12 >>first.txt
    [ "$got" = "$code" ] || { echo "$name: exit code $got in place of $code" | tee -a first.txt; failed=1; }
    python3 "$root/benchmarks/gpu/first_check.py" "$name" "$check" >check.txt 2>&1 || failed=1
    tee -a first.txt <check.txt
}

: >first.txt
record steps 3 'steps 30:50' --steps 30:50 train.py --ranges
record stopped 0 'steps 30:50' --steps 30:50 --then stop train.py --ranges --count 100000
record torch-nvtx 3 'steps 30:50' --steps 30:50 train.py --ranges=torch
record default 3 'settled 12' train.py --ranges
record plain 3 'settled 0' train.py --count 3000
record clock 3 'lasted 0.5' --delay 15 --duration 500ms train.py --count 6000
record module 3 'steps 30:50' --steps 30:50 -m train --ranges
record own 3 'steps 60:70' train.py --ranges --own 60:70
export HARNESS_CUPTI_ROAD=torch
record torch-road 3 'steps 30:50' --steps 30:50 train.py --ranges
unset HARNESS_CUPTI_ROAD
# A window as early as can be holds GPU work, or says at its end that CUDA had not begun.
python3 -m harness profile --capture cupti --name early -o . --force --delay 50ms --duration 100ms \
    train.py --count 200 >early.out 2>early.err || :
if grep -q 'CUDA had not begun' early.err; then echo "ok early: told that CUDA had not begun" >check.txt
else python3 "$root/benchmarks/gpu/first_check.py" early any >check.txt 2>&1 || failed=1
fi
tee -a first.txt <check.txt
[ "$failed" = 0 ] && echo "all as asked" || echo "see first.txt"
exit $failed
