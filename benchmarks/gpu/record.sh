#!/bin/sh
# The recordings of docs/h100.md and traces/ on a GPU machine without a network, in one call; see
# fetch_wheels.sh.
#     sh benchmarks/gpu/record.sh OUTPUT_FOLDER [SECONDS] [more options of harness profile]
# Records every strategy at batch 16 and 32, calibrated, the ones for traces/ first, until the time is
# up, and scrubs each. Called again with the same folder it goes on where it stopped. A strategy takes
# about a minute.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
out=${1:-${OUT:-.}}
end=$(($(date +%s) + ${2:-480}))
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
mkdir -p "$out/raw" "$out/clean"
out=$(cd "$out" && pwd)
if ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    PYTHONPATH="$site:$root${PYTHONPATH:+:$PYTHONPATH}"
    export PYTHONPATH
fi
export PYTHONUNBUFFERED=1

record() { # batch size, strategy, options
    batch=$1 strategy=$2
    shift 2
    name=h100-$strategy
    [ "$batch" = 16 ] || name=$name-b$batch
    [ ! -e "$out/clean/$name.sqlite" ] || return 0
    left=$((end - $(date +%s)))
    [ "$left" -gt 20 ] || { echo "$name: no time left" >&2; return 0; }
    timeout "$left" python3 -m harness profile --capture cupti --strategy "$strategy" \
        --batch-size "$batch" --name "$name" -o "$out/raw" --force --calibrate "$@" \
        >>"$out/record.txt" 2>&1 || { echo "$name: exit $?" >&2; return 0; }
    python3 -m harness scrub "$out/raw/$name.sqlite" -o "$out/clean/$name.sqlite" --force \
        >>"$out/record.txt" && echo "$name" >&2
}

published="kv-cache pipelined cuda-graph cuda-graph-deferred device-loop"
others="baseline static-cache deferred compiled pipelined-compiled deferred-compiled kv-cache-expandable
    pipelined-static no-stop-check"
for batch in 16 32; do
    for strategy in $published $others; do
        record "$batch" "$strategy" "$@"
    done
done

python3 -m harness gaps "$out"/clean/*.sqlite
