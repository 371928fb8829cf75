#!/bin/sh
# Recordings with blocks of steps without the recorder, on a GPU machine without a network; see
# fetch_wheels.sh. About six minutes; benchmarks/bare.py judges them, on any machine.
#     sh benchmarks/gpu/bare.sh OUTPUT_FOLDER [NAME...]
# Strategies, one of them in three processes, a training loop, and twice a loop with 500 us of Python
# or a longer kernel put in. With NAMEs only those.
set -u
cd "$(dirname "$0")/../.."
root=$PWD
out=${1:-${OUT:-.}}
[ $# -lt 1 ] || shift
mkdir -p "$out"
if ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    export PYTHONPATH="$site:$root"
fi
export PYTHONUNBUFFERED=1
made=$(mktemp -d)
wanted=" $* "
record() { # name, options
    name=$1
    shift
    case $wanted in "  " | *" $name "*) ;; *) return 0 ;; esac
    timeout -k 10 150 python3 -m harness profile --capture cupti --name "$name" -o "$made" \
        --force "$@" >"$made/$name.txt" 2>&1 || echo "$name: exit $?"
    tail -n 3 "$made/$name.txt" | cut -c1-150
}
for strategy in kv-cache pipelined deferred static-cache cuda-graph cuda-graph-deferred no-stop-check \
    every-k baseline; do
    record "$strategy" --strategy "$strategy" --batch-size 16
done
record kv-cache-again --strategy kv-cache --batch-size 16
record kv-cache-once-more --strategy kv-cache --batch-size 16
record train --steps 30:50 benchmarks/gpu/train.py --ranges
for again in "" -again; do
    record "delay-none$again" benchmarks/gpu/delayed_loop.py --more 400
    record "delay-host$again" benchmarks/gpu/delayed_loop.py --more 400 --host-us 500
    record "delay-gpu$again" benchmarks/gpu/delayed_loop.py --more 400 --gpu-cycles 2000000
done
record cuda-graph-full --strategy cuda-graph --batch-size 16 --record full
record kv-cache-full --strategy kv-cache --batch-size 16 --record full
record compiled --strategy compiled --batch-size 16
tar -C "$made" -cf - . | gzip -9 >"$out/bare.tar.gz"
ls -la "$out"
