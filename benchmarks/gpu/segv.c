/* Preloaded: where in which library a target died, on standard error. */
#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

static void died(int number) {
  void *frames[64];
  backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
  signal(number, SIG_DFL);
  raise(number);
}

__attribute__((constructor)) static void watch(void) {
  void *frames[1];
  backtrace(frames, 1); /* loads what it needs now, not in the handler */
  struct sigaction action = {.sa_handler = died, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &action, NULL);
  sigaction(SIGABRT, &action, NULL);
}
