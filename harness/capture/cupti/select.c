/* What is recorded: activity kinds, and of the CUDA calls those that launch, copy, allocate or wait.
 *
 * Each record costs the host time. The light set has what the analysis uses; its calls are taken
 * down in callbacks (calls.c). The full set has CUPTI's own records of calls, waits, events and
 * its overhead, and leaves out questions alone. Before CUDA 12.6 it has all calls.
 */
#include <string.h>

#include "shim.h"

/* Beginnings of names. Runtime calls that only ask or set something. */
static const char *const LEFT_OUT[] = {
    "cudaGet", "cudaPeekAtLastError", "cudaSetDevice", "cudaDeviceGet", "cudaDeviceCanAccessPeer",
    "cudaFuncGet", "cudaFuncSet", "cudaKernelSet", "cudaStreamGet", "cudaStreamIsCapturing",
    "cudaThreadExchangeStreamCaptureMode", "cudaPointerGet", "cudaHostGet", "cudaOccupancy",
    "cudaDriverGetVersion", "cudaRuntimeGetVersion", "cudaProfiler"};

/* Runtime calls that the analysis uses. */
static const char *const USED[] = {
    "cudaLaunch", "cudaGraphLaunch", "cudaMemcpy", "cudaMemset", "cudaMalloc", "cudaFree",
    "cudaHostAlloc", "cudaHostRegister", "cudaHostUnregister", "cudaMemPool", "cudaMemPrefetch",
    "cudaDeviceSynchronize", "cudaThreadSynchronize", "cudaStreamSynchronize", "cudaStreamQuery",
    "cudaStreamWait", "cudaStreamAddCallback", "cudaStreamBeginCapture", "cudaStreamEndCapture",
    "cudaEventRecord", "cudaEventSynchronize", "cudaEventQuery", "cudaGraphInstantiate",
    "cudaGraphExec", "cudaGraphUpload", "cudaIpc", "cudaSignalExternal", "cudaWaitExternal",
    "cudaLibraryLoad", "cudaLibraryUnload", "cudaDeviceReset"};

/* Driver calls that do something; CUPTI leaves out those that a runtime call makes itself. */
static const char *const TAKEN[] = {
    "cuLaunch", "cuMemcpy", "cuMemset", "cuMemAlloc", "cuMemFree", "cuMemHostAlloc",
    "cuMemHostRegister", "cuMemHostUnregister", "cuMemCreate", "cuMemRelease", "cuMemMap",
    "cuMemUnmap", "cuMemSetAccess", "cuMemAddress", "cuMemPrefetch", "cuMemBatch", "cuMemPool",
    "cuStreamSynchronize", "cuStreamQuery", "cuStreamWait", "cuStreamWrite", "cuStreamBatchMemOp",
    "cuStreamBeginCapture", "cuStreamEndCapture", "cuStreamCreate", "cuStreamDestroy",
    "cuStreamAddCallback", "cuEventRecord", "cuEventSynchronize", "cuEventQuery", "cuInit",
    "cuCtxSynchronize", "cuCtxCreate", "cuCtxDestroy", "cuDevicePrimaryCtxRetain",
    "cuDevicePrimaryCtxReset", "cuGraphLaunch", "cuGraphInstantiate", "cuGraphExec",
    "cuGraphUpload", "cuModuleLoad", "cuModuleUnload", "cuModuleGetFunction", "cuLibraryLoad",
    "cuLibraryUnload", "cuLibraryGetKernel", "cuIpc", "cuSignalExternal", "cuWaitExternal"};

typedef struct {
  uint32_t record;
  CUpti_ActivityKind kind;
} hs_kind;
static const hs_kind GPU_KINDS[] = {
    {HS_KERNELS, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL}, /* never KERNEL: that serialises */
    {HS_COPIES, CUPTI_ACTIVITY_KIND_MEMCPY},
    {HS_COPIES, CUPTI_ACTIVITY_KIND_MEMCPY2},
    {HS_MEMSETS, CUPTI_ACTIVITY_KIND_MEMSET},
    {HS_CONTEXTS, CUPTI_ACTIVITY_KIND_CONTEXT}};
static const hs_kind HOST_KINDS[] = {
    {HS_EVENTS, CUPTI_ACTIVITY_KIND_CUDA_EVENT},
    {HS_WAITS, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION},
    {HS_MOST_DRIVER, CUPTI_ACTIVITY_KIND_DRIVER},
    {HS_MOST_CALLS, CUPTI_ACTIVITY_KIND_RUNTIME},
    {HS_EVERY_CALL, CUPTI_ACTIVITY_KIND_RUNTIME}};

static uint32_t selected = HS_LIGHT;

static int begins_with_one_of(const char *name, const char *const *words, int count) {
  for (int i = 0; i < count; i++)
    if (!strncmp(name, words[i], strlen(words[i]))) return 1;
  return 0;
}

/* Is this call recorded? Unknown names are. */
int is_recorded(int driver, const char *name) {
  if (driver) return begins_with_one_of(name, TAKEN, LENGTH(TAKEN));
  return !begins_with_one_of(name, LEFT_OUT, LENGTH(LEFT_OUT));
}

