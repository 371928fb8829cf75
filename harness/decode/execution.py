"""How a decode step is launched: operation by operation, compiled, or as one CUDA graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from .registry import choice

if TYPE_CHECKING:
    from ..runtime.base import Runtime
    from .caches import CacheChoice

# Libraries set themselves up in their first calls on a stream, which must not be recorded; three is
# what PyTorch's own documentation warms up with.
GRAPH_WARMUPS = 3

Forward = Callable[..., Any]
Step = Callable[[int], None]


class Execution:
    """Base: eager. `prepare_forward` may replace the forward pass of decode steps, `record` the
    whole step; the prefill is always eager (StaticCache allocates in it)."""

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    needs_fixed_shapes: ClassVar[bool] = False

    def prepare_forward(self, model: Any, cache: CacheChoice) -> Forward:
        """The forward pass that decode steps call."""
        forward: Forward = model
        return forward

    def record(
        self,
        make_step: Callable[[AbstractContextManager[Any]], Step],
        rewind: Callable[[], None],
        runtime: Runtime,
        forward_range: AbstractContextManager[Any],
    ) -> Step:
        """The step that the loop calls. Called after a prefill.

        `make_step` gives a step whose forward pass lies in the range it is given; `rewind` makes
        room in the buffers for one step.
        """
        return make_step(forward_range)


@choice("execution", "eager")
class Eager(Execution):
    """Each operation is launched from Python."""

    summary = "each operation launched from Python"


@choice("execution", "compile")
class Compiled(Execution):
    """torch.compile (Inductor) on the forward pass. Shapes are dynamic unless the cache is fixed.

    Mode "default": Inductor's own CUDA graphs stay off, so that the effect of fusing and the effect
    of graphs can be told apart.
    """

    summary = "torch.compile on the forward pass"
    needs = ("compiler",)

    def prepare_forward(self, model: Any, cache: CacheChoice) -> Forward:
        import torch

        compiled: Forward = torch.compile(model, fullgraph=True, dynamic=not cache.fixed_shapes)
        return compiled


@choice("execution", "cuda-graph")
class CudaGraph(Execution):
    """The whole step, token selection included, recorded once and replayed."""

    summary = "the whole step replayed as one CUDA graph"
    needs = ("cuda",)
    needs_fixed_shapes = True
    warm_ups = GRAPH_WARMUPS

    def record(
        self,
        make_step: Callable[[AbstractContextManager[Any]], Step],
        rewind: Callable[[], None],
        runtime: Runtime,
        forward_range: AbstractContextManager[Any],
    ) -> Step:
        step = make_step(contextlib.nullcontext())

        def warm_up() -> None:
            for _ in range(self.warm_ups):
                rewind()
                step(1)

        graph = runtime.capture_graph(lambda: step(1), warm_up)

        def replay(_: int) -> None:
            with forward_range:
                graph.replay()

        return replay
