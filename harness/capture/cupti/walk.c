/* Activity buffers into our records: the only code that reads NVIDIA's. The library itself steps from
 * record to record. */
#include <stdlib.h>
#include <string.h>

#include "shim.h"

uint32_t hs_api_name(hs_walker *w, int driver, uint32_t id) {
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

static void take_unknown(hs_walker *w, uint32_t kind) {
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
static void place(CUpti_ActivityObjectKind kind, const CUpti_ActivityObjectKindId *id,
                     uint32_t *process, uint32_t *thread) {
  if (kind == CUPTI_ACTIVITY_OBJECT_PROCESS || kind == CUPTI_ACTIVITY_OBJECT_THREAD)
    *process = id->pt.processId;
  if (kind == CUPTI_ACTIVITY_OBJECT_THREAD) *thread = id->pt.threadId;
}

static void take(hs_walker *w, const CUpti_Activity *record) {
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
      place(r->objectKind, &object, &o->process, &o->thread);
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
      place(r->objectKind, &object, &m->process, &m->thread);
      return;
    }
    default:
      take_unknown(w, (uint32_t)record->kind);
  }
}

/* One buffer, to its end; a record that cannot be read ends the buffer and is counted. */
void hs_walk(hs_walker *w, uint8_t *buffer, size_t valid) {
  CUpti_Activity *record = NULL;
  for (;;) {
    CUptiResult result = w->next(buffer, valid, &record);
    if (result == CUPTI_SUCCESS) {
      take(w, record);
      continue;
    }
    if (result != CUPTI_ERROR_MAX_LIMIT_REACHED) w->broken++;
    return;
  }
}
