#define _GNU_SOURCE
#include "AllocationCounter.h"
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* glibc's own functions, behind the names that this file takes over for the whole test program. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long count;
static atomic_long bytes;

/* Where the libraries of products lie: OpenBLAS's kernels for AVX-512, for some shapes, and oneDNN's products of matrices as
   they lie take workspaces, through C++'s library and OpenMP's, too; these are none of the program's. */
static const char *const names[] = {"libopenblas", "libdnnl", "libstdc++", "libgomp"};
enum { library_count = sizeof names / sizeof *names };
static struct {
  uintptr_t first, last;
} libraries[library_count];

static int find_library(struct dl_phdr_info *library, size_t size, void *unused) {
  (void)size, (void)unused;
  for (int n = 0; n < library_count; n++) {
    if (!strstr(library->dlpi_name, names[n])) continue;
    libraries[n].first = library->dlpi_addr;
    for (int i = 0; i < library->dlpi_phnum; i++) {
      uintptr_t end = library->dlpi_addr + library->dlpi_phdr[i].p_vaddr + library->dlpi_phdr[i].p_memsz;
      if (library->dlpi_phdr[i].p_type == PT_LOAD && end > libraries[n].last) libraries[n].last = end;
    }
  }
  return 0;
}

__attribute__((constructor)) static void find_libraries(void) { dl_iterate_phdr(find_library, 0); }

static void note(size_t size, const void *caller) {
  for (int n = 0; n < library_count; n++)
    if ((uintptr_t)caller >= libraries[n].first && (uintptr_t)caller < libraries[n].last) return;
  atomic_fetch_add(&count, 1);
  atomic_fetch_add(&bytes, (long)size);
}

long ala_allocation_count(void) { return atomic_load(&count); }

long ala_allocated_bytes(void) { return atomic_load(&bytes); }

void *malloc(size_t size) {
  note(size, __builtin_return_address(0));
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  note(number * size, __builtin_return_address(0));
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  note(size, __builtin_return_address(0));
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  note(size, __builtin_return_address(0));
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  note(size, __builtin_return_address(0));
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  note(size, __builtin_return_address(0));
  void *memory = __libc_memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}
