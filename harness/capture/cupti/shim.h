/* What the sources of the shim share: the records of a dump, NVIDIA's layouts, the session's state.
 *
 * libcupti and libcuda are not linked: hs_load opens the very file that PyTorch uses, so that no
 * second one is ever loaded, and libcuda is already in the process or there is no GPU.
 */
#ifndef HS_SHIM_H
#define HS_SHIM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* Not cupti.h: it also wants headers of exactly the same CUDA release. */
#include <cuda.h>

#include <cupti_activity.h>
#include <cupti_callbacks.h>
#include <cupti_driver_cbid.h>
#include <cupti_result.h>
#include <cupti_runtime_cbid.h>
#include <cupti_version.h>

#define HS __attribute__((visibility("default")))
#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

/* Our own records, the same whatever libcupti wrote them: what NumPy reads from the dump.
 *
 * Every time is libcupti's, nanoseconds. `name` is an index into the dump's strings. Fields are
 * ordered so that no compiler pads them; the sizes are checked below and in dump.py.
 */

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

/* NVIDIA's records. Only fields that every libcupti since 12.4 writes at the same place are read:
 * newer structs append (the tests hold this against each release), so headers and library may
 * differ in their minor version. */

#if CUPTI_API_VERSION >= 130400
typedef CUpti_ActivityKernel13 act_kernel;
typedef CUpti_ActivityMemcpy7 act_memcpy;
typedef CUpti_ActivityMemset5 act_memset;
#elif CUPTI_API_VERSION >= 130100
typedef CUpti_ActivityKernel11 act_kernel;
typedef CUpti_ActivityMemcpy6 act_memcpy;
typedef CUpti_ActivityMemset4 act_memset;
#elif CUPTI_API_VERSION >= 130000
typedef CUpti_ActivityKernel10 act_kernel;
typedef CUpti_ActivityMemcpy6 act_memcpy;
typedef CUpti_ActivityMemset4 act_memset;
#elif CUPTI_API_VERSION >= 22
typedef CUpti_ActivityKernel9 act_kernel;
typedef CUpti_ActivityMemcpy5 act_memcpy;
typedef CUpti_ActivityMemset4 act_memset;
#else
#error "the CUPTI headers are older than CUDA 12.4"
#endif
typedef CUpti_ActivityMemcpyPtoP4 act_peer;
typedef CUpti_ActivityGraphTrace2 act_graph;
typedef CUpti_ActivityOverhead3 act_overhead;
typedef CUpti_ActivityMarker2 act_marker;
typedef CUpti_ActivityContext2 act_context;

/* tables.c: our records and texts, as they are gathered. */

typedef struct {
  char *bytes;
  uint64_t count, capacity;
  uint32_t stride;
} hs_table;

/* Texts by value: kernel names repeat a thousandfold. Open addressing, indices from 0. */
typedef struct {
  char *bytes;
  uint64_t used, capacity;
  uint64_t *offsets;
  uint32_t count, room;
  uint32_t *slots;
  uint32_t slot_count;
} hs_strings;

typedef struct {
  hs_table tables[HS_TABLES];
  hs_strings strings;
  uint64_t records;
  int64_t broken;
  int failed; /* out of memory */
  uint32_t *api_names[2];
  CUptiResult (*next)(uint8_t *, size_t, CUpti_Activity **);
  CUptiResult (*callback_name)(CUpti_CallbackDomain, uint32_t, const char **);
} hs_walker;

#define HS_API_NAMES 4096u

extern const uint32_t hs_strides[HS_TABLES];
void *hs_append(hs_walker *w, int id);
uint32_t hs_intern(hs_walker *w, const char *text);

/* walk.c */

void hs_walk(hs_walker *w, uint8_t *buffer, size_t valid);
uint32_t hs_api_name(hs_walker *w, int driver, uint32_t id);

/* load.c: both libraries by name, and what is known of the session. */

#define FUNCTIONS(F)                                                                    \
  F(cuptiGetVersion) F(cuptiGetResultString) F(cuptiGetTimestamp) F(cuptiSubscribe)       \
  F(cuptiUnsubscribe) F(cuptiEnableCallback) F(cuptiActivityRegisterCallbacks)            \
  F(cuptiActivityEnable) F(cuptiActivityDisable) F(cuptiActivityFlushAll)                 \
  F(cuptiActivityGetNextRecord) F(cuptiActivityGetNumDroppedRecords)                      \
  F(cuptiActivitySetAttribute) F(cuptiGetCallbackName) F(cuptiSetThreadIdType)            \
  F(cuptiGetStreamIdEx)

#define DECLARE(name) __typeof__(&name) name;
typedef struct {
  void *handle;
  FUNCTIONS(DECLARE)
  CUptiResult (*runtime_api)(CUpti_CallbackId, uint8_t); /* absent before 12.6 */
  CUptiResult (*driver_api)(CUpti_CallbackId, uint8_t);
  CUptiResult (*finalize)(void);
} hs_libcupti;

