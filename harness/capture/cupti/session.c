/* One CUPTI activity session in this process, with no Python in any callback.
 *
 * CUPTI calls back while it holds its own lock; a callback that wanted the interpreter's would
 * deadlock with a thread that holds the interpreter and calls CUDA. So these callbacks only hand
 * out and take in buffers, and open or close the session at cuProfilerStart and cuProfilerStop.
 * Buffers are walked after the session.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "shim.h"

enum { CLOCK_TRIES = 32 };
/* CUresult: what a stream capture in progress makes of a call that it does not allow. */
enum { CAPTURE_FIRST = 900, CAPTURE_LAST = 908 };

static pthread_mutex_t session_lock = PTHREAD_MUTEX_INITIALIZER;
static CUpti_SubscriberHandle subscriber;
static int letting_go;
static pid_t owner;
static char opened_path[4096];
_Atomic int hs_session;
_Atomic int hs_recording;
_Atomic int64_t hs_launches;

static const hs_call PROFILER_CALLS[] = {
    {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuProfilerStart},
    {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuProfilerStop},
    {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_RUNTIME_TRACE_CBID_cudaProfilerStart_v4000},
    {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_RUNTIME_TRACE_CBID_cudaProfilerStop_v4000}};
/* A runtime launch may show as a driver launch, too: only the pace of the count is looked at. */
static const hs_call LAUNCH_CALLS[] = {
    {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000},
    {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernelExC_v11060},
    {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_RUNTIME_TRACE_CBID_cudaGraphLaunch_v10000},
    {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel},
    {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuLaunchKernelEx},
    {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuGraphLaunch}};

/* At the end of this call CUPTI is let go of: CUPTI asks for a place inside a callback. */
static const hs_call LAST_CALL[] = {
    {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_cuCtxSynchronize}};

static int follow(int on, const hs_call *calls, int count) {
  for (int i = 0; i < count; i++) {
    CUptiResult result = cupti.cuptiEnableCallback(on, subscriber, calls[i].domain, calls[i].id);
    if (result != CUPTI_SUCCESS) return failed("cuptiEnableCallback", result);
  }
  return 0;
}

static int is_one_of(const hs_call *calls, int count, CUpti_CallbackDomain domain,
                     CUpti_CallbackId id) {
  for (int i = 0; i < count; i++)
    if (calls[i].domain == domain && calls[i].id == id) return 1;
  return 0;
}

static int of_capture(int result) { return result >= CAPTURE_FIRST && result <= CAPTURE_LAST; }

/* Wait for all devices that this process uses; before cuInit there is nothing to wait for. Nonzero
 * where a stream capture stands in the way: waiting would break it. */
static int synchronize(void) {
  int count = 0, captured = 0;
  if (load_driver() || cuda.cuDeviceGetCount(&count)) return 0;
  for (int device = 0; device < count; device++) {
    unsigned flags;
    int active = 0, status = 0;
    void *context;
    if (cuda.cuDevicePrimaryCtxGetState(device, &flags, &active) || !active) continue;
    if (cuda.cuDevicePrimaryCtxRetain(&context, device)) continue;
    if (!cuda.cuCtxPushCurrent_v2(context)) {
      /* Asked of the legacy stream (1), this is an error while any blocking stream captures. */
      int result = cuda.cuStreamIsCapturing((void *)1, &status);
      if (!of_capture(result)) result = cuda.cuCtxSynchronize();
      captured |= of_capture(result);
      cuda.cuCtxPopCurrent_v2(&context);
    }
    cuda.cuDevicePrimaryCtxRelease_v2(device);
  }
  return captured;
}

static int read_clock(hs_clock *best) {
  CUptiResult result = CUPTI_SUCCESS;
  best->before = best->after = 0;
  for (int i = 0; i < CLOCK_TRIES; i++) {
    hs_clock now;
    uint64_t stamp = 0;
    now.before = clock_ns(CLOCK_REALTIME);
    result = cupti.cuptiGetTimestamp(&stamp);
    now.after = clock_ns(CLOCK_REALTIME);
    now.monotonic = clock_ns(CLOCK_MONOTONIC);
    now.cupti = (int64_t)stamp;
    if (result != CUPTI_SUCCESS) return failed("cuptiGetTimestamp", result);
    if (!best->before || now.after - now.before < best->after - best->before) *best = now;
  }
  return 0;
}

