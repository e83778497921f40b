/*
 * explore_memory.c - see explore_memory.h. Going back restores memory from an undo log. Which cells of memory are shared is found
 * out: the exploration starts with none, and begins anew with one more whenever a second thread touches a cell that is written.
 * Accesses to all other cells commute with everything others do.
 */
#include "explore_memory.h"

#include <stdlib.h>

enum { CELLS = 1 << 16 };

typedef struct {
  char *address;
  unsigned size;
  uint64_t value;
} saved_bytes;

typedef struct {
  uintptr_t address; /* of 8 bytes, divided by 8 */
  /* Sets of bytes, a bit each, that spare an access the look at them one by one (known_access). */
  uint8_t shared;
  struct {
    const volatile void *lock; /* held, */
    uint8_t touched, written;  /* these can be touched and written once more, and nothing below would change */
  } known[MODEL_THREADS];
  struct {
    /* Of all schedules so far; these only ever grow. */
    uint8_t threads; /* that touch it, a bit each */
    bool written;    /* by any of them */
    bool many_locks; /* it is not always the same lock, or none, that is held */
    bool loose;      /* passes from thread to thread otherwise than under one lock */
    bool shared;     /* loose and written: a step at every access */
    const volatile void *usual_lock;
    /* In this schedule, of bytes touched by several threads under several locks: the last access. Part of the state. */
    uint8_t last; /* thread + 1 */
    const volatile void *lock;
  } byte[8];
} cell;

typedef struct {
  cell *cell;
  unsigned byte;
  uint8_t last;
  const volatile void *lock;
} saved_access;

explorer_state explorer;

static cell cells[CELLS];

static saved_bytes *undo_log;
static size_t undo_count, undo_room;

static saved_access *accesses;
static size_t access_count, access_room;

/* ---- there and back --------------------------------------------------------------------------------------------------- */

void memory_remember(void *address, unsigned size) {
  if (undo_count == undo_room) {
    undo_room = undo_room ? 2 * undo_room : 4096;
    undo_log = realloc(undo_log, undo_room * sizeof *undo_log);
    if (!undo_log) abort();
  }
  undo_log[undo_count++] = (saved_bytes){address, size, memory_read(address, size)};
}

static void undo_to(size_t mark) {
  while (undo_count > mark) {
    saved_bytes *old = &undo_log[--undo_count];
    memory_set(old->address, old->size, old->value);
  }
}

void memory_rehash(const char *base, uint64_t before) {
  explorer.hash ^= model_mix((uintptr_t)base, before) ^ model_mix((uintptr_t)base, memory_read(base, 8));
}

void memory_write(void *address, unsigned size, uint64_t value) {
  char *base = memory_base(address);
  uint64_t before = memory_read(base, 8);
  memory_remember(address, size);
  memory_set(address, size, value);
  memory_rehash(base, before);
  for (unsigned i = 0; i < explorer.thread_count; i++)
    if (&explorer.threads[i] != explorer.moving) explorer.threads[i].woken = true;
}

void model_ghost(uint32_t *word, uint32_t value) {
  if (explorer.mode != OFF) memory_remember(word, sizeof *word);
  *word = value;
}

/* ---- which memory is shared ------------------------------------------------------------------------------------------- */

static cell *cell_of(const volatile void *address) {
  uintptr_t a = (uintptr_t)address >> 3;
  for (size_t at = model_mix(a, 0) & (CELLS - 1);; at = (at + 1) & (CELLS - 1)) {
    if (cells[at].address == a) return &cells[at];
    if (cells[at].address == 0) {
      cells[at].address = a;
      return &cells[at];
    }
  }
}

static uint64_t access_hash(const cell *c, unsigned byte) {
  return model_mix(c->address, ((uint64_t)c->byte[byte].last << 56 | (uint64_t)byte << 48) ^ (uintptr_t)c->byte[byte].lock);
}

/* Keeps the last access. */
static void accessed(cell *c, unsigned byte) {
  uint8_t me = (uint8_t)(model_thread() + 1);
  if (c->byte[byte].last == me && c->byte[byte].lock == explorer.running->lock) return;
  if (access_count == access_room) {
    access_room = access_room ? 2 * access_room : 4096;
    accesses = realloc(accesses, access_room * sizeof *accesses);
    if (!accesses) abort();
  }
  accesses[access_count++] = (saved_access){c, byte, c->byte[byte].last, c->byte[byte].lock};
  if (c->byte[byte].last != 0) explorer.hash ^= access_hash(c, byte);
  c->byte[byte].last = me;
  c->byte[byte].lock = explorer.running->lock;
  explorer.hash ^= access_hash(c, byte);
}

