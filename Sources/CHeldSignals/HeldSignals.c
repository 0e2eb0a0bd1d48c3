/* A signal that comes before the program listens would kill it, though nothing is wrong. So those that ask a run to end
   are held back before the first library starts, and come through where SignalWatch listens to them, or to whom
   they end. They stay held, and what came stays, where the program starts itself again. */
#include "HeldSignals.h"
#include <EndingSignals.h>
#include <stddef.h>

static void hold_signals(int count, char **arguments, char **environment) {
  (void)count;
  (void)arguments;
  (void)environment;
  sigset_t asking;
  ending_signals(&asking);
  sigprocmask(SIG_BLOCK, &asking, NULL);
}

/* Called before every library's own start. */
__attribute__((section(".preinit_array"), used)) static void (*const hold)(int, char **, char **) = hold_signals;
