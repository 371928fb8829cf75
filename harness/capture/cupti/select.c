/* What is recorded: activity kinds, and of the CUDA calls those that launch, copy, allocate or wait.
 *
 * A recorded call costs the host a fraction of a microsecond, so questions are left out; they
 * were every fifth call of a decode loop. Before CUDA 12.6 CUPTI records all calls or none.
 */
#include <string.h>

#include "shim.h"

/* Beginnings of names. Runtime calls that only ask or set something. */
static const char *const LEFT_OUT[] = {
    "cudaGet", "cudaPeekAtLastError", "cudaSetDevice", "cudaDeviceGet", "cudaDeviceCanAccessPeer",
    "cudaFuncGet", "cudaFuncSet", "cudaKernelSet", "cudaStreamGet", "cudaStreamIsCapturing",
    "cudaThreadExchangeStreamCaptureMode", "cudaPointerGet", "cudaHostGet", "cudaOccupancy",
    "cudaDriverGetVersion", "cudaRuntimeGetVersion", "cudaProfiler"};

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

static const CUpti_ActivityKind GPU_KINDS[] = {
    CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, /* never KERNEL: that serialises */
    CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMCPY2, CUPTI_ACTIVITY_KIND_MEMSET,
    CUPTI_ACTIVITY_KIND_CONTEXT};
static const CUpti_ActivityKind HOST_KINDS[] = {
    CUPTI_ACTIVITY_KIND_OVERHEAD, CUPTI_ACTIVITY_KIND_CUDA_EVENT,
    CUPTI_ACTIVITY_KIND_SYNCHRONIZATION, CUPTI_ACTIVITY_KIND_DRIVER, CUPTI_ACTIVITY_KIND_RUNTIME};

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

static int enable(CUpti_ActivityKind kind, const char *what) {
  CUptiResult result = cupti.cuptiActivityEnable(kind);
  return result == CUPTI_SUCCESS ? 0 : failed(what, result);
}

/* Graphs as a whole: from before CUDA begins, since libcupti learns a graph when it is made. On
 * libcupti 13.0 the process died when this was first enabled with graphs already there. */
void enable_graphs_early(void) {
  if (head.options & HS_GPU_EARLY)
    for (int i = 0; i < LENGTH(GPU_KINDS); i++) cupti.cuptiActivityEnable(GPU_KINDS[i]);
  if ((head.options & HS_GRAPH_LEVEL) && !(head.options & HS_GRAPH_LATE))
    head.graph_early = cupti.cuptiActivityEnable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE) == CUPTI_SUCCESS;
}

int enable_all(void) {
  int code;
  for (int i = 0; i < LENGTH(GPU_KINDS); i++)
    if ((code = enable(GPU_KINDS[i], "enabling GPU records"))) return code;
  if ((head.options & HS_GRAPH_LEVEL) && !head.graph_early &&
      (code = enable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE, "enabling graph records")))
    return code;
  if ((head.options & HS_MARKERS) && (code = enable(CUPTI_ACTIVITY_KIND_MARKER, "enabling NVTX")))
    return code;
  for (int i = 0; i < LENGTH(HOST_KINDS); i++)
    if ((code = enable(HOST_KINDS[i], "enabling host records"))) return code;
  leave_out(0);
  leave_out(1);
  return 0;
}

/* All but the overhead records, which tell of the flush that follows. */
void disable_host(void) {
  for (int i = LENGTH(HOST_KINDS) - 1; i > 0; i--) cupti.cuptiActivityDisable(HOST_KINDS[i]);
  cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_MARKER);
}

void disable_rest(void) {
  for (int i = 0; i < LENGTH(GPU_KINDS); i++) cupti.cuptiActivityDisable(GPU_KINDS[i]);
  cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
  cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_OVERHEAD);
}
