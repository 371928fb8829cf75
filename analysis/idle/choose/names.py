"""What the names of ranges say: steps, parts of steps, epochs."""

from __future__ import annotations

import re

LONGEST = 512
"""Characters of a name that are looked at."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")

_STEPS = frozenset(
    ("step", "steps", "iter", "iters", "iteration", "iterations", "batch", "batches", "minibatch",
     "microbatch", "token", "tokens", "frame", "frames", "request", "timestep", "substep")
)  # fmt: skip
_LONGER = frozenset(("epoch", "epochs"))
"""What holds many steps."""
_PHASES = frozenset(
    ("forward", "fwd", "backward", "bwd", "optimizer", "optim", "zero", "loss", "criterion",
     "checkpoint", "dataloader", "prefetch", "allreduce", "allgather", "memcpy")
)  # fmt: skip
"""What a step does first, next and last."""
_PARTS = frozenset(
    ("layer", "layers", "block", "blocks", "stage", "expert", "experts", "head", "heads", "attn",
     "attention", "mlp", "ffn", "embed", "embedding", "norm", "layernorm", "linear", "conv",
     "encoder", "decoder", "module", "kernel", "matmul", "gemm", "softmax")
)  # fmt: skip
"""What a model is made of."""
_ALL_OF_IT = ({"forward", "fwd"}, {"backward", "bwd"})


def words(name: str) -> frozenset[str]:
    """The words of a name, in small letters.

    >>> sorted(words("train_step *: ModelForward"))
    ['forward', 'model', 'step', 'train']
    """
    return frozenset(word.lower() for word in _WORD.findall(name[:LONGEST]))


def says_step(name: str) -> bool:
    """Whether the name calls it a step, or what else comes once a step."""
    return bool(words(name) & _STEPS)


def says_epoch(name: str) -> bool:
    """Whether the name calls it what holds many steps."""
    return bool(words(name) & _LONGER)


def says_part(name: str) -> bool:
    """Whether the name calls it a part of a step: a phase of it, or of the model."""
    found = words(name)
    if all(found & half for half in _ALL_OF_IT):
        return False
    return bool(found & _PHASES) or bool(found & _PARTS and not found & _STEPS)
