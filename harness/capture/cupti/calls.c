/* The CUDA calls of the light set, taken down in callbacks of our own.
 *
 * CUPTI's own records of calls, of waits too, make it look at every call of a domain: about 0.3 us
 * each, also of those that nobody wants, and a GPT-2 decode step makes 3,000 of which 250 do
 * something. A callback stands on the calls that are wanted, and on nothing else. Single calls can
 * be chosen for CUPTI's records as well, but that has no effect once the context is there.
 *
 * A callback runs on the thread that calls, and only writes into that thread's own memory.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim.h"

enum { PER_CHUNK = 16384, READY = 4 };

typedef struct {
  hs_api api; /* `name` holds the callback's id until the dump */
  uint32_t context, stream, type, event;
} hs_taken;

typedef struct chunk {
  struct chunk *next;
  uint32_t used;
  hs_taken rows[PER_CHUNK];
} chunk;

static pthread_mutex_t chunk_lock = PTHREAD_MUTEX_INITIALIZER;
static chunk *filled, *ready[READY];
static int readied;
static uint64_t chunk_bytes, most_chunk_bytes;
static _Atomic uint32_t generation = 1;

/* Of the thread: the outermost call that is open, and where its row goes. */
static _Thread_local struct {
  uint32_t generation, depth, process, thread, id, correlation;
  int driver;
  int64_t start;
  chunk *rows;
} mine;

