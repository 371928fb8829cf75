/* A libcupti that needs no GPU: hands out records that the test asked for, as the real one would.
 *
 * fake_launch, fake_wait and fake_profiler stand for the CUDA calls of a program. Records are laid
 * out with NVIDIA's own structs, so the shim's walk is the real one.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shim.h"

#define MOST 100000
static CUpti_BuffersCallbackRequestFunc request;
static CUpti_BuffersCallbackCompleteFunc complete;
static CUpti_CallbackFunc callback;
static int enabled[CUPTI_ACTIVITY_KIND_COUNT + 1];
static uint8_t store[64 << 20];
static size_t used;
static uint32_t correlation;
static int followed[CUPTI_CB_DOMAIN_SIZE][2048];
/* Of single calls: 0 as their kind is, 1 recorded, 2 not. */
static int single[2][2048];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static size_t size_of(CUpti_ActivityKind kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: return sizeof(act_kernel);
    case CUPTI_ACTIVITY_KIND_MEMCPY: return sizeof(act_memcpy);
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_DRIVER: return sizeof(CUpti_ActivityAPI);
    case CUPTI_ACTIVITY_KIND_SYNCHRONIZATION: return sizeof(CUpti_ActivitySynchronization);
    case CUPTI_ACTIVITY_KIND_MARKER: return sizeof(act_marker);
    case CUPTI_ACTIVITY_KIND_GRAPH_TRACE: return sizeof(act_graph);
    default: return 0;
  }
}

static int is_on(const void *record, CUpti_ActivityKind kind) {
  if (kind != CUPTI_ACTIVITY_KIND_RUNTIME && kind != CUPTI_ACTIVITY_KIND_DRIVER)
    return enabled[kind];
  int one = single[kind == CUPTI_ACTIVITY_KIND_DRIVER][((const CUpti_ActivityAPI *)record)->cbid];
  return one ? one == 1 : enabled[kind];
}

static void put(const void *record, CUpti_ActivityKind kind) {
  size_t size = (size_of(kind) + 7) & ~(size_t)7;
  if (!is_on(record, kind) || used + size > sizeof store) return;
  memcpy(store + used, record, size_of(kind));
  used += size;
}

static void at(CUpti_ApiCallbackSite site, CUpti_CallbackDomain domain, CUpti_CallbackId id) {
  static void *arguments[4] = {0};
  static int result = 0;
  if (!callback || !followed[domain][id]) return;
  CUpti_CallbackData data;
  memset(&data, 0, sizeof data);
  data.callbackSite = site;
  data.functionParams = arguments;
  data.functionReturnValue = &result;
  data.correlationId = correlation;
  data.contextUid = 1;
  callback(NULL, domain, id, &data);
}

static void call_back(CUpti_CallbackDomain domain, CUpti_CallbackId id) {
  at(CUPTI_API_ENTER, domain, id);
  at(CUPTI_API_EXIT, domain, id);
}

static uint64_t begins(CUpti_CallbackId id) {
  correlation++;
  at(CUPTI_API_ENTER, CUPTI_CB_DOMAIN_RUNTIME_API, id);
  return now();
}

static void ends(uint32_t id, uint64_t start) {
  CUpti_ActivityKind kind = CUPTI_ACTIVITY_KIND_RUNTIME;
  CUpti_ActivityAPI api = {.kind = kind, .cbid = id, .start = start, .end = now(),
                           .processId = getpid(), .threadId = (uint32_t)syscall(SYS_gettid),
                           .correlationId = correlation};
  put(&api, kind);
  at(CUPTI_API_EXIT, CUPTI_CB_DOMAIN_RUNTIME_API, id);
}