#define DRIVER_FUNCTIONS(F)                                                             \
  F(cuDriverGetVersion, (int *))                                                        \
  F(cuDeviceGetCount, (int *))                                                          \
  F(cuDevicePrimaryCtxGetState, (int, unsigned *, int *))                               \
  F(cuDevicePrimaryCtxRetain, (void **, int))                                           \
  F(cuDevicePrimaryCtxRelease_v2, (int))                                                \
  F(cuCtxPushCurrent_v2, (void *))                                                      \
  F(cuCtxPopCurrent_v2, (void **))                                                      \
  F(cuStreamIsCapturing, (void *, int *))                                               \
  F(cuCtxSynchronize, (void))

#define DECLARE_DRIVER(name, arguments) int(*name) arguments;
typedef struct {
  DRIVER_FUNCTIONS(DECLARE_DRIVER)
} hs_libcuda;

extern hs_libcupti cupti;
extern hs_libcuda cuda;
extern char error_text[512];
extern hs_head head;
int failed(const char *what, CUptiResult result);
int load_driver(void);

/* buffers.c: those that CUPTI fills. */

enum { BUFFER_BYTES = 4 << 20 };

typedef struct block {
  struct block *next;
  uint8_t *bytes;
  size_t valid;
} block;

extern block *first_block;
void CUPTIAPI requested(uint8_t **buffer, size_t *size, size_t *most_records);
void CUPTIAPI completed(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size,
                        size_t valid);
void prepare_buffers(uint64_t max_bytes);
void zero_buffers(void);
void drop_blocks(void);

/* select.c: what is recorded. */

enum { HS_GRAPH_LEVEL = 1, HS_MARKERS = 2, HS_FOLLOW_PROFILER = 4 };
enum { HS_GRAPH_LATE = 8, HS_GPU_EARLY = 16 }; /* other moments, for tests on a GPU */
enum { HS_COUNT_LAUNCHES = 32 };

/* The records of a session: what the analysis uses, or one kind after another for a measurement. */
enum {
  HS_KERNELS = 1,
  HS_COPIES = 2,
  HS_MEMSETS = 4,
  HS_CALLS = 8,         /* calls that launch, copy, allocate or wait, taken down by ourselves */
  HS_WAITS = 16,        /* synchronisation records */
  HS_EVENTS = 32,       /* which event a call recorded or waited for */
  HS_OVERHEADS = 64,    /* CUPTI's own time */
  HS_MOST_CALLS = 128,  /* runtime calls, less those that only ask or set something */
  HS_MOST_DRIVER = 256, /* driver calls, less those that do nothing */
  HS_EVERY_CALL = 512,  /* runtime calls */
  HS_CONTEXTS = 1024,
  HS_DRIVER_ALONE = 2048, /* of HS_CALLS those of the driver, which the runtime's make, too */
  HS_LIGHT = HS_KERNELS | HS_COPIES | HS_MEMSETS | HS_CALLS | HS_CONTEXTS,
  HS_FULL = HS_KERNELS | HS_COPIES | HS_MEMSETS | HS_MOST_CALLS | HS_MOST_DRIVER | HS_WAITS |
            HS_EVENTS | HS_OVERHEADS | HS_CONTEXTS
};

int is_recorded(int driver, const char *name);
int is_used(int driver, const char *name);
void enable_graphs_early(void);
int enable_all(CUpti_SubscriberHandle subscriber);
void disable_calls(CUpti_SubscriberHandle subscriber);
int is_taken(int driver, uint32_t id);
void disable_host(void);
void disable_rest(void);

/* calls.c: CUDA calls, taken down in callbacks. */

typedef struct {
  CUpti_CallbackDomain domain;
  CUpti_CallbackId id;
} hs_call;

static inline int64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void prepare_calls(uint64_t max_bytes);
void take_call(int driver, uint32_t id, const CUpti_CallbackData *call);
void walk_calls(hs_walker *w, int64_t shift);
void drop_calls(void);

/* write.c */

int dump(const char *path);
int count_records(int64_t *counts);

/* session.c: what Python calls, with hs_load and the small questions of load.c. */

enum { HS_IDLE, HS_OPEN, HS_CLOSED };
/* Read by the target's Python, without a call, at every range. */
HS extern _Atomic int hs_session;
/* The same, but open in a stretch besides the session, too. */
HS extern _Atomic int hs_recording;
/* Launches before the session, with HS_COUNT_LAUNCHES: has the work settled? */
HS extern _Atomic int64_t hs_launches;

HS int hs_load(const char *path);
HS int hs_attach(uint32_t options, uint64_t max_bytes, const char *opened);
HS int hs_start(void);
HS int hs_stop(void);
HS int hs_dump(const char *path);
HS int hs_detach(void);
HS void hs_select(uint32_t records);

/* Stretches besides the session, to time steps with the recorder and without. */
HS int hs_open_block(void);
HS int hs_close_block(int leave);
HS int hs_count(int64_t *counts);

HS const char *hs_error(void);
HS int hs_abi(void);
HS uint32_t hs_header_version(void);
HS uint32_t hs_library_version(void);
HS int hs_driver_version(void);
HS int hs_start_result(void);
HS int64_t hs_ignored_starts(void);

#endif
