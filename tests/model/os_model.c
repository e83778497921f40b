/* os_model.c - the OS seam of the model: one mapping, no clock, no refusals; and what the explorer knows of the allocator. */
#include "os.h"

#include <stdio.h>
#include <sys/mman.h>

#include "explore_private.h"
#include "heap.h"

enum { RESERVATIONS = 4 };
static struct {
  char *start;
  size_t bytes;
} reservations[RESERVATIONS];

bool (*model_other_lock)(const volatile void *address);
void (*model_on_purge)(char *start, size_t bytes);

void *os_reserve(void *hint, size_t bytes) {
  void *p = mmap(hint, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return NULL;
  for (unsigned i = 0; i < RESERVATIONS; i++)
    if (reservations[i].start == NULL) {
      reservations[i].start = p;
      reservations[i].bytes = bytes;
      return p;
    }
  return NULL;
}

bool os_open(void *start, size_t bytes) { return (void)start, (void)bytes, true; }

bool os_purge(void *start, size_t bytes) {
  if (model_on_purge) model_on_purge(start, bytes);
  return true;
}

void os_advise_reserved(void *start, size_t bytes) { (void)start, (void)bytes; }
void os_advise_opened(void *start, size_t bytes) { (void)start, (void)bytes; }
size_t os_address_space_left(void) { return SIZE_MAX; }
void *os_arena_hint(size_t bytes) { return (void)bytes, (void *)((uintptr_t)1 << 45); } /* the same hashes in every run */
bool os_under_valgrind(void) { return false; }
unsigned os_processors(void) { return 2; }
uint32_t os_now_ms(void) { return 1000; }
void os_yield(void) { model_yield(); }
void os_wait(volatile unsigned *word, unsigned value, uint32_t ms) { (void)word, (void)value, (void)ms; }
void os_wake(volatile unsigned *word) { (void)word; }
size_t os_page_size(void) { return 4096; }
const char *os_environment(const char *name) { return (void)name, NULL; }
void os_write_stderr(const char *text, size_t length) { fwrite(text, 1, length, stderr); }

_Noreturn void os_panic(const char *what, const void *address, const char *why) {
  model_fail("%s %s: %s", what, model_describe(address), why);
}

_Noreturn void os_assertion(const char *text, const char *file, int line) {
  model_fail("assertion %s at %s:%d", text, file, line);
}

/* ---- addresses -------------------------------------------------------------------------------------------------------- */

extern char __data_start[], _end[];

bool model_tracks(const volatile void *address) {
  uintptr_t a = (uintptr_t)address;
  for (unsigned i = 0; i < RESERVATIONS; i++)
    if (a - (uintptr_t)reservations[i].start < reservations[i].bytes) return true;
  return a - (uintptr_t)__data_start < (uintptr_t)_end - (uintptr_t)__data_start;
}

bool model_is_lock(const volatile void *address) {
  uintptr_t at = (uintptr_t)address - (uintptr_t)arena.heaps;
  if (model_other_lock && model_other_lock(address)) return true;
  return address == &heap_orphans()->lock || (at < heap_count() * sizeof(heap) && at % sizeof(heap) == offsetof(heap, lock));
}

#define FIELD(type, name)                                                                                                      \
  { offsetof(type, name), #name }
static const struct {
  size_t at;
  const char *name;
} slot_fields[] = {FIELD(span, free),    FIELD(span, used),   FIELD(span, notify),    FIELD(span, spare),
                   FIELD(span, bump),    FIELD(span, limit),  FIELD(span, block),     FIELD(span, first),
                   FIELD(span, dirty),   FIELD(span, word),   FIELD(span, owner),     FIELD(span, reusable_below),
                   FIELD(span, in_list), FIELD(span, link),   FIELD(span, pool_next), FIELD(span, stamp),
                   FIELD(span, run),     FIELD(span, charged)},
  heap_fields[] = {FIELD(heap, hot),  FIELD(heap, remote_frees), FIELD(heap, adoptions), FIELD(heap, kind),
                   FIELD(heap, lock), FIELD(heap, status),       FIELD(heap, mailed),    FIELD(heap, all),
                   FIELD(heap, mail), FIELD(heap, sets),         FIELD(heap, next)};

const char *model_describe(const volatile void *address) {
  static char text[96];
  uintptr_t a = (uintptr_t)address, slot = a - (uintptr_t)arena.table, at;
  const char *name = "?";
  if (a - arena.base < (uintptr_t)arena.spans << SPAN_SHIFT) {
    at = a - arena.base;
    snprintf(text, sizeof text, "block in %zu at %#zx", (size_t)(at >> SPAN_SHIFT), (size_t)(at & (SPAN_BYTES - 1)));
  } else if (slot < (uintptr_t)arena.spans << SLOT_SHIFT) {
    at = slot % SLOT_BYTES;
    for (size_t i = 0; i < sizeof slot_fields / sizeof *slot_fields; i++)
      if (slot_fields[i].at <= at) name = slot_fields[i].name;
    snprintf(text, sizeof text, "span %zu %s", (size_t)(slot >> SLOT_SHIFT), name);
  } else if (arena.heaps && a - (uintptr_t)arena.heaps < heap_count() * sizeof(heap)) {
    at = (a - (uintptr_t)arena.heaps) % sizeof(heap);
    for (size_t i = 0; i < sizeof heap_fields / sizeof *heap_fields; i++)
      if (heap_fields[i].at <= at) name = heap_fields[i].name;
    snprintf(text, sizeof text, "heap %zu %s", (size_t)((a - (uintptr_t)arena.heaps) / sizeof(heap)) + 1, name);
  } else {
    snprintf(text, sizeof text, "static %#zx", (size_t)(a - (uintptr_t)__data_start));
  }
  return text;
}
