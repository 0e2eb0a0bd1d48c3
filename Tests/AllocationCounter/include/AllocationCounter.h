#pragma once
#include <stddef.h>

/* Blocks of memory that the program has asked for so far, by any of its threads, and their bytes. */
long ala_allocation_count(void);
long ala_allocated_bytes(void);
