/* Tables of our records, and texts by their index: both grow as buffers are walked. */
#include <stdlib.h>
#include <string.h>

#include "shim.h"

const uint32_t hs_strides[HS_TABLES] = {
    0,           sizeof(hs_kernel), sizeof(hs_memcpy), sizeof(hs_memset),
    sizeof(hs_graph), sizeof(hs_api),    sizeof(hs_sync),   sizeof(hs_overhead),
    sizeof(hs_event), sizeof(hs_context), sizeof(hs_marker), sizeof(hs_unknown)};

void *hs_append(hs_walker *w, int id) {
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

static uint64_t hash(const char *text, size_t length) {
  uint64_t code = 1469598103934665603ull;
  for (size_t i = 0; i < length; i++) code = (code ^ (unsigned char)text[i]) * 1099511628211ull;
  return code;
}

static int rehash(hs_strings *s, uint32_t slot_count) {
  uint32_t *slots = calloc(slot_count, sizeof *slots);
  if (!slots) return -1;
  for (uint32_t i = 0; i < s->count; i++) {
    const char *text = s->bytes + s->offsets[i];
    uint64_t at = hash(text, strlen(text));
    while (slots[at % slot_count]) at++;
    slots[at % slot_count] = i + 1;
  }
  free(s->slots);
  s->slots = slots;
  s->slot_count = slot_count;
  return 0;
}

uint32_t hs_intern(hs_walker *w, const char *text) {
  hs_strings *s = &w->strings;
  if (!text) text = "";
  size_t length = strlen(text);
  if (2 * (s->count + 1) > s->slot_count && rehash(s, s->slot_count ? s->slot_count * 2 : 1024))
    goto failed;
  uint64_t at = hash(text, length);
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
