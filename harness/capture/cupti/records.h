/* Our own records, the same whatever libcupti wrote them: what NumPy reads from the dump.
 *
 * Every time is libcupti's, nanoseconds. `name` is an index into the dump's strings. Fields are
 * ordered so that no compiler pads them; the sizes are checked below and in records.py.
 */
#ifndef HS_RECORDS_H
#define HS_RECORDS_H

#include <stdint.h>

#define HS_ABI 2

enum {
  HS_KERNEL = 1,
  HS_MEMCPY = 2,
  HS_MEMSET = 3,
  HS_GRAPH = 4,
  HS_API = 5,
  HS_SYNC = 6,
  HS_OVERHEAD = 7,
  HS_EVENT = 8,
  HS_CONTEXT = 9,
  HS_MARKER = 10,
  HS_UNKNOWN = 11,
  HS_TABLES = 12
};

typedef struct {
  int64_t start, end, grid_id;
  uint64_t graph_node, local_total;
  uint32_t device, context, stream, correlation, name, graph_id;
  int32_t grid[3], block[3];
  uint32_t registers, static_shared, dynamic_shared, shared_executed, local_per_thread;
  uint32_t cluster[3];
  uint32_t launch_type, channel;
} hs_kernel;

typedef struct {
  int64_t start, end;
  uint64_t bytes, graph_node;
  uint32_t device, context, stream, correlation, graph_id, flags;
  uint32_t copy_kind, src_kind, dst_kind;
  uint32_t src_device, src_context, dst_device, dst_context, peer;
} hs_memcpy;

typedef struct {
  int64_t start, end;
  uint64_t bytes, graph_node;
  uint32_t device, context, stream, correlation, graph_id, value, memory_kind, pad;
} hs_memset;

typedef struct {
  int64_t start, end;
  uint32_t device, context, stream, correlation, graph_id, pad;
} hs_graph;

typedef struct {
  int64_t start, end;
  uint32_t process, thread, correlation, result, name, driver;
} hs_api;

typedef struct {
  int64_t start, end;
  uint32_t type, context, stream, correlation, event, pad;
} hs_sync;

typedef struct {
  int64_t start, end;
  uint32_t kind, process, thread, correlation;
} hs_overhead;

typedef struct {
  uint32_t correlation, context, stream, event;
} hs_event;

typedef struct {
  uint32_t context, device, null_stream, pad;
} hs_context;

typedef struct {
  int64_t timestamp;
  uint32_t flags, id, process, thread, name, domain;
} hs_marker;

typedef struct {
  uint32_t kind, pad;
  uint64_t count;
} hs_unknown;

_Static_assert(sizeof(hs_kernel) == 40 + 4 * 22, "hs_kernel");
_Static_assert(sizeof(hs_memcpy) == 32 + 4 * 14, "hs_memcpy");
_Static_assert(sizeof(hs_memset) == 32 + 4 * 8, "hs_memset");
_Static_assert(sizeof(hs_graph) == 16 + 4 * 6, "hs_graph");
_Static_assert(sizeof(hs_api) == 16 + 4 * 6, "hs_api");
_Static_assert(sizeof(hs_sync) == 16 + 4 * 6, "hs_sync");
_Static_assert(sizeof(hs_overhead) == 16 + 4 * 4, "hs_overhead");
_Static_assert(sizeof(hs_event) == 16, "hs_event");
_Static_assert(sizeof(hs_context) == 16, "hs_context");
_Static_assert(sizeof(hs_marker) == 8 + 4 * 6, "hs_marker");
_Static_assert(sizeof(hs_unknown) == 16, "hs_unknown");

/* One comparison of libcupti's clock with CLOCK_REALTIME, the narrowest of several tries. */
typedef struct {
  int64_t before, cupti, after, monotonic;
} hs_clock;

/* The head of a dump; tables follow as {u32 id, u32 stride, u64 count, bytes}, then the strings as
 * {u32 0, u32 1, u64 bytes, NUL-terminated texts in the order of their index}. */
typedef struct {
  char magic[8];
  uint32_t abi, header_version, library_version, options;
  int32_t driver_version, state, start_result, stop_result;
  int32_t capturing;   /* a stream capture was in progress when the session opened */
  int32_t graph_early; /* graphs as a whole were enabled before CUDA began */
  int64_t ignored_starts, buffers, buffer_bytes, refused_buffers, broken_buffers;
  uint64_t dropped, records;
  hs_clock opened, closed;
} hs_head;

#endif
