"""What is said of a bare timeline: the proof of it, or why there is none."""

from __future__ import annotations

from msgspec import Struct

from ..statistics.interval import Interval
from .costs import Costs


class Bare(Struct, frozen=True):
    """The proof of a bare timeline. Times in ns."""

    recorder: str
    costs: Costs
    """What was taken out."""
    factor: float
    """Times what is known of the recorder."""
    ratio: Interval
    """Of recorded steps to bare ones, by pairs of blocks."""
    error: float
    """By what share the bare step misses the blocks that the fit never saw."""
    error_low: float
    error_high: float
    """95% interval of it, by how much those blocks differ."""
    blocks: int
    """Without a recorder."""
    steps: int
    """In these blocks."""
    made_bare: str
    blocks_step_ns: float
    """Mean step of those blocks."""
    recorded_ns: float
    """The steady step of the trace as recorded."""
    step_ns: float
    """The steady step of the bare timeline."""
    nodes: bool = False
    """Nodes of CUDA graphs were recorded one by one."""

    @property
    def launch_ns(self) -> int:
        """What the recorder costs a launch, inside its call and after it."""
        return self.costs.inside.launch + self.costs.outside.launch

    @property
    def measured_ns(self) -> float:
        """The recorded step, less what recording adds, as the blocks measured it."""
        return self.recorded_ns / self.ratio.estimate

    @property
    def measured_interval_ns(self) -> tuple[float, float]:
        """95% interval of it."""
        return self.recorded_ns / self.ratio.high, self.recorded_ns / self.ratio.low


class AsRecorded(Struct, frozen=True):
    """Nothing is taken out, since that could not be proved to be right."""

    reason: str
    """Ends no sentence."""
