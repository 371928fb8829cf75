"""What the answer calls each planted fault, and where it says that it lies."""

from __future__ import annotations

KINDS = {
    "read of a device value": ("device-value-read",),
    "explicit synchronise": ("explicit-sync",),
    "polling": ("polling",),
    "python": ("host-code",),
    "garbage collection": ("garbage-collection", "host-code"),
    "allocator": ("allocator",),
    "eager launches": ("eager-launches",),
    "compilation": ("compilation", "host-code"),
    "lazy loading": ("module-loading", "host-code"),
    "python threads": ("python-threads", "held-host"),
    "lock": ("host-code", "host-code"),
    "stalled step": ("stalled-step",),
    "input pipeline": ("input-pipeline",),
    "pageable copy": ("pageable-copies",),
    "copy in the compute stream": ("copies-on-path",),
    "stream dependency": ("stream-dependency",),
}
"""The second is that of torch.profiler's file, which holds none of the evidence that our recorder
notes: then it is time of the host in a range, never a guess."""
NOT_OF_THE_HOST = {"gpu", "graph-gaps"}
PLACES = {"shim": {"gc": "Python GC", "recompile": "torch.compile", "dataloader": "DataLoader"},
          "torch": {"dataloader": "enumerate(DataLoader)"}}  # fmt: skip
"""Where evidence is more exact than the loop's own range."""