/* Open the session: idle devices first, since work already queued would never be seen. */
int hs_start(void) {
  if (getpid() != owner || (hs_session == HS_IDLE && !subscriber)) return -1;
  pthread_mutex_lock(&session_lock);
  int code = 0;
  if (hs_session != HS_IDLE) {
    head.ignored_starts++;
  } else {
    /* A target that dies in its range leaves nothing but this file. */
    int file = open(opened_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file >= 0) close(file);
    if (head.options & HS_COUNT_LAUNCHES) follow(0, LAUNCH_CALLS, LENGTH(LAUNCH_CALLS));
    head.capturing = synchronize();
    code = enable_all(subscriber);
    if (!code) code = read_clock(&head.opened);
    head.start_result = code;
    hs_session = hs_recording = HS_OPEN;
  }
  pthread_mutex_unlock(&session_lock);
  return code;
}

/* Host records first, then wait for the queued work, so that its records are whole. */
static int disable_all(void) {
  disable_calls(subscriber);
  disable_host();
  synchronize();
  CUptiResult flushed = cupti.cuptiActivityFlushAll(0);
  disable_rest();
  CUptiResult forced = cupti.cuptiActivityFlushAll(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
  if (flushed != CUPTI_SUCCESS) return failed("cuptiActivityFlushAll", flushed);
  return forced == CUPTI_SUCCESS ? 0 : failed("cuptiActivityFlushAll", forced);
}

/* Close the session. */
int hs_stop(void) {
  if (!subscriber || getpid() != owner) return -1;
  pthread_mutex_lock(&session_lock);
  int code = 0;
  if (hs_session == HS_OPEN) {
    code = read_clock(&head.closed);
    int disabled = disable_all();
    if (disabled) code = disabled;
    size_t dropped = 0;
    CUptiResult counted = cupti.cuptiActivityGetNumDroppedRecords(NULL, 0, &dropped);
    if (counted != CUPTI_SUCCESS) code = failed("cuptiActivityGetNumDroppedRecords", counted);
    head.dropped += dropped;
    head.stop_result = code;
    hs_session = hs_recording = HS_CLOSED;
  }
  pthread_mutex_unlock(&session_lock);
  return code;
}

static void CUPTIAPI on_call(void *user, CUpti_CallbackDomain domain, CUpti_CallbackId id,
                             const void *data) {
  const CUpti_CallbackData *call = data;
  (void)user;
  int driver = domain == CUPTI_CB_DOMAIN_DRIVER_API;
  if (!driver && domain != CUPTI_CB_DOMAIN_RUNTIME_API) return;
  if (letting_go && is_one_of(LAST_CALL, LENGTH(LAST_CALL), domain, id)) {
    if (call->callbackSite == CUPTI_API_EXIT) {
      letting_go = 0;
      cupti.finalize();
      subscriber = NULL;
    }
    return;
  }
  if (is_taken(driver, id)) {
    take_call(driver, id, call);
    return;
  }
  if (is_one_of(LAUNCH_CALLS, LENGTH(LAUNCH_CALLS), domain, id)) {
    if (call->callbackSite == CUPTI_API_ENTER) hs_launches++;
    return;
  }
  if (id == (driver ? (CUpti_CallbackId)CUPTI_DRIVER_TRACE_CBID_cuProfilerStart
                    : (CUpti_CallbackId)CUPTI_RUNTIME_TRACE_CBID_cudaProfilerStart_v4000)) {
    if (call->callbackSite == CUPTI_API_EXIT && (driver || hs_session == HS_IDLE)) hs_start();
  } else if (call->callbackSite == CUPTI_API_ENTER) {
    hs_stop();
  }
}

static int subscribe(void) {
  CUptiResult result = cupti.cuptiSubscribe(&subscriber, on_call, NULL);
  if (result != CUPTI_SUCCESS) {
    subscriber = NULL;
    return failed("cuptiSubscribe", result);
  }
  zero_buffers();
  result = cupti.cuptiSetThreadIdType(CUPTI_ACTIVITY_THREAD_ID_TYPE_SYSTEM);
  if (result != CUPTI_SUCCESS) return failed("cuptiSetThreadIdType", result);
  result = cupti.cuptiActivityRegisterCallbacks(requested, completed);
  return result == CUPTI_SUCCESS ? 0 : failed("cuptiActivityRegisterCallbacks", result);
}

/* Become this process's CUPTI client; `opened` is the file to make when the session opens. Returns
 * 0, a CUptiResult, or -1 when there is no driver. */
int hs_attach(uint32_t options, uint64_t max_bytes, const char *opened) {
  if (subscriber) return 0;
  if (load_driver()) return -1;
  owner = getpid();
  head.options = options;
  snprintf(opened_path, sizeof opened_path, "%s", opened ? opened : "");
  prepare_buffers(max_bytes);
  prepare_calls(max_bytes);
  int code = subscribe();
  if (code) return code;
  enable_graphs_early();
  if (options & HS_COUNT_LAUNCHES) follow(1, LAUNCH_CALLS, LENGTH(LAUNCH_CALLS));
  return options & HS_FOLLOW_PROFILER ? follow(1, PROFILER_CALLS, LENGTH(PROFILER_CALLS)) : 0;
}

/* Let go of CUPTI altogether, after which the process runs as if it had never been there. */
static int let_go(void) {
  if (!cupti.finalize) return -1;
  int code = follow(1, LAST_CALL, LENGTH(LAST_CALL));
  if (code) return code;
  letting_go = 1;
  synchronize();
  if (!letting_go) return 0;
  letting_go = 0;
  follow(0, LAST_CALL, LENGTH(LAST_CALL));
  snprintf(error_text, sizeof error_text, "CUPTI could not be let go of");
  return -1;
}

/* Record a stretch of steps besides the session. */
int hs_open_block(void) {
  if (getpid() != owner || hs_session == HS_OPEN) return -1;
  pthread_mutex_lock(&session_lock);
  int code = subscriber ? 0 : subscribe();
  if (!code) synchronize();
  if (!code && (code = enable_all(subscriber))) {
    char why[sizeof error_text];
    snprintf(why, sizeof why, "%s", error_text);
    disable_all(); /* what was enabled until then would go on costing the program time */
    snprintf(error_text, sizeof error_text, "%s", why);
  }
  if (!code) hs_recording = HS_OPEN;
  pthread_mutex_unlock(&session_lock);
  return code;
}

/* End it; `leave`: what follows is to run without CUPTI. */
int hs_close_block(int leave) {
  if (!subscriber || getpid() != owner || hs_session == HS_OPEN) return -1;
  pthread_mutex_lock(&session_lock);
  hs_recording = HS_CLOSED;
  int code = disable_all();
  if (!code && leave) code = let_go();
  pthread_mutex_unlock(&session_lock);
  return code;
}

/* Let go of CUPTI: nothing is enabled and another client may subscribe. */
int hs_detach(void) {
  if (!subscriber || getpid() != owner) return 0;
  hs_stop();
  if (hs_session == HS_IDLE && head.graph_early)
    cupti.cuptiActivityDisable(CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
  CUptiResult result = cupti.cuptiUnsubscribe(subscriber);
  subscriber = NULL;
  return result == CUPTI_SUCCESS ? 0 : failed("cuptiUnsubscribe", result);
}

/* Write what was recorded; the buffers are gone afterwards. */
int hs_dump(const char *path) {
  head.state = hs_session;
  return dump(path);
}

/* How many records of each kind lie in the buffers, which are gone afterwards. */
int hs_count(int64_t *counts) { return count_records(counts); }
