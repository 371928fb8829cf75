/* Compiled with the shim: lays out one record of each kind with NVIDIA's own structs, every field
 * different, and lets the shim walk and dump them with the library's cuptiActivityGetNextRecord. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "shim.h"

HS int hs_fabricate(const char *path, int broken);
HS int hs_test_is_recorded(int driver, const char *name);

/* What the library writes, which the shim reads through an older struct that it begins with. */
#if CUPTI_API_VERSION >= 130400
typedef act_memcpy newest_memcpy;
typedef CUpti_ActivityContext4 newest_context;
typedef CUpti_ActivityCudaEvent3 newest_event;
#else
typedef CUpti_ActivityMemcpy6 newest_memcpy;
typedef CUpti_ActivityContext3 newest_context;
typedef CUpti_ActivityCudaEvent2 newest_event;
#endif
typedef CUpti_ActivitySynchronization2 newest_sync;

static uint8_t *fabricated;
static size_t fabricated_bytes;

static void *lay(size_t size, CUpti_ActivityKind kind) {
  void *record = fabricated + fabricated_bytes;
  fabricated_bytes += (size + 7) & ~(size_t)7;
  *(CUpti_ActivityKind *)record = kind;
  return record;
}
#define LAY_AS(type, newest, kind) ((type *)lay(sizeof(newest), kind))
#define LAY(type, kind) LAY_AS(type, type, kind)

static void lay_operations(void) {
  act_kernel *k = LAY(act_kernel, CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
  k->start = 1001, k->end = 1002, k->deviceId = 3, k->contextId = 4, k->streamId = 5;
  k->correlationId = 6, k->gridId = 7, k->name = "_Z4gemmPf", k->graphNodeId = 0x500000009ull;
  k->graphId = 10, k->gridX = 11, k->gridY = 12, k->gridZ = 13, k->blockX = 14, k->blockY = 15;
  k->blockZ = 16, k->registersPerThread = 17, k->staticSharedMemory = 18;
  k->dynamicSharedMemory = 19, k->localMemoryTotal = 20, k->localMemoryPerThread = 21;
  k->sharedMemoryExecuted = 22, k->clusterX = 23, k->clusterY = 24, k->clusterZ = 25;
  k->launchType = 1, k->channelID = 26;
  act_memcpy *m = LAY_AS(act_memcpy, newest_memcpy, CUPTI_ACTIVITY_KIND_MEMCPY);
  m->copyKind = 2, m->srcKind = 3, m->dstKind = 1, m->flags = 1, m->bytes = 1ull << 33;
  m->start = 1003, m->end = 1004, m->deviceId = 30, m->contextId = 31, m->streamId = 32;
  m->correlationId = 33, m->graphNodeId = 34, m->graphId = 35;
  act_peer *p = LAY(act_peer, CUPTI_ACTIVITY_KIND_MEMCPY2);
  p->copyKind = 10, p->srcKind = 3, p->dstKind = 3, p->bytes = 40, p->start = 1005, p->end = 1006;
  p->deviceId = 41, p->contextId = 42, p->streamId = 43, p->srcDeviceId = 44;
  p->srcContextId = 45, p->dstDeviceId = 46, p->dstContextId = 47, p->correlationId = 48;
  p->graphNodeId = 49, p->graphId = 50;
  act_memset *s = LAY(act_memset, CUPTI_ACTIVITY_KIND_MEMSET);
  s->value = 60, s->bytes = 61, s->start = 1007, s->end = 1008, s->deviceId = 62;
  s->contextId = 63, s->streamId = 64, s->correlationId = 65, s->memoryKind = 3;
  s->graphNodeId = 66, s->graphId = 67;
  act_graph *g = LAY(act_graph, CUPTI_ACTIVITY_KIND_GRAPH_TRACE);
  g->correlationId = 70, g->start = 1009, g->end = 1010, g->deviceId = 71, g->graphId = 72;
  g->contextId = 73, g->streamId = 74;
}

static void lay_host(void) {
  CUpti_ActivityAPI *a = LAY(CUpti_ActivityAPI, CUPTI_ACTIVITY_KIND_RUNTIME);
  a->cbid = CUPTI_RUNTIME_TRACE_CBID_cudaLaunchKernel_v7000, a->start = 900, a->end = 901;
  a->processId = 80, a->threadId = 81, a->correlationId = 6, a->returnValue = 2;
  a = LAY(CUpti_ActivityAPI, CUPTI_ACTIVITY_KIND_DRIVER);
  a->cbid = CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, a->start = 902, a->end = 903;
  a->processId = 80, a->threadId = 82, a->correlationId = 83;
  CUpti_ActivitySynchronization *y =
      LAY_AS(CUpti_ActivitySynchronization, newest_sync, CUPTI_ACTIVITY_KIND_SYNCHRONIZATION);
  y->type = CUPTI_ACTIVITY_SYNCHRONIZATION_TYPE_STREAM_SYNCHRONIZE, y->start = 904, y->end = 905;
  y->correlationId = 90, y->contextId = 91, y->streamId = 92, y->cudaEventId = 93;
  act_overhead *o = LAY(act_overhead, CUPTI_ACTIVITY_KIND_OVERHEAD);
  o->overheadKind = CUPTI_ACTIVITY_OVERHEAD_CUPTI_BUFFER_FLUSH;
  o->objectKind = CUPTI_ACTIVITY_OBJECT_THREAD, o->objectId.pt.processId = 80;
  o->objectId.pt.threadId = 81, o->start = 906, o->end = 907, o->correlationId = 95;
  CUpti_ActivityCudaEvent *e =
      LAY_AS(CUpti_ActivityCudaEvent, newest_event, CUPTI_ACTIVITY_KIND_CUDA_EVENT);
  e->correlationId = 110, e->contextId = 111, e->streamId = 112, e->eventId = 113;
  act_context *c = LAY_AS(act_context, newest_context, CUPTI_ACTIVITY_KIND_CONTEXT);
  c->contextId = 4, c->deviceId = 3, c->nullStreamId = 7;
  act_marker *r = LAY(act_marker, CUPTI_ACTIVITY_KIND_MARKER);
  r->flags = CUPTI_ACTIVITY_FLAG_MARKER_START, r->timestamp = 908, r->id = 100;
  r->objectKind = CUPTI_ACTIVITY_OBJECT_THREAD, r->objectId.pt.processId = 80;
  r->objectId.pt.threadId = 81, r->name = "Step 1", r->domain = "mine";
  CUpti_ActivityName *n = LAY(CUpti_ActivityName, CUPTI_ACTIVITY_KIND_NAME);
  n->objectKind = CUPTI_ACTIVITY_OBJECT_DEVICE, n->name = "not one of ours";
}

/* Dump one buffer of these records; with `broken`, the last one's kind is none. */
int hs_fabricate(const char *path, int broken) {
  fabricated = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  fabricated_bytes = 0;
  lay_operations();
  lay_host();
  if (broken) lay(8, CUPTI_ACTIVITY_KIND_INVALID);
  completed(NULL, 0, fabricated, BUFFER_BYTES, fabricated_bytes);
  head.opened = (hs_clock){1, 2, 3, 4};
  head.closed = (hs_clock){2001, 2002, 2003, 2004};
  head.dropped = 5;
  hs_session = HS_CLOSED;
  return hs_dump(path);
}

/* Is a call of this name recorded? */
int hs_test_is_recorded(int driver, const char *name) { return is_recorded(driver, name); }
