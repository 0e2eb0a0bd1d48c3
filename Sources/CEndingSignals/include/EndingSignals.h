#pragma once
#include <signal.h>

/* The signals that ask a run to end: the one list of them. May be called before any library has started. */
void ending_signals(sigset_t *set);
