#pragma once
#include <stddef.h>

/* Blocks of memory that the program has asked for so far, by any of its threads, and their bytes; OpenBLAS's own are
   left out. */
long ala_allocation_count(void);
long ala_allocated_bytes(void);
