/* The dump: head, tables, strings; shim.h says how. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"

static int write_all(FILE *file, const void *bytes, size_t length) {
  return length && fwrite(bytes, 1, length, file) != length ? -1 : 0;
}

static int write_table(FILE *file, uint32_t id, uint32_t stride, uint64_t count, const void *bytes) {
  return write_all(file, &id, sizeof id) || write_all(file, &stride, sizeof stride) ||
         write_all(file, &count, sizeof count) || write_all(file, bytes, stride * count);
}

static int write_dump(const char *path, hs_walker *w) {
  head.records = w->records;
  FILE *file = fopen(path, "wb");
  if (!file) goto broken;
  int code = write_all(file, &head, sizeof head);
  for (int id = 1; id < HS_TABLES && !code; id++)
    code = write_table(file, (uint32_t)id, hs_strides[id], w->tables[id].count,
                       w->tables[id].bytes);
  if (!code) code = write_table(file, 0, 1, w->strings.used, w->strings.bytes);
  if (fclose(file) || code) goto broken;
  return 0;
broken:
  snprintf(error_text, sizeof error_text, "%s: %s", path, strerror(errno));
  return -1;
}

static void free_walker(hs_walker *w) {
  for (int i = 0; i < HS_TABLES; i++) free(w->tables[i].bytes);
  free(w->strings.bytes);
  free(w->strings.offsets);
  free(w->strings.slots);
  free(w->api_names[0]);
  free(w->api_names[1]);
  free(w);
}

static hs_walker *walk_all(void) {
  hs_walker *w = calloc(1, sizeof *w);
  if (!w) return NULL;
  w->next = cupti.cuptiActivityGetNextRecord;
  w->callback_name = cupti.cuptiGetCallbackName;
  for (block *b = first_block; b; b = b->next) hs_walk(w, b->bytes, b->valid);
  const hs_clock *clock = &head.opened;
  walk_calls(w, clock->cupti - (clock->before + (clock->after - clock->before) / 2));
  return w;
}

/* How many of each of our records there are: `counts` has room for HS_TABLES. */
int count_records(int64_t *counts) {
  hs_walker *w = walk_all();
  if (!w) return -1;
  for (int id = 0; id < HS_TABLES; id++) counts[id] = (int64_t)w->tables[id].count;
  int code = w->failed ? -1 : 0;
  drop_blocks();
  drop_calls();
  free_walker(w);
  return code;
}

/* Walk all buffers and write them, with everything known about the session, to `path`. */
int dump(const char *path) {
  hs_walker *w = walk_all();
  if (!w) return -1;
  head.broken_buffers += w->broken;
  int code = 0;
  if (w->failed) {
    snprintf(error_text, sizeof error_text, "out of memory while reading the records");
    code = -1;
  }
  if (!code) code = write_dump(path, w);
  drop_blocks();
  drop_calls();
  free_walker(w);
  return code;
}
