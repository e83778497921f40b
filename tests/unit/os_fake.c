/* os_fake.c - see os_fake.h. Fresh in every process; the settings are made before threads start. */
#include "os_fake.h"

#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  atomic_long calls, refused;
  atomic_size_t bytes;
  atomic_long refuse_first, refuse_last; /* absolute numbers; 0 = none */
  atomic_long hook_at;
  void (*hook)(void *);
  void *hook_context;
} call_state;

static call_state kinds[OS_CALLS];
static _Atomic uint32_t clock_ms = 1000;
static unsigned processors = 4;
static size_t address_space = SIZE_MAX;
static bool valgrind;

static struct { const char *name, *value; } environment[16];
static unsigned environment_count;

static char written[8192];
static size_t written_length;

static _Thread_local jmp_buf *panic_target;
static _Thread_local char panic_text[256];

/* ---- the dictation ---------------------------------------------------------------------------------------------------- */

void os_fake_refuse_range(os_call call, long first, long last) {
  long now = atomic_load(&kinds[call].calls);
  atomic_store(&kinds[call].refuse_last, last > 1000000000 ? last : now + last);
  atomic_store(&kinds[call].refuse_first, now + first);
}

void os_fake_refuse(os_call call, long nth, bool all_after) {
  if (nth == 0)
    atomic_store(&kinds[call].refuse_first, 0);
  else
    os_fake_refuse_range(call, nth, all_after ? 0x7fffffffffffffff : nth);
}

long os_fake_calls(os_call call) { return atomic_load(&kinds[call].calls); }
long os_fake_refused(os_call call) { return atomic_load(&kinds[call].refused); }
size_t os_fake_bytes(os_call call) { return atomic_load(&kinds[call].bytes); }
bool os_fake_reached(os_call call) {
  long first = atomic_load(&kinds[call].refuse_first);
  return first != 0 && os_fake_calls(call) >= first;
}

void os_fake_hook(os_call call, long nth, void (*hook)(void *), void *context) {
  kinds[call].hook = hook;
  kinds[call].hook_context = context;
  atomic_store(&kinds[call].hook_at, atomic_load(&kinds[call].calls) + nth);
}

void os_fake_set_clock(uint32_t ms) { atomic_store(&clock_ms, ms); }
void os_fake_advance_clock(uint32_t ms) { atomic_fetch_add(&clock_ms, ms); }
void os_fake_set_processors(unsigned n) { processors = n; }
void os_fake_set_address_space(size_t left) { address_space = left; }
void os_fake_set_valgrind(bool under) { valgrind = under; }

void os_fake_setenv(const char *name, const char *value) {
  environment[environment_count].name = name;
  environment[environment_count++].value = value;
}

const char *os_fake_stderr(void) { return written; }

const char *os_fake_panic_of(void (*act)(void *), void *context) {
  jmp_buf here;
  panic_target = &here;
  if (setjmp(here) != 0) {
    panic_target = NULL;
    return panic_text;
  }
  act(context);
  panic_target = NULL;
  return NULL;
}

/* Counts a call and tells whether it may proceed. */
static bool granted(os_call call, size_t bytes) {
  call_state *kind = &kinds[call];
  long number = atomic_fetch_add(&kind->calls, 1) + 1, first = atomic_load(&kind->refuse_first);
  bool refused = first != 0 && number >= first && number <= atomic_load(&kind->refuse_last);
  if (number == atomic_load(&kind->hook_at)) kind->hook(kind->hook_context);
  if (refused)
    atomic_fetch_add(&kind->refused, 1);
  else
    atomic_fetch_add(&kind->bytes, bytes);
  return !refused;
}

/* ---- os.h ------------------------------------------------------------------------------------------------------------- */

void *os_reserve(void *hint, size_t bytes) {
  if (!granted(OS_RESERVE, bytes)) return NULL;
  void *p = mmap(hint, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

/* Asked by tracked builds alone, which the unit tests are not. */
bool os_close(void *start, size_t bytes) { return mprotect(start, bytes, PROT_NONE) == 0; }

bool os_open(void *start, size_t bytes) {
  return granted(OS_OPEN, bytes) && mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0;
}

bool os_purge(void *start, size_t bytes) { return granted(OS_PURGE, bytes) && madvise(start, bytes, MADV_DONTNEED) == 0; }

bool os_lock(void *start, size_t bytes) { return mlock(start, bytes) == 0; }
void os_unlock(void *start, size_t bytes) { munlock(start, bytes); }

void os_advise_reserved(void *start, size_t bytes) { madvise(start, bytes, MADV_NOHUGEPAGE); }
void os_advise_opened(void *start, size_t bytes) { (void)start, (void)bytes; }
size_t os_address_space_left(void) { return address_space; }

void *os_arena_hint(size_t bytes) {
  (void)bytes;
  return NULL;
}

bool os_under_valgrind(void) { return valgrind; }
unsigned os_processors(void) { return processors; }

uint32_t os_now_ms(void) {
  granted(OS_NOW, 0);
  return atomic_load(&clock_ms);
}

void os_yield(void) { sched_yield(); }
void os_wait(volatile unsigned *word, unsigned value, uint32_t ms) { (void)word, (void)value, (void)ms; }
void os_wake(volatile unsigned *word) { (void)word; }
size_t os_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

const char *os_environment(const char *name) {
  for (unsigned i = 0; i < environment_count; i++)
    if (strcmp(environment[i].name, name) == 0) return environment[i].value;
  return NULL;
}

void os_write_stderr(const char *text, size_t length) {
  if (length > sizeof written - 1 - written_length) length = sizeof written - 1 - written_length;
  memcpy(written + written_length, text, length);
  written_length += length;
}

_Noreturn void os_panic(const char *what, const void *address, const char *why) {
  snprintf(panic_text, sizeof panic_text, "%s %p: %s", what, address, why);
  if (panic_target) longjmp(*panic_target, 1);
  fprintf(stderr, "panic: %s\n", panic_text);
  abort();
}

#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
_Noreturn void os_assertion(const char *text, const char *file, int line) {
  fprintf(stderr, "assertion %s at %s:%d\n", text, file, line);
  abort();
}
#endif
