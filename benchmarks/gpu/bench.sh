#!/bin/sh
# The article's tables on a GPU machine without a network, in about 8 minutes; see fetch_wheels.sh.
#     sh benchmarks/gpu/bench.sh OUTPUT_FOLDER [SECONDS] [more options of harness bench]
# Called again with the same folder it goes on where it stopped: more runs of every cell.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-${OUT:-.}}
budget=${2:-480}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
site=$(mktemp -d)
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
    --target "$site" .gpu-wheels/*.whl
export PYTHONPATH="$site:$PWD" PYTHONUNBUFFERED=1
if [ -s "$out/article.db" ]; then
    set -- --resume "$@"
else
    set -- --preset article "$@"
fi
code=0
python3 -m harness bench "$@" --time-budget "$budget" -o "$out/article.db" >"$out/article.txt" || code=$?
for format in md json; do
    python3 -m harness results "$out/article.db" --session last --format "$format" \
        >"$out/article.$format"
done
cat "$out/article.txt"
exit "$code"
