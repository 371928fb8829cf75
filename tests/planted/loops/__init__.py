"""Small loops with one planted fault each: `LOOPS` names them, and what an analysis should say."""

from __future__ import annotations

import dataclasses
import importlib

from .training import Mark, Training


@dataclasses.dataclass(frozen=True)
class Planted:
    """A loop and its fault.

    `place` is `module.Class`. `kind` is the cause that an engineer would name. `range` is the
    innermost range that the fault lies in, `function` the function that does it alone, `call` the
    CUDA call that holds the host or the device meanwhile; None where there is none.
    """

    place: str
    kind: str
    range: str | None = "misc"
    function: str | None = None
    call: str | None = None
    faulty: bool = True
    """False: nothing is planted, and there is a clean variant alone."""

    @property
    def variants(self) -> tuple[str, ...]:
        return ("fault", "clean") if self.faulty else ("clean",)

    def loop(self) -> type[Training]:
        module, name = self.place.split(".")
        found: type[Training] = getattr(importlib.import_module(f".{module}", __package__), name)
        return found

    def make(self, mark: Mark, variant: str) -> Training:
        return self.loop()(mark, variant == "fault")


LOOPS = {
    "gpu-bound": Planted("training.Training", "gpu bound", None, faulty=False),
    "item": Planted("waits.Item", "read of a device value", function="read_loss",
                    call="cudaStreamSynchronize"),
    "bool-read": Planted("waits.BoolRead", "read of a device value", function="is_set",
                         call="cudaStreamSynchronize"),
    "nonzero": Planted("waits.Nonzero", "read of a device value", function="rows_of",
                       call="cudaStreamSynchronize"),
    "print-logging": Planted("waits.PrintLogging", "read of a device value",
                             function="print_losses", call="cudaStreamSynchronize"),
    "device-sync": Planted("waits.DeviceSync", "explicit synchronise",
                           function="wait_for_device", call="cudaDeviceSynchronize"),
    "polling": Planted("waits.Polling", "polling", function="poll", call="cudaEventQuery"),
    "python": Planted("waits.PythonWork", "python", function="summarise"),
    "gc": Planted("host.GarbageCollection", "garbage collection", function="collect"),
    "empty-cache": Planted("host.EmptyCache", "allocator", function="give_back", call="cudaFree"),
    "launch-bound": Planted("compiled.LaunchBound", "eager launches", "forward", "launch_layers",
                            "cudaLaunchKernel"),
    "recompile": Planted("compiled.Recompile", "compilation", "load", "load"),
    "lazy-loading": Planted("compiled.LazyLoading", "lazy loading", function="misc",
                            call="cuModuleLoadData"),
    "gil-threads": Planted("host.GilThreads", "python threads", None, "spin"),
    "two-threads": Planted("host.TwoThreads", "lock", function="take_turn"),
    "stalled-step": Planted("host.StalledStep", "stalled step", function="save"),
    "dataloader": Planted("inputs.DataLoaderInProcess", "input pipeline", "load", "decode_row"),
    "dataloader-workers": Planted("inputs.DataLoaderWorkers", "input pipeline", "load", "load"),
    "pageable-copy": Planted("inputs.PageableCopy", "pageable copy", "load", "copy_here",
                             "cudaMemcpyAsync"),
    "pinned-copy-on-path": Planted("inputs.PinnedCopyOnPath", "copy in the compute stream", "load",
                                   "copy_here"),
    "stream-wait": Planted("streams.StreamWait", "stream dependency", function="wait_for_side",
                           call="cudaStreamWaitEvent"),
}  # fmt: skip
