/* Swift and most libraries have no way on where memory is refused: they trap, abort with a trace or go on with a null
   pointer. So the allocator's functions are taken over for the whole program; what they do is glibc's. */
#define _GNU_SOURCE
#include "OutOfMemory.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

/* Failures' code for what is unavailable. */
static const int unavailable = 69;

/* Writes the sentence without asking for memory. */
static void end_for_want_of(const char *what) {
  char reason[160];
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    snprintf(reason, sizeof reason, "the address space is limited to %llu KiB (ulimit -v)",
             (unsigned long long)limit.rlim_cur >> 10);
  else if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    snprintf(reason, sizeof reason, "data are limited to %llu KiB (ulimit -d)",
             (unsigned long long)limit.rlim_cur >> 10);
  else
    snprintf(reason, sizeof reason, "the machine has none left, or a limit on memory or processes is reached");
  char text[300];
  int count = snprintf(text, sizeof text, "ala: error: %s cannot be had: %s\n", what, reason);
  ssize_t written = write(STDERR_FILENO, text, (size_t)count);
  (void)written;
  _exit(unavailable);
}

/* While OpenBLAS is loaded its own threads ask for a working block each. Where the address space is limited, the program
   starts itself again without them (BLASKernel), and then they are forbidden by this variable. */
static int is_before_restart(size_t size) {
  struct rlimit limit;
  return size >= (size_t)1 << 26 && !getenv("OPENBLAS_NUM_THREADS") && getrlimit(RLIMIT_AS, &limit) == 0 &&
         limit.rlim_cur != RLIM_INFINITY;
}

static void refuse(size_t size) {
  /* More than the machine has is the mistake of who asks, such as a library that reads a damaged file, and its to
     handle. */
  size_t pages = (size_t)sysconf(_SC_PHYS_PAGES), page = (size_t)sysconf(_SC_PAGESIZE);
  if (size / page > pages || is_before_restart(size)) return;
  char what[64];
  snprintf(what, sizeof what, "%zu bytes of memory", size);
  end_for_want_of(what);
}

void *malloc(size_t size) {
  void *memory = __libc_malloc(size);
  if (!memory) refuse(size);
  return memory;
}

void *calloc(size_t number, size_t size) {
  void *memory = __libc_calloc(number, size);
  size_t whole;
  if (!memory && !__builtin_mul_overflow(number, size, &whole)) refuse(whole);
  return memory;
}

void *realloc(void *old, size_t size) {
  void *memory = __libc_realloc(old, size);
  if (!memory && size) refuse(size);
  return memory;
}

void *memalign(size_t alignment, size_t size) {
  void *memory = __libc_memalign(alignment, size);
  if (!memory) refuse(size);
  return memory;
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (alignment % sizeof(void *) || (alignment & (alignment - 1)) || !alignment) return EINVAL;
  void *memory = memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}

/* Who waits for a thread that was never started waits for ever. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  static int (*own)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (!own) *(void **)&own = dlsym(RTLD_NEXT, "pthread_create");
  int status = own(thread, attributes, body, argument);
  if (status == EAGAIN || status == ENOMEM) end_for_want_of("a thread");
  return status;
}
