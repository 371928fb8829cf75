#!/bin/sh
# What recording costs, kind by kind, on a GPU machine without a network; see fetch_wheels.sh.
#     sh benchmarks/gpu/ablation.sh OUTPUT_FOLDER
# .gpu-cupti/libcupti.so.13.xz, where it is there, is a newer libcupti, measured besides.
set -u
cd "$(dirname "$0")/../.."
out=${1:-${OUT:-.}}
if ls .gpu-wheels/*.whl >/dev/null 2>&1; then
    site=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$site" .gpu-wheels/*.whl
    export PYTHONPATH="$site:$PWD"
fi
export PYTHONUNBUFFERED=1 TEARDOWN_CUPTI=1
measure() { # seconds, name, options
    seconds=$1 name=$2
    shift 2
    echo "== $name: $*"
    timeout -k 5 "$seconds" python3 benchmarks/gpu/ablation.py "$out/$name.json" "$@" 2>&1 |
        grep -v -i -e warning -e IndexKernel | cut -c1-900
}
{
    measure 90 eager --loops eager --rounds 12
    measure 70 graph --loops graph --rounds 12
    measure 60 calls --loops launch,copy,event,query,stream-wait,synchronize,triton --rounds 5
    if [ -f .gpu-cupti/libcupti.so.13.xz ]; then
        xz -dc .gpu-cupti/libcupti.so.13.xz >/tmp/libcupti.so.13
        LD_PRELOAD=/tmp/libcupti.so.13 measure 70 newer --loops eager,graph --rounds 6 \
            --sets gpu,calls,light,full
    fi
    measure 70 pair --loops '' --pair 50
    measure 60 kineto --peer kineto --loops eager,launch,graph --rounds 8
    nsys=$(ls /opt/nvidia/nsight-compute/*/host/target-linux-x64/nsys 2>/dev/null | tail -n 1)
    if [ -n "$nsys" ]; then
        echo "== nsys"
        root=$PWD
        (cd /tmp && timeout -k 5 75 "$nsys" profile -t cuda,nvtx,osrt --sample none \
            --cpuctxsw none --capture-range cudaProfilerApi --capture-range-end repeat:6 \
            --force-overwrite true -o /tmp/nsys-ablation sh -c "python3 \
            $root/benchmarks/gpu/ablation.py $out/nsys.json --peer calls --loops eager --rounds 5 \
            >/tmp/nsys.txt 2>&1" >/tmp/nsys.log 2>&1)
        tail -n 4 /tmp/nsys.txt /tmp/nsys.log
    fi
} | tee "$out/ablation.txt"
