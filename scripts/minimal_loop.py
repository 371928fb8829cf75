"""The least that `harness profile` needs of a loop: a range around each step.

Replace `work` by your own. Everything in `capture` is recorded:

    harness profile --capture-range nvtx:capture -- python minimal_loop.py
    harness profile --device cpu --capture-range nvtx:capture -- python minimal_loop.py
"""

import argparse
import hashlib
import time

import nvtx


def work(data: bytes) -> bytes:
    """One step: here, some hashing and a pause as a stand-in for waiting."""
    for _ in range(200):
        data = hashlib.sha256(data).digest()
    time.sleep(0.001)
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="number of steps")
    args = parser.parse_args()
    data = b"harness"
    for _ in range(3):
        data = work(data)  # warm up, outside the recording
    with nvtx.annotate("capture"):
        for i in range(args.count):
            with nvtx.annotate(f"Step {i}", color="blue"):
                data = work(data)
    print(f"{args.count} steps, {data.hex()[:16]}")


if __name__ == "__main__":
    main()
