/* The buffers that CUPTI fills, and its two callbacks for them. They run on any thread, under CUPTI's
 * own lock: no interpreter, no CUPTI call, no waiting but for our own short lock. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shim.h"

enum { POOL = 8 };

static pthread_mutex_t buffer_lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *pool[POOL];
static int pooled;
block *first_block;
static block *last_block;
static uint64_t most_bytes;

/* Zeroed and mapped at once: malloc with memset would become a lazy calloc. */
static uint8_t *new_buffer(void) {
  void *bytes = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  return bytes == MAP_FAILED ? NULL : bytes;
}

static void free_buffer(uint8_t *bytes) {
  if (bytes) munmap(bytes, BUFFER_BYTES);
}

void CUPTIAPI requested(uint8_t **buffer, size_t *size, size_t *most_records) {
  *buffer = NULL;
  *size = 0;
  *most_records = 0;
  pthread_mutex_lock(&buffer_lock);
  int within = (uint64_t)head.buffer_bytes + BUFFER_BYTES <= most_bytes;
  if (pooled > 0 && within) *buffer = pool[--pooled];
  if (!*buffer && within) *buffer = new_buffer();
  if (*buffer) {
    *size = BUFFER_BYTES;
    head.buffers++;
    head.buffer_bytes += BUFFER_BYTES;
  } else {
    head.refused_buffers++; /* CUPTI then counts the records that it drops */
  }
  pthread_mutex_unlock(&buffer_lock);
}

void CUPTIAPI completed(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size,
                        size_t valid) {
  (void)context, (void)stream, (void)size;
  if (!buffer) return;
  block *made = valid ? malloc(sizeof *made) : NULL;
  pthread_mutex_lock(&buffer_lock);
  if (!made) {
    if (valid) head.broken_buffers++;
    head.buffers--;
    head.buffer_bytes -= BUFFER_BYTES;
    if (!valid && pooled < POOL) {
      pool[pooled++] = buffer; /* as it was handed out: zeroed */
      buffer = NULL;
    }
  } else {
    *made = (block){.bytes = buffer, .valid = valid};
    if (last_block)
      last_block->next = made;
    else
      first_block = made;
    last_block = made;
    buffer = NULL;
  }
  pthread_mutex_unlock(&buffer_lock);
  free_buffer(buffer);
}

/* Fill the pool now: page faults and zeroing would otherwise fall into the recorded window. */
void prepare_buffers(uint64_t max_bytes) {
  most_bytes = max_bytes;
  for (pooled = 0; pooled < POOL; pooled++)
    if (!(pool[pooled] = new_buffer())) break;
}

/* Tell CUPTI that they are zeroed. */
void zero_buffers(void) {
  uint8_t zeroed = 1;
  size_t size = sizeof zeroed;
  cupti.cuptiActivitySetAttribute(CUPTI_ACTIVITY_ATTR_ZEROED_OUT_ACTIVITY_BUFFER, &size, &zeroed);
}

/* Those that stretches filled are zeroed and filled again. */
void drop_blocks(void) {
  while (first_block) {
    block *next = first_block->next;
    head.buffer_bytes -= BUFFER_BYTES;
    if (pooled < POOL)
      pool[pooled++] = memset(first_block->bytes, 0, BUFFER_BYTES);
    else
      free_buffer(first_block->bytes);
    free(first_block);
    first_block = next;
  }
  last_block = NULL;
}