/* One launch of a kernel; lose=1 leaves its record out, lose=2 gives it no times. */
void fake_launch(const char *name, uint64_t duration_ns, int lose) {
  uint64_t start = begins(CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000);
  ends(CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000, start);
  act_kernel kernel;
  memset(&kernel, 0, sizeof kernel);
  kernel.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  kernel.start = lose == 2 ? 0 : now();
  kernel.end = lose == 2 ? 0 : kernel.start + duration_ns;
  kernel.contextId = 1;
  kernel.streamId = 7;
  kernel.gridX = kernel.gridY = kernel.gridZ = 2;
  kernel.blockX = 128, kernel.blockY = kernel.blockZ = 1;
  kernel.correlationId = correlation;
  kernel.name = name;
  if (lose != 1) put(&kernel, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
}

/* One launch of a graph; its record appears where graphs as a whole are enabled. */
void fake_graph(uint64_t duration_ns) {
  uint64_t start = begins(CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000);
  ends(CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000, start);
  act_graph graph;
  memset(&graph, 0, sizeof graph);
  graph.kind = CUPTI_ACTIVITY_KIND_GRAPH_TRACE;
  graph.start = now();
  graph.end = graph.start + duration_ns;
  graph.contextId = 1, graph.streamId = 7, graph.graphId = 3, graph.correlationId = correlation;
  put(&graph, CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
}

void fake_wait(void) {
  uint64_t start = begins(CUPTI_RUNTIME_TRACE_CBID_cudaStreamSynchronize_v3020);
  ends(CUPTI_RUNTIME_TRACE_CBID_cudaStreamSynchronize_v3020, start);
  CUpti_ActivitySynchronization sync;
  memset(&sync, 0, sizeof sync);
  sync.kind = CUPTI_ACTIVITY_KIND_SYNCHRONIZATION;
  sync.type = CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE;
  sync.start = start, sync.end = now();
  sync.contextId = 1, sync.streamId = 7, sync.correlationId = correlation;
  sync.cudaEventId = 0xFFFFFFFFu;
  put(&sync, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION);
}

/* The other half of this fake machine's cuCtxSynchronize. */
void fake_ctx_synchronize(void) {
  call_back(CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuCtxSynchronize);
}

void fake_profiler(int start) {
  call_back(CUPTI_CB_DOMAIN_DRIVER_API,
            start ? CUPTI_DRIVER_TRACE_CBID_cuProfilerStart : CUPTI_DRIVER_TRACE_CBID_cuProfilerStop);
}

CUptiResult cuptiGetVersion(uint32_t *version) {
  const char *named = getenv("FAKE_CUPTI_VERSION");
  *version = named ? (uint32_t)atoi(named) : CUPTI_API_VERSION;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiGetResultString(CUptiResult result, const char **text) {
  *text = result == 39 ? "CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED" : "CUPTI_ERROR_FAKE";
  return CUPTI_SUCCESS;
}
CUptiResult cuptiGetTimestamp(uint64_t *time) {
  const char *shift = getenv("FAKE_CUPTI_SHIFT");
  *time = now() + (shift ? strtoull(shift, NULL, 10) : 0);
  return CUPTI_SUCCESS;
}
CUptiResult cuptiSubscribe(CUpti_SubscriberHandle *handle, CUpti_CallbackFunc function, void *user) {
  (void)user;
  if (getenv("FAKE_CUPTI_TAKEN")) return 39;
  *handle = (CUpti_SubscriberHandle)store;
  callback = function;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiUnsubscribe(CUpti_SubscriberHandle handle) {
  (void)handle;
  callback = NULL;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiEnableCallback(uint32_t on, CUpti_SubscriberHandle handle,
                                CUpti_CallbackDomain domain, CUpti_CallbackId id) {
  (void)handle;
  followed[domain][id] = (int)on;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc ask,
                                           CUpti_BuffersCallbackCompleteFunc give) {
  request = ask;
  complete = give;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
  const char *refused = getenv("FAKE_CUPTI_REFUSES");
  if (refused && atoi(refused) == (int)kind) return CUPTI_ERROR_INVALID_KIND;
  const char *fatal = getenv("FAKE_CUPTI_CRASHES");
  if (fatal && atoi(fatal) == (int)kind) abort();
  enabled[kind] = 1;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityEnableRuntimeApi(CUpti_CallbackId id, uint8_t on) {
  return single[0][id] = on ? 1 : 2, CUPTI_SUCCESS;
}
CUptiResult cuptiActivityEnableDriverApi(CUpti_CallbackId id, uint8_t on) {
  return single[1][id] = on ? 1 : 2, CUPTI_SUCCESS;
}
/* Nothing is known afterwards. */
CUptiResult cuptiFinalize(void) {
  memset(enabled, 0, sizeof enabled);
  memset(single, 0, sizeof single);
  memset(followed, 0, sizeof followed);
  callback = NULL, request = NULL, complete = NULL;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivitySetAttribute(CUpti_ActivityAttribute attribute, size_t *size, void *value) {
  (void)attribute, (void)size, (void)value;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind) {
  enabled[kind] = 0;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityFlushAll(uint32_t flag) {
  size_t from = 0;
  if (flag && getenv("FAKE_CUPTI_STUCK")) return CUPTI_ERROR_UNKNOWN;
  while (from < used) {
    uint8_t *buffer;
    size_t size, most, to = from;
    request(&buffer, &size, &most);
    if (!buffer) break;
    while (to < used) {
      size_t next = (size_of(((CUpti_Activity *)(store + to))->kind) + 7) & ~(size_t)7;
      if (to + next - from > size) break;
      to += next;
    }
    memcpy(buffer, store + from, to - from);
    complete(NULL, 0, buffer, size, to - from);
    from = to;
  }
  used = 0;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t valid, CUpti_Activity **record) {
  size_t at = 0;
  if (*record) at = ((uint8_t *)*record - buffer) + ((size_of((*record)->kind) + 7) & ~(size_t)7);
  if (at >= valid) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = (CUpti_Activity *)(buffer + at);
  return size_of((*record)->kind) ? CUPTI_SUCCESS : CUPTI_ERROR_INVALID_KIND;
}
CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext context, uint32_t stream, size_t *dropped) {
  (void)context, (void)stream;
  const char *named = getenv("FAKE_CUPTI_DROPPED");
  *dropped = named ? strtoull(named, NULL, 10) : 0;
  return CUPTI_SUCCESS;
}
CUptiResult cuptiGetCallbackName(CUpti_CallbackDomain domain, uint32_t id, const char **name) {
  *name = NULL;
  if (domain == CUPTI_CB_DOMAIN_RUNTIME_API) {
    if (id == CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000) *name = "cudaLaunchKernel_v7000";
    if (id == CUPTI_RUNTIME_TRACE_CBID_cudaStreamSynchronize_v3020)
      *name = "cudaStreamSynchronize_v3020";
    if (id == CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000) *name = "cudaGraphLaunch_v10000";
  }
  return *name ? CUPTI_SUCCESS : CUPTI_ERROR_INVALID_PARAMETER;
}
CUptiResult cuptiGetStreamIdEx(CUcontext context, CUstream stream, uint8_t own, uint32_t *id) {
  (void)context, (void)stream, (void)own;
  return *id = 7, CUPTI_SUCCESS;
}
CUptiResult cuptiSetThreadIdType(CUpti_ActivityThreadIdType type) {
  (void)type;
  return CUPTI_SUCCESS;
}
