/* Activity buffers into our records: the only code that knows NVIDIA's layouts.
 *
 * Only fields that every libcupti since 12.4 writes at the same place are read: newer structs append
 * (the tests hold this against each release), so headers and library may differ in their minor
 * version. The library itself steps from record to record.
 */
#ifndef HS_WALK_H
#define HS_WALK_H

#include <stdlib.h>
#include <string.h>

/* Not cupti.h: it also wants headers of exactly the same CUDA release. */
#include <cuda.h>

#include <cupti_activity.h>
#include <cupti_callbacks.h>
#include <cupti_driver_cbid.h>
#include <cupti_result.h>
#include <cupti_runtime_cbid.h>
#include <cupti_version.h>

#include "records.h"

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

static const uint32_t hs_strides[HS_TABLES] = {
    0,           sizeof(hs_kernel), sizeof(hs_memcpy), sizeof(hs_memset),
    sizeof(hs_graph), sizeof(hs_api),    sizeof(hs_sync),   sizeof(hs_overhead),
    sizeof(hs_event), sizeof(hs_context), sizeof(hs_marker), sizeof(hs_unknown)};

static void *hs_append(hs_walker *w, int id) {
  hs_table *t = &w->tables[id];
  if (t->count == t->capacity) {
    uint64_t capacity = t->capacity ? t->capacity * 2 : 1024;
    char *bytes = realloc(t->bytes, capacity * hs_strides[id]);
    if (!bytes) {
      w->failed = 1;
      return NULL;
    }
    t->bytes = bytes;
    t->capacity = capacity;
    t->stride = hs_strides[id];
  }
  return memset(t->bytes + t->stride * t->count++, 0, t->stride);
}

static uint64_t hs_hash(const char *text, size_t length) {
  uint64_t hash = 1469598103934665603ull;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 1099511628211ull;
  return hash;
}

static int hs_rehash(hs_strings *s, uint32_t slot_count) {
  uint32_t *slots = calloc(slot_count, sizeof *slots);
  if (!slots) return -1;
  for (uint32_t i = 0; i < s->count; i++) {
    const char *text = s->bytes + s->offsets[i];
    uint64_t at = hs_hash(text, strlen(text));
    while (slots[at % slot_count]) at++;
    slots[at % slot_count] = i + 1;
  }
  free(s->slots);
  s->slots = slots;
  s->slot_count = slot_count;
  return 0;
}

static uint32_t hs_intern(hs_walker *w, const char *text) {
  hs_strings *s = &w->strings;
  if (!text) text = "";
  size_t length = strlen(text);
  if (2 * (s->count + 1) > s->slot_count && hs_rehash(s, s->slot_count ? s->slot_count * 2 : 1024))
    goto failed;
  uint64_t at = hs_hash(text, length);
  for (; s->slots[at % s->slot_count]; at++) {
    uint32_t found = s->slots[at % s->slot_count] - 1;
    if (!strcmp(s->bytes + s->offsets[found], text)) return found;
  }
  if (s->used + length + 1 > s->capacity) {
    uint64_t capacity = 2 * (s->capacity + length + 4096);
    char *bytes = realloc(s->bytes, capacity);
    if (!bytes) goto failed;
    s->bytes = bytes;
    s->capacity = capacity;
  }
  if (s->count == s->room) {
    uint32_t room = s->room ? s->room * 2 : 1024;
    uint64_t *offsets = realloc(s->offsets, room * sizeof *offsets);
    if (!offsets) goto failed;
    s->offsets = offsets;
    s->room = room;
  }
  memcpy(s->bytes + s->used, text, length + 1);
  s->offsets[s->count] = s->used;
  s->used += length + 1;
  s->slots[at % s->slot_count] = s->count + 1;
  return s->count++;
failed:
  w->failed = 1;
  return 0;
}

static uint32_t hs_api_name(hs_walker *w, int driver, uint32_t id) {
  uint32_t **names = &w->api_names[driver];
  if (!*names) *names = calloc(HS_API_NAMES, sizeof **names);
  if (id < HS_API_NAMES && *names && (*names)[id]) return (*names)[id] - 1;
  const char *text = NULL;
  CUpti_CallbackDomain domain = driver ? CUPTI_CB_DOMAIN_DRIVER_API : CUPTI_CB_DOMAIN_RUNTIME_API;
  if (w->callback_name(domain, id, &text) != CUPTI_SUCCESS || !text)
    text = driver ? "cuUnknown" : "cudaUnknown";
  uint32_t name = hs_intern(w, text);
  if (id < HS_API_NAMES && *names) (*names)[id] = name + 1;
  return name;
}

