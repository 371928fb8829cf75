#!/bin/sh
# Record with a real Nsight Systems on a GPU machine without a network; see fetch_wheels.sh.
#     sh benchmarks/gpu/nsys.sh OUTPUT_FOLDER [NSYS]
# NSYS defaults to the one that Nsight Compute brings. Its importer needs libdw, which is taken from
# .trial/*.deb where a bare machine lacks it (apt-get download libdw1 libelf1 libbz2-1.0; needs root).
# The same loops are recorded through CUPTI beside it, and NVIDIA's own reports are run on the files.
set -eu
cd "$(dirname "$0")/../.."
out=${1:-${OUT:-.}}
nsys=${2:-$(ls /opt/nvidia/nsight-compute/*/host/target-linux-x64/nsys | tail -n 1)}
if ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    export PYTHONPATH="$site:$PWD" PYTHONUNBUFFERED=1
fi
if ls .trial/*.deb >/dev/null 2>&1; then
    libraries=$(mktemp -d)
    for package in .trial/*.deb; do dpkg-deb -x "$package" "$libraries"; done
    find "$libraries" -name '*.so*' -exec cp -n {} /usr/lib/x86_64-linux-gnu/ \;
    ldconfig
fi

profile() { # backend, name, options
    backend=$1 name=$2
    shift 2
    [ "$backend" != nsys ] || set -- --nsys "$nsys" "$@"
    timeout -k 70 150 python3 -m harness profile --capture "$backend" --force \
        --name "$backend-$name" -o "$out" "$@" || echo "$backend-$name: exit $?" >&2
}

python3 -m harness doctor --nsys "$nsys"
for strategy in kv-cache cuda-graph; do
    profile nsys "$strategy" --strategy "$strategy" --graph-trace node --calibrate
    profile cupti "$strategy" --strategy "$strategy" --graph-trace node
    for report in "analyze -r gpu_gaps" "stats -r nvtx_gpu_proj_trace"; do
        # shellcheck disable=SC2086
        "$nsys" $report --format csv -o "$out/nsys-$strategy" "$out/nsys-$strategy.sqlite" ||
            echo "nsys $report: exit $?" >&2
    done
done
profile nsys cuda-graph-whole --strategy cuda-graph --graph-trace graph
profile nsys cuda-graph-deferred --strategy cuda-graph-deferred --graph-trace node
profile nsys device-loop --strategy device-loop --graph-trace node
python3 -m harness gaps "$out"/*.sqlite