static chunk *new_chunk(void) {
  void *bytes = mmap(NULL, sizeof(chunk), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return bytes == MAP_FAILED ? NULL : bytes;
}

void prepare_calls(uint64_t max_bytes) {
  most_chunk_bytes = max_bytes;
  while (readied < READY && (ready[readied] = new_chunk())) readied++;
}

static chunk *next_chunk(void) {
  pthread_mutex_lock(&chunk_lock);
  chunk *made = NULL;
  if (chunk_bytes + sizeof *made <= most_chunk_bytes)
    made = readied ? ready[--readied] : new_chunk();
  if (made) {
    chunk_bytes += sizeof *made;
    made->used = 0;
    made->next = filled;
    filled = made;
  }
  pthread_mutex_unlock(&chunk_lock);
  return made;
}

/* Calls that wait or make a stream wait, and where their arguments have stream and event. */
typedef struct {
  hs_call call;
  uint32_t type;
  int stream, event;
} hs_wait_call;
#define RUNTIME(name) {CUPTI_CB_DOMAIN_RUNTIME_API, CUPTI_RUNTIME_TRACE_CBID_##name}
#define DRIVER(name) {CUPTI_CB_DOMAIN_DRIVER_API, CUPTI_DRIVER_TRACE_CBID_##name}
enum {
  ON_EVENT = CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_EVENT_SYNCHRONIZE,
  STREAM_WAITS = CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_WAIT_EVENT,
  ON_STREAM = CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE,
  ON_CONTEXT = CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_CONTEXT_SYNCHRONIZE
};
static const hs_wait_call WAIT_CALLS[] = {
    {RUNTIME(cudaStreamSynchronize_v3020), ON_STREAM, 0, -1},
    {RUNTIME(cudaStreamSynchronize_ptsz_v7000), ON_STREAM, 0, -1},
    {RUNTIME(cudaStreamWaitEvent_v3020), STREAM_WAITS, 0, 1},
    {RUNTIME(cudaStreamWaitEvent_ptsz_v7000), STREAM_WAITS, 0, 1},
    {RUNTIME(cudaEventSynchronize_v3020), ON_EVENT, -1, 0},
    {RUNTIME(cudaDeviceSynchronize_v3020), ON_CONTEXT, -1, -1},
    {DRIVER(cuStreamSynchronize), ON_STREAM, 0, -1},
    {DRIVER(cuStreamSynchronize_ptsz), ON_STREAM, 0, -1},
    {DRIVER(cuStreamWaitEvent), STREAM_WAITS, 0, 1},
    {DRIVER(cuStreamWaitEvent_ptsz), STREAM_WAITS, 0, 1},
    {DRIVER(cuEventSynchronize), ON_EVENT, -1, 0},
    {DRIVER(cuCtxSynchronize), ON_CONTEXT, -1, -1}};

static void note_wait(hs_taken *row, const CUpti_CallbackData *call, int driver, uint32_t id) {
  for (int i = 0; i < LENGTH(WAIT_CALLS); i++) {
    const hs_wait_call *w = &WAIT_CALLS[i];
    if (w->call.id != id || (w->call.domain == CUPTI_CB_DOMAIN_DRIVER_API) != driver) continue;
    void *const *arguments = call->functionParams;
    row->type = w->type;
    row->context = call->contextUid;
    row->stream = row->event = CUPTI_SYNCHRONIZATION_INVALID_VALUE;
    if (w->stream >= 0)
      cupti.cuptiGetStreamIdEx(call->context, arguments[w->stream], 0, &row->stream);
    /* An event's number, which is all that two calls about the same one have in common. */
    if (w->event >= 0) row->event = (uint32_t)((uintptr_t)arguments[w->event] >> 4);
    return;
  }
}

void take_call(int driver, uint32_t id, const CUpti_CallbackData *call) {
  if (mine.generation != generation) {
    mine.generation = generation;
    mine.depth = 0;
    mine.rows = NULL;
    mine.process = (uint32_t)getpid(); /* kept: asking is a system call */
    mine.thread = (uint32_t)syscall(SYS_gettid);
  }
  if (call->callbackSite == CUPTI_API_ENTER) {
    if (mine.depth++) return; /* a call that another one makes */
    mine.driver = driver;
    mine.id = id;
    mine.correlation = call->correlationId;
    mine.start = clock_ns(CLOCK_REALTIME);
    return;
  }
  if (!mine.depth || --mine.depth) return;
  if (mine.id != id || mine.driver != driver) return;
  if (!mine.rows || mine.rows->used == PER_CHUNK) mine.rows = next_chunk();
  if (!mine.rows) {
    head.dropped++;
    return;
  }
  hs_taken *row = &mine.rows->rows[mine.rows->used];
  const int *result = call->functionReturnValue;
  row->api = (hs_api){.start = mine.start, .process = mine.process, .thread = mine.thread,
                      .correlation = mine.correlation, .result = result ? (uint32_t)*result : 0,
                      .name = id, .driver = (uint32_t)driver};
  row->type = 0;
  row->api.end = clock_ns(CLOCK_REALTIME);
  note_wait(row, call, driver, id);
  mine.rows->used++;
}

/* What was taken down, as records on libcupti's clock, which is `shift` ahead. */
void walk_calls(hs_walker *w, int64_t shift) {
  for (chunk *c = filled; c; c = c->next)
    for (uint32_t i = 0; i < c->used; i++) {
      const hs_taken *row = &c->rows[i];
      uint32_t name = hs_api_name(w, (int)row->api.driver, row->api.name);
      hs_api *made = hs_append(w, HS_API);
      if (!made) return;
      w->records++;
      *made = row->api;
      made->name = name;
      made->start += shift;
      made->end += shift;
      if (!row->type) continue;
      hs_sync *wait = hs_append(w, HS_SYNC);
      if (!wait) return;
      *wait = (hs_sync){.start = made->start, .end = made->end, .type = row->type,
                        .context = row->context, .stream = row->stream,
                        .correlation = row->api.correlation, .event = row->event};
    }
}

/* Threads that still hold one see another generation. */
void drop_calls(void) {
  pthread_mutex_lock(&chunk_lock);
  generation++;
  while (filled) {
    chunk *next = filled->next;
    chunk_bytes -= sizeof *filled;
    if (readied < READY)
      ready[readied++] = filled;
    else
      munmap(filled, sizeof *filled);
    filled = next;
  }
  pthread_mutex_unlock(&chunk_lock);
}
