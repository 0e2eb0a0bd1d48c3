#include "AllocationCounter.h"
#include <errno.h>
#include <stdatomic.h>

/* glibc's own functions, behind the names that this file takes over for the whole test program. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long count;
static atomic_long bytes;

static void note(size_t size) {
  atomic_fetch_add(&count, 1);
  atomic_fetch_add(&bytes, (long)size);
}

long ala_allocation_count(void) { return atomic_load(&count); }

long ala_allocated_bytes(void) { return atomic_load(&bytes); }

void *malloc(size_t size) {
  note(size);
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  note(number * size);
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  note(size);
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  void *memory = memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}
