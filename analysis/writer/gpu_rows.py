"""Row methods of the trace builder for what a GPU did."""

from __future__ import annotations

from ..model.schema import CopyKind, Switch, SyncType
from .tables import Value
from .tracefile import TraceFile

PAGEABLE, PINNED, DEVICE, MANAGED = 0, 1, 2, 4
"""ENUM_CUDA_MEM_KIND, for `src_kind` and `dst_kind`."""

NO_EVENT = 0xFFFFFFFF
"""What nsys writes where a wait concerns no event."""

Size = tuple[int, int, int]


class GpuRows(TraceFile):
    """Kernels, copies, memsets, graph launches and waits."""

    def kernel(
        self,
        start: int,
        end: int,
        *,
        name: str,
        correlation: int,
        process: int,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        graph_node: int | None = None,
        graph_id: int | None = None,
        short_name: str | None = None,
        grid: Size = (1, 1, 1),
        block: Size = (1, 1, 1),
        registers: int = 0,
    ) -> None:
        """One kernel. `name` is the demangled name, `short_name` defaults to it."""
        self._operation(
            "CUPTI_ACTIVITY_KIND_KERNEL",
            start,
            end,
            correlation,
            process,
            place=(device, context, stream),
            demangledName=self.string(name),
            shortName=self.string(name if short_name is None else short_name),
            launchType=1,
            registersPerThread=registers,
            **dict(zip(("gridX", "gridY", "gridZ"), grid, strict=True)),
            **dict(zip(("blockX", "blockY", "blockZ"), block, strict=True)),
            graphNodeId=graph_node,
            graphId=graph_id,
        )

    def memcpy(
        self,
        start: int,
        end: int,
        *,
        bytes: int,
        copy_kind: int = CopyKind.DTOH,
        src_kind: int = DEVICE,
        dst_kind: int = PAGEABLE,
        correlation: int,
        process: int,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        graph_node: int | None = None,
    ) -> None:
        """One copy; the kinds are ENUM_CUDA_MEMCPY_OPER and ENUM_CUDA_MEM_KIND."""
        self._operation(
            "CUPTI_ACTIVITY_KIND_MEMCPY",
            start,
            end,
            correlation,
            process,
            place=(device, context, stream),
            bytes=bytes,
            copyKind=int(copy_kind),
            srcKind=src_kind,
            dstKind=dst_kind,
            graphNodeId=graph_node,
            copyCount=1,
        )

    def memset(
        self,
        start: int,
        end: int,
        *,
        bytes: int,
        value: int = 0,
        mem_kind: int = DEVICE,
        correlation: int,
        process: int,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        graph_node: int | None = None,
    ) -> None:
        """One memset."""
        self._operation(
            "CUPTI_ACTIVITY_KIND_MEMSET",
            start,
            end,
            correlation,
            process,
            place=(device, context, stream),
            value=value,
            bytes=bytes,
            memKind=mem_kind,
            graphNodeId=graph_node,
        )

    def graph_trace(
        self,
        start: int,
        end: int,
        *,
        correlation: int,
        process: int,
        graph_id: int = 1,
        graph_exec_id: int = 2,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
    ) -> None:
        """One graph launch recorded as a whole, first node's start to last node's end."""
        self._operation(
            "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
            start,
            end,
            correlation,
            process,
            place=(device, context, stream),
            graphId=graph_id,
            graphExecId=graph_exec_id,
        )

    def host_function(
        self,
        start: int,
        end: int,
        *,
        process: int,
        correlation: int | None = None,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        graph_node: int | None = None,
        graph_id: int | None = None,
    ) -> None:
        """Time for which a stream, or with `graph_node` a graph, waited for a host function."""
        self._operation(
            "CUPTI_ACTIVITY_KIND_GRAPH_HOST_NODE_AND_HOST_LAUNCH",
            start,
            end,
            correlation,
            process,
            place=(device, context, stream),
            graphNodeId=graph_node,
            graphId=graph_id,
        )

    def context_switch(
        self, time: int, *, begin: bool, context: int, gpu: int = 0, process: int | None = None
    ) -> None:
        """A context gets a GPU, or has given it back. `context` is the hardware's number, `gpu`
        what `device()` returned; `process` is a globalPid, which need not be recorded."""
        self._check_span("GPU_CONTEXT_SWITCH_EVENTS", time, time, may_be_open=False)
        self._store.add(
            "GPU_CONTEXT_SWITCH_EVENTS",
            {
                "tag": int(Switch.BEGIN if begin else Switch.END),
                "vmId": 1,
                "seqNo": self._next_switch(),
                "contextId": context,
                "timestamp": time,
                "globalPid": process,
                "gpuId": gpu,
            },
        )

    def synchronization(
        self,
        start: int,
        end: int,
        *,
        correlation: int | None,
        process: int,
        sync_type: int = SyncType.STREAM,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        event: int = NO_EVENT,
    ) -> None:
        """One wait as CUPTI saw it; the call that waited is an `api` row of its own."""
        self._operation(
            "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
            start,
            end,
            correlation,
            process,
            place=(device, context, stream),
            syncType=int(sync_type),
            eventId=event,
            eventSyncId=NO_EVENT,
        )

    def _operation(
        self,
        table: str,
        start: int,
        end: int,
        correlation: int | None,
        process: int,
        *,
        place: tuple[int, int, int],
        **values: Value,
    ) -> None:
        self._check_span(table, start, end, may_be_open=False)
        self._check_process(table, process)
        device, context, stream = place
        self._store.add(
            table,
            {
                "start": start,
                "end": end,
                "deviceId": device,
                "contextId": context,
                "streamId": stream,
                "correlationId": correlation,
                "globalPid": process,
                **values,
            },
        )
