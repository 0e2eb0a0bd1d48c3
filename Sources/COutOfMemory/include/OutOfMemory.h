#pragma once
#include <stddef.h>
/* A program that is linked with this target ends with a sentence and code 69 where it is refused memory or a thread,
   whichever of its libraries has asked. */

/* Of a limit on the address space that the program has set itself, in bytes, below any that it was given: what asks for more
   than that ends the program without a word and with code 65. */
void ala_limit_of_own(size_t bytes);
