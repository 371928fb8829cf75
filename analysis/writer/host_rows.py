"""Row methods of the trace builder for what the host did."""

from __future__ import annotations

from .tables import Value
from .tracefile import TraceFile

_PUSH_POP, _START_END, _MARK, _DOMAIN_CREATE = 59, 60, 34, 75
_CUDA_OVERHEAD_CLASS, _OSRT_CLASS = 103, 27


class HostRows(TraceFile):
    """CUDA calls, NVTX ranges, operating system calls and the profiler's own time."""

    def api(
        self,
        start: int,
        end: int,
        name: str,
        *,
        thread: int,
        correlation: int | None = None,
        return_value: int = 0,
        event_class: int = 0,
    ) -> int:
        """One CUDA call (`event_class` 0 runtime, 1 driver); returns its correlation id."""
        if correlation is None:
            correlation = self.next_correlation()
        self._host(
            "CUPTI_ACTIVITY_KIND_RUNTIME",
            start,
            end,
            thread,
            eventClass=event_class,
            correlationId=correlation,
            nameId=self.string(name),
            returnValue=return_value,
        )
        return correlation

    def nvtx(
        self,
        start: int,
        end: int | None,
        text: str,
        *,
        thread: int,
        domain: int = 0,
        start_end: bool = False,
        end_thread: int | None = None,
        color: int | None = None,
        registered: bool = True,
    ) -> None:
        """One range: push/pop, or start/end, which may close on `end_thread`.

        `end=None` is a range that was never closed. Python's nvtx registers its strings (textId),
        plain C calls do not (text). `color` is 0xAARRGGBB.
        """
        if end_thread is not None:
            self._check_thread("NVTX_EVENTS", end_thread)
        self._host(
            "NVTX_EVENTS",
            start,
            end,
            thread,
            optional_end=True,
            eventType=_START_END if start_end else _PUSH_POP,
            rangeId=self._next_range() if start_end else None,
            color=color,
            text=None if registered else text,
            endGlobalTid=end_thread,
            textId=self.string(text) if registered else None,
            domainId=domain,
        )

    def mark(self, time: int, text: str, *, thread: int, domain: int = 0) -> None:
        """One instant with a name."""
        self._host(
            "NVTX_EVENTS",
            time,
            None,
            thread,
            optional_end=True,
            eventType=_MARK,
            textId=self.string(text),
            domainId=domain,
        )

    def domain(self, id: int, name: str, *, thread: int, time: int = 0) -> None:
        """Create an NVTX domain; `time` may lie before the capture. Domain 0 needs no row."""
        self._check_thread("NVTX_EVENTS", thread)
        self._store.add(
            "NVTX_EVENTS",
            {
                "start": time,
                "eventType": _DOMAIN_CREATE,
                "text": name,
                "globalTid": thread,
                "domainId": id,
            },
        )

    def overhead(self, start: int, end: int, name: str, *, thread: int, kind: int = 0) -> None:
        """Time that the profiler took (PROFILER_OVERHEAD); `kind` is ENUM_CUPTI_OVERHEAD_TYPE."""
        table = "PROFILER_OVERHEAD"
        self._host(table, start, end, thread, nameId=self.string(name), overheadType=kind)

    def cuda_overhead(
        self,
        start: int,
        end: int,
        name: str,
        *,
        thread: int,
        kind: int,
        correlation: int | None = None,
    ) -> None:
        """Time that CUDA or CUPTI reports as overhead (CUPTI_ACTIVITY_KIND_OVERHEAD)."""
        self._host(
            "CUPTI_ACTIVITY_KIND_OVERHEAD",
            start,
            end,
            thread,
            eventClass=_CUDA_OVERHEAD_CLASS,
            correlationId=correlation,
            nameId=self.string(name),
            overheadType=kind,
        )

    def osrt(self, start: int, end: int, name: str, *, thread: int, return_value: int = 0) -> None:
        """One operating system call, such as pthread_cond_wait."""
        self._host(
            "OSRT_API",
            start,
            end,
            thread,
            eventClass=_OSRT_CLASS,
            nameId=self.string(name),
            returnValue=return_value,
            nestingLevel=0,
        )

    def diagnostic(
        self, time: int, text: str, *, severity: int = 1, process: int | None = None
    ) -> None:
        """One message of the profiler; severity 1 info, 2 warning, 3 error."""
        self._store.add(
            "DIAGNOSTIC_EVENT",
            {
                "timestamp": time,
                "timestampType": 1,
                "source": 1,
                "severity": severity,
                "text": text,
                "globalPid": process,
            },
        )

    def _host(
        self,
        table: str,
        start: int,
        end: int | None,
        thread: int,
        *,
        optional_end: bool = False,
        **values: Value,
    ) -> None:
        self._check_span(table, start, end, may_be_open=optional_end)
        self._check_thread(table, thread)
        self._store.add(table, {"start": start, "end": end, "globalTid": thread, **values})