/* Is it a call that the analysis uses? Unknown runtime calls are not. */
int is_used(int driver, const char *name) {
  return driver ? is_recorded(1, name) : begins_with_one_of(name, USED, LENGTH(USED));
}

/* The records of the sessions to come. */
void hs_select(uint32_t records) { selected = records; }

/* Leave calls out of CUPTI's own records. */
static void leave_out(int driver) {
  CUptiResult (*set)(CUpti_CallbackId, uint8_t) = driver ? cupti.driver_api : cupti.runtime_api;
  CUpti_CallbackDomain domain = driver ? CUPTI_CB_DOMAIN_DRIVER_API : CUPTI_CB_DOMAIN_RUNTIME_API;
  if (!set) return;
  for (uint32_t id = 1; id < HS_API_NAMES; id++) {
    const char *name = NULL;
    if (cupti.cuptiGetCallbackName(domain, id, &name) != CUPTI_SUCCESS || !name) continue;
    if (!is_recorded(driver, name)) set(id, 0);
  }
}

/* Of each call: is it taken down now? */
static uint8_t taken[2][HS_API_NAMES];

int is_taken(int driver, uint32_t id) { return id < HS_API_NAMES && taken[driver][id]; }

static int take_calls(CUpti_SubscriberHandle subscriber, int driver) {
  CUpti_CallbackDomain domain = driver ? CUPTI_CB_DOMAIN_DRIVER_API : CUPTI_CB_DOMAIN_RUNTIME_API;
  for (uint32_t id = 1; id < HS_API_NAMES; id++) {
    const char *name = NULL;
    if (cupti.cuptiGetCallbackName(domain, id, &name) != CUPTI_SUCCESS || !name) continue;
    if (!is_used(driver, name)) continue;
    CUptiResult result = cupti.cuptiEnableCallback(1, subscriber, domain, id);
    if (result != CUPTI_SUCCESS) return failed("cuptiEnableCallback", result);
    taken[driver][id] = 1;
  }
  return 0;
}

void disable_calls(CUpti_SubscriberHandle subscriber) {
  for (int driver = 0; driver < 2; driver++)
    for (uint32_t id = 1; id < HS_API_NAMES; id++) {
      if (!taken[driver][id]) continue;
      taken[driver][id] = 0;
      cupti.cuptiEnableCallback(
          0, subscriber, driver ? CUPTI_CB_DOMAIN_DRIVER_API : CUPTI_CB_DOMAIN_RUNTIME_API, id);
    }
}

static int enable(CUpti_ActivityKind kind, const char *what) {
  CUptiResult result = cupti.cuptiActivityEnable(kind);
  return result == CUPTI_SUCCESS ? 0 : failed(what, result);
}

/* Graphs as a whole: from before CUDA begins, since libcupti learns a graph when it is made. On
 * libcupti 13.0 the process died when this was first enabled with graphs already there. */
void enable_graphs_early(void) {
  if (head.options & HS_GPU_EARLY)
    for (int i = 0; i < LENGTH(GPU_KINDS); i++) cupti.cuptiActivityEnable(GPU_KINDS[i].kind);
  if ((head.options & HS_GRAPH_LEVEL) && !(head.options & HS_GRAPH_LATE))
    head.graph_early = cupti.cuptiActivityEnable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE) == CUPTI_SUCCESS;
}

static int enable_kinds(const hs_kind *kinds, int count, const char *what) {
  for (int i = 0; i < count; i++) {
    int code = selected & kinds[i].record ? enable(kinds[i].kind, what) : 0;
    if (code) return code;
  }
  return 0;
}

int enable_all(CUpti_SubscriberHandle subscriber) {
  int code = enable_kinds(GPU_KINDS, LENGTH(GPU_KINDS), "enabling GPU records");
  if (code) return code;
  if ((head.options & HS_GRAPH_LEVEL) && !head.graph_early &&
      (code = enable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE, "enabling graph records")))
    return code;
  if ((head.options & HS_MARKERS) && (code = enable(CUPTI_ACTIVITY_KIND_MARKER, "enabling NVTX")))
    return code;
  if ((selected & HS_OVERHEADS) &&
      (code = enable(CUPTI_ACTIVITY_KIND_OVERHEAD, "enabling host records")))
    return code;
  if ((code = enable_kinds(HOST_KINDS, LENGTH(HOST_KINDS), "enabling host records"))) return code;
  if (selected & HS_MOST_CALLS) leave_out(0);
  if (selected & HS_MOST_DRIVER) leave_out(1);
  if (!(selected & HS_CALLS)) return 0;
  code = selected & HS_DRIVER_ALONE ? 0 : take_calls(subscriber, 0);
  return code ? code : take_calls(subscriber, 1);
}

/* All but the overhead records, which tell of the flush that follows. */
void disable_host(void) {
  for (int i = LENGTH(HOST_KINDS) - 1; i >= 0; i--)
    if (selected & HOST_KINDS[i].record) cupti.cuptiActivityDisable(HOST_KINDS[i].kind);
  cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_MARKER);
}

void disable_rest(void) {
  for (int i = 0; i < LENGTH(GPU_KINDS); i++)
    if (selected & GPU_KINDS[i].record) cupti.cuptiActivityDisable(GPU_KINDS[i].kind);
  cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
  if (selected & HS_OVERHEADS) cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_OVERHEAD);
}
