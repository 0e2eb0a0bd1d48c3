/* Swift and most libraries have no way on where memory is refused: they trap, abort with a trace or go on with a null
   pointer. So the allocator's functions are taken over for the whole program; what they do is glibc's. */
#define _GNU_SOURCE
#include "OutOfMemory.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

/* Failures' codes. */
static const int bad_data = 65, unavailable = 69;

/* See the header. */
static size_t own_limit;

void ala_limit_of_own(size_t bytes) { own_limit = bytes; }

/* A control group gives memory that it does not have and kills who touches it. So what is asked for in large pieces is
   held against its limit: together with what this program holds, and with what the whole group has touched. */
static const size_t large = (size_t)1 << 20;

/* Reads a file's beginning without asking for memory; returns how much. */
static size_t read_text(const char *path, char *text, size_t room) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  size_t count = 0;
  ssize_t part;
  while (count + 1 < room && (part = read(file, text + count, room - 1 - count)) > 0) count += (size_t)part;
  close(file);
  text[count] = 0;
  return count;
}

static size_t number_after(const char *text, const char *key) {
  const char *place = strstr(text, key);
  return place ? strtoull(place + strlen(key), NULL, 10) : 0;
}

typedef struct {
  /* 0: there is none below the machine's memory. */
  size_t limit;
  char statistics[320];
  const char *key;
} control_group;

/* Of the groups above and around this process the one with the lowest limit. */
static void look_up_from(const char *root, const char *path, const char *file, const char *key, control_group *found) {
  char folder[256];
  if (snprintf(folder, sizeof folder, "%s%s", root, path) >= (int)sizeof folder) return;
  size_t memory = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
  for (;;) {
    char name[320], text[64];
    snprintf(name, sizeof name, "%s/%s", folder, file);
    if (read_text(name, text, sizeof text) && text[0] >= '0' && text[0] <= '9') {
      size_t limit = strtoull(text, NULL, 10);
      if (limit < memory && (!found->limit || limit < found->limit)) {
        found->limit = limit;
        found->key = key;
        snprintf(found->statistics, sizeof found->statistics, "%s/memory.stat", folder);
      }
    }
    char *last = strrchr(folder, '/');
    if (!last || strlen(folder) <= strlen(root)) return;
    *last = 0;
  }
}

static control_group group;
static pthread_once_t group_once = PTHREAD_ONCE_INIT;

static void find_group(void) {
  char text[2048];
  if (!read_text("/proc/self/cgroup", text, sizeof text)) return;
  char *rest = text, *line;
  while ((line = strsep(&rest, "\n"))) {
    char *kinds = strchr(line, ':'), *path = kinds ? strchr(kinds + 1, ':') : NULL;
    if (!path) continue;
    *path++ = 0;
    if (strstr(kinds, "memory"))
      look_up_from("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "\ntotal_rss ", &group);
    else if (!strcmp(kinds, ":"))
      look_up_from("/sys/fs/cgroup", path, "memory.max", "anon ", &group);
  }
}

/* Large blocks that the program has mapped outside of the allocator, to be told again when they are given back. */
static struct {
  void *base;
  size_t size;
} mapped[4096];
static size_t mapped_bytes;
static pthread_mutex_t mapped_mutex = PTHREAD_MUTEX_INITIALIZER;

static void exchange_mapping(void *from, size_t old_size, void *to, size_t size) {
  pthread_mutex_lock(&mapped_mutex);
  for (size_t i = 0; i < sizeof mapped / sizeof mapped[0]; i++) {
    if (mapped[i].base != from || (from && mapped[i].size != old_size)) continue;
    mapped_bytes += size - mapped[i].size;
    mapped[i].base = to;
    mapped[i].size = size;
    break;
  }
  pthread_mutex_unlock(&mapped_mutex);
}

/* Whether the control group would kill this program for so much more. */
static int is_beyond_group(size_t size) {
  pthread_once(&group_once, find_group);
  if (!group.limit) return 0;
  struct mallinfo2 held = mallinfo2();
  if (held.arena + held.hblkhd + mapped_bytes + size > group.limit) return 1;
  char text[4096];
  return read_text(group.statistics, text, sizeof text) && number_after(text, group.key) + size > group.limit;
}

/* Whether so much more is beyond a limit on the address space; what the allocator takes beside it included. */
static int is_beyond(size_t limit, size_t size) {
  char text[64];
  size_t pages = read_text("/proc/self/statm", text, sizeof text) ? strtoull(text, NULL, 10) : 0;
  return pages * (size_t)sysconf(_SC_PAGESIZE) + size + large > limit;
}

/* Writes the sentence without asking for memory. */
static void end_for_want_of(const char *what, size_t size) {
  if (own_limit && is_beyond(own_limit, size)) _exit(bad_data);
  char reason[160];
  struct rlimit limit;
  if (!(own_limit && group.limit) && getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    snprintf(reason, sizeof reason, "the address space is limited to %llu KiB (ulimit -v)",
             (unsigned long long)limit.rlim_cur >> 10);
  else if (getrlimit(RLIMIT_DATA, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    snprintf(reason, sizeof reason, "data are limited to %llu KiB (ulimit -d)",
             (unsigned long long)limit.rlim_cur >> 10);
  else if (group.limit)
    snprintf(reason, sizeof reason, "the control group is limited to %zu MiB of memory (cgroup)", group.limit >> 20);
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
  end_for_want_of(what, size);
}

/* Before a large piece is asked for. */
static void check_group(size_t size) {
  if (size >= large && is_beyond_group(size)) refuse(size);
}

void *malloc(size_t size) {
  check_group(size);
  void *memory = __libc_malloc(size);
  if (!memory) refuse(size);
  return memory;
}

void *calloc(size_t number, size_t size) {
  size_t whole;
  int overflows = __builtin_mul_overflow(number, size, &whole);
  if (!overflows) check_group(whole);
  void *memory = __libc_calloc(number, size);
  if (!memory && !overflows) refuse(whole);
  return memory;
}

void *realloc(void *old, size_t size) {
  check_group(size);
  void *memory = __libc_realloc(old, size);
  if (!memory && size) refuse(size);
  return memory;
}

void *memalign(size_t alignment, size_t size) {
  check_group(size);
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
  if (status == EAGAIN || status == ENOMEM) end_for_want_of("a thread", (size_t)8 << 20);
  return status;
}

/* Whether code of this program itself is at an address. Libraries reserve more than they use: OpenBLAS 128 MiB a thread. */
static int is_own(void *address) {
  Dl_info of_address, of_program;
  return dladdr(address, &of_address) && dladdr((void *)end_for_want_of, &of_program) &&
         of_address.dli_fbase == of_program.dli_fbase;
}

void *mmap(void *place, size_t size, int protection, int flags, int file, off_t offset) {
  int is_counted = size >= large && (flags & MAP_ANONYMOUS) && (flags & MAP_PRIVATE) && (protection & PROT_WRITE) &&
                   is_own(__builtin_return_address(0));
  if (is_counted) check_group(size);
  void *memory = (void *)syscall(SYS_mmap, place, size, protection, flags, file, offset);
  if (is_counted && memory != MAP_FAILED) exchange_mapping(NULL, 0, memory, size);
  return memory;
}

int munmap(void *memory, size_t size) {
  if (size >= large) exchange_mapping(memory, size, NULL, 0);
  return (int)syscall(SYS_munmap, memory, size);
}