static void hs_take_unknown(hs_walker *w, uint32_t kind) {
  hs_table *t = &w->tables[HS_UNKNOWN];
  for (uint64_t i = 0; i < t->count; i++) {
    hs_unknown *known = (hs_unknown *)(t->bytes + i * t->stride);
    if (known->kind == kind) {
      known->count++;
      return;
    }
  }
  hs_unknown *made = hs_append(w, HS_UNKNOWN);
  if (made) *made = (hs_unknown){.kind = kind, .count = 1};
}

/* Who an overhead or a marker belongs to: only a thread or a process is a place on the host. */
static void hs_place(CUpti_ActivityObjectKind kind, const CUpti_ActivityObjectKindId *id,
                     uint32_t *process, uint32_t *thread) {
  if (kind == CUPTI_ACTIVITY_OBJECT_PROCESS || kind == CUPTI_ACTIVITY_OBJECT_THREAD)
    *process = id->pt.processId;
  if (kind == CUPTI_ACTIVITY_OBJECT_THREAD) *thread = id->pt.threadId;
}

static void hs_take(hs_walker *w, const CUpti_Activity *record) {
  void *made;
  w->records++;
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_KERNEL:
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const act_kernel *r = (const void *)record;
      uint32_t name = hs_intern(w, r->name);
      if (!(made = hs_append(w, HS_KERNEL))) return;
      *(hs_kernel *)made = (hs_kernel){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .grid_id = r->gridId,
          .graph_node = r->graphNodeId, .local_total = r->localMemoryTotal,
          .device = r->deviceId, .context = r->contextId, .stream = r->streamId,
          .correlation = r->correlationId, .name = name, .graph_id = r->graphId,
          .grid = {r->gridX, r->gridY, r->gridZ}, .block = {r->blockX, r->blockY, r->blockZ},
          .registers = r->registersPerThread, .static_shared = (uint32_t)r->staticSharedMemory,
          .dynamic_shared = (uint32_t)r->dynamicSharedMemory,
          .shared_executed = r->sharedMemoryExecuted, .local_per_thread = r->localMemoryPerThread,
          .cluster = {r->clusterX, r->clusterY, r->clusterZ},
          .launch_type = r->launchType, .channel = r->channelID};
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const act_memcpy *r = (const void *)record;
      if (!(made = hs_append(w, HS_MEMCPY))) return;
      *(hs_memcpy *)made = (hs_memcpy){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .bytes = r->bytes,
          .graph_node = r->graphNodeId, .device = r->deviceId, .context = r->contextId,
          .stream = r->streamId, .correlation = r->correlationId, .graph_id = r->graphId,
          .flags = r->flags, .copy_kind = r->copyKind, .src_kind = r->srcKind,
          .dst_kind = r->dstKind};
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY2: {
      const act_peer *r = (const void *)record;
      if (!(made = hs_append(w, HS_MEMCPY))) return;
      *(hs_memcpy *)made = (hs_memcpy){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .bytes = r->bytes,
          .graph_node = r->graphNodeId, .device = r->deviceId, .context = r->contextId,
          .stream = r->streamId, .correlation = r->correlationId, .graph_id = r->graphId,
          .flags = r->flags, .copy_kind = r->copyKind, .src_kind = r->srcKind,
          .dst_kind = r->dstKind, .src_device = r->srcDeviceId, .src_context = r->srcContextId,
          .dst_device = r->dstDeviceId, .dst_context = r->dstContextId, .peer = 1};
      return;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const act_memset *r = (const void *)record;
      if (!(made = hs_append(w, HS_MEMSET))) return;
      *(hs_memset *)made = (hs_memset){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .bytes = r->bytes,
          .graph_node = r->graphNodeId, .device = r->deviceId, .context = r->contextId,
          .stream = r->streamId, .correlation = r->correlationId, .graph_id = r->graphId,
          .value = r->value, .memory_kind = r->memoryKind};
      return;
    }
    case CUPTI_ACTIVITY_KIND_GRAPH_TRACE: {
      const act_graph *r = (const void *)record;
      if (!(made = hs_append(w, HS_GRAPH))) return;
      *(hs_graph *)made = (hs_graph){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .device = r->deviceId,
          .context = r->contextId, .stream = r->streamId, .correlation = r->correlationId,
          .graph_id = r->graphId};
      return;
    }
    case CUPTI_ACTIVITY_KIND_RUNTIME:
    case CUPTI_ACTIVITY_KIND_DRIVER: {
      const CUpti_ActivityAPI *r = (const void *)record;
      int driver = record->kind == CUPTI_ACTIVITY_KIND_DRIVER;
      uint32_t name = hs_api_name(w, driver, r->cbid);
      if (!(made = hs_append(w, HS_API))) return;
      *(hs_api *)made = (hs_api){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .process = r->processId,
          .thread = r->threadId, .correlation = r->correlationId, .result = r->returnValue,
          .name = name, .driver = (uint32_t)driver};
      return;
    }
    case CUPTI_ACTIVITY_KIND_SYNCHRONIZATION: {
      const CUpti_ActivitySynchronization *r = (const void *)record;
      if (!(made = hs_append(w, HS_SYNC))) return;
      *(hs_sync *)made = (hs_sync){
          .start = (int64_t)r->start, .end = (int64_t)r->end, .type = (uint32_t)r->type,
          .context = r->contextId, .stream = r->streamId, .correlation = r->correlationId,
          .event = r->cudaEventId};
      return;
    }
    case CUPTI_ACTIVITY_KIND_OVERHEAD: {
      const act_overhead *r = (const void *)record;
      if (!(made = hs_append(w, HS_OVERHEAD))) return;
      hs_overhead *o = made;
      *o = (hs_overhead){.start = (int64_t)r->start, .end = (int64_t)r->end,
                         .kind = (uint32_t)r->overheadKind, .correlation = r->correlationId};
      CUpti_ActivityObjectKindId object;
      memcpy(&object, &r->objectId, sizeof object);
      hs_place(r->objectKind, &object, &o->process, &o->thread);
      return;
    }
    case CUPTI_ACTIVITY_KIND_CUDA_EVENT: {
      const CUpti_ActivityCudaEvent *r = (const void *)record;
      if (!(made = hs_append(w, HS_EVENT))) return;
      *(hs_event *)made = (hs_event){.correlation = r->correlationId, .context = r->contextId,
                                     .stream = r->streamId, .event = r->eventId};
      return;
    }
    case CUPTI_ACTIVITY_KIND_CONTEXT: {
      const act_context *r = (const void *)record;
      if (!(made = hs_append(w, HS_CONTEXT))) return;
      *(hs_context *)made = (hs_context){
          .context = r->contextId, .device = r->deviceId, .null_stream = r->nullStreamId};
      return;
    }
    case CUPTI_ACTIVITY_KIND_MARKER: {
      const act_marker *r = (const void *)record;
      uint32_t name = hs_intern(w, r->name), domain = hs_intern(w, r->domain);
      if (!(made = hs_append(w, HS_MARKER))) return;
      hs_marker *m = made;
      *m = (hs_marker){.timestamp = (int64_t)r->timestamp, .flags = (uint32_t)r->flags,
                       .id = r->id, .name = name, .domain = domain};
      CUpti_ActivityObjectKindId object;
      memcpy(&object, &r->objectId, sizeof object);
      hs_place(r->objectKind, &object, &m->process, &m->thread);
      return;
    }
    default:
      hs_take_unknown(w, (uint32_t)record->kind);
  }
}

/* One buffer, to its end; a record that cannot be read ends the buffer and is counted. */
static void hs_walk(hs_walker *w, uint8_t *buffer, size_t valid) {
  CUpti_Activity *record = NULL;
  for (;;) {
    CUptiResult result = w->next(buffer, valid, &record);
    if (result == CUPTI_SUCCESS) {
      hs_take(w, record);
      continue;
    }
    if (result != CUPTI_ERROR_MAX_LIMIT_REACHED) w->broken++;
    return;
  }
}

#endif
