"""The stop test on the device: the host launches one graph for all steps."""

from ..registry import strategy

strategy(
    "device-loop",
    "one CUDA graph that repeats the step until the device finds every row ended",
    cache="static",
    execution="cuda-graph",
    engine="device-loop",
    requires=("conditional-graphs",),
    order=165,
)