static void undo_accesses_to(size_t mark) {
  while (access_count > mark) {
    const saved_access *old = &accesses[--access_count];
    old->cell->byte[old->byte].last = old->last;
    old->cell->byte[old->byte].lock = old->lock;
  }
}

static bool touched_by_several(const cell *c, unsigned i) { return (c->byte[i].threads & (c->byte[i].threads - 1)) != 0; }

static void share(cell *c, unsigned i) {
  c->byte[i].shared = true;
  c->shared |= (uint8_t)(1u << i);
  memset(c->known, 0, sizeof c->known);
}

/*
 * Notes an access to a byte. It is no step if one thread alone touches the byte, if all who do hold the same lock, or if it
 * passes from thread to thread only under a lock that both hold: then it commutes with what others do meanwhile.
 */
static bool touches_byte(cell *c, unsigned i, bool writes) {
  if (c->byte[i].shared) return true;
  uint8_t me = (uint8_t)(1u << model_thread()), last = c->byte[i].last;
  bool several = touched_by_several(c, i), followed = several && c->byte[i].many_locks;
  bool news = !(c->byte[i].threads & me) || (writes && !c->byte[i].written);
  if (c->byte[i].threads == 0) c->byte[i].usual_lock = explorer.running->lock;
  if (c->byte[i].usual_lock != explorer.running->lock && !c->byte[i].many_locks) c->byte[i].many_locks = news = true;
  if (news) memset(c->known, 0, sizeof c->known);
  c->byte[i].threads |= me;
  c->byte[i].written |= writes;
  several = touched_by_several(c, i);
  if (several && !c->byte[i].many_locks && c->byte[i].usual_lock == NULL) c->byte[i].loose = true;
  if (last != 0 && last != model_thread() + 1 && (explorer.running->lock == NULL || c->byte[i].lock != explorer.running->lock))
    c->byte[i].loose = true;
  if (c->byte[i].loose && c->byte[i].written) {
    share(c, i);
    explorer.restart = !explorer.full;
    return true;
  }
  if (several && c->byte[i].many_locks) {
    if (!followed) explorer.restart = !explorer.full; /* from here on its accesses are followed */
    accessed(c, i);
  }
  return false;
}

/* A store of which a part is shared is buffered whole: so must be every other access to any part of it. */
static void share_whole(cell *c, unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++) {
    if (c->byte[i].shared) continue;
    share(c, i);
    explorer.restart = true;
  }
}

/* Most accesses: all bytes are shared, or the same access was made before and nothing has changed since. */
static bool known_access(const cell *c, uint8_t bytes, bool writes) {
  unsigned me = model_thread();
  if ((bytes & ~c->shared) == 0) return true;
  return c->known[me].lock == explorer.running->lock && (bytes & ~(writes ? c->known[me].written : c->known[me].touched)) == 0;
}

/* After a look at these bytes. Accesses that are followed are never known. */
static void remember_access(cell *c, unsigned from, unsigned to, bool writes) {
  unsigned me = model_thread();
  if (c->known[me].lock != explorer.running->lock) {
    c->known[me].lock = explorer.running->lock;
    c->known[me].touched = c->known[me].written = 0;
  }
  for (unsigned i = from; i < to; i++) {
    if (c->byte[i].shared || (touched_by_several(c, i) && c->byte[i].many_locks)) continue;
    c->known[me].touched |= (uint8_t)(1u << i);
    if (writes) c->known[me].written |= (uint8_t)(1u << i);
  }
}

bool memory_touch(const volatile void *address, unsigned size, bool writes) {
  cell *c = cell_of(address);
  unsigned from = (uintptr_t)address & 7, to = from + size < 8 ? from + size : 8;
  uint8_t bytes = (uint8_t)((1u << to) - (1u << from));
  bool shared = explorer.full;
  if (known_access(c, bytes, writes)) return shared || (bytes & c->shared) != 0;
  for (unsigned i = from; i < to; i++) shared |= touches_byte(c, i, writes);
  if (shared && writes && !explorer.full) share_whole(c, from, to);
  remember_access(c, from, to, writes);
  return shared;
}

memory_moment memory_now(void) { return (memory_moment){undo_count, access_count, explorer.hash}; }

void memory_back(const memory_moment *m) {
  undo_to(m->undo);
  undo_accesses_to(m->accesses);
  explorer.hash = m->hash;
}
