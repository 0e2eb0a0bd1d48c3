#pragma once
/* Nothing to call: a program that is linked with this target ends with a sentence and code 69 where it is refused
   memory or a thread, whichever of its libraries has asked. */
