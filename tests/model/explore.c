/*
 * explore.c - see explore.h.
 *
 * A state is: memory, and per thread the values it has read so far (of which everything it did and will do is a function) and
 * how much of its stores has reached memory. The hash of a state is kept up with every step. Going back restores memory from an
 * undo log and the stack of the one thread that moved.
 *
 * While a thread runs, memory shows what it would see: its buffered stores are laid over it, and taken off when it stops.
 * Which cells of memory are shared is found out: the exploration starts with none, and begins anew with one more whenever
 * a second thread touches a cell that is written. Accesses to all other cells commute with everything others do.
 */
#include "explore.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "explore_private.h"
#include "model_ops.h"

enum {
  STACK_BYTES = 1 << 15,
  BUFFER = 64,
  FLAGS = 8,
  CELLS = 1 << 16,
  LOCAL_STEPS_MAX = 1 << 20,
  PLAIN = 64,
  SAVED_BYTES = 1 << 26
};

typedef enum { NEXT_LOAD, NEXT_STORE, NEXT_LOCKED, NEXT_RELAX, NEXT_YIELD, NEXT_AWAIT, NEXT_DONE } next_step;
static const char *const step_names[] = {"load", "store", "locked", "spin", "yield", "await", "done"};

typedef struct {
  char *address;
  uint64_t value;
  unsigned size;
} store;

typedef struct {
  void *stack_pointer;
  uint64_t history, before_read; /* of the values read; as it was before the last one */
  uint64_t history_at_forget;
  next_step next;
  char *address; /* of the next step */
  unsigned size;
  uint64_t waits_while; /* RELAX: the value that has to change */
  bool woken;           /* YIELD: another thread has changed memory since */
  char *read_address;   /* last read */
  unsigned read_size;
  uint64_t read_value;
  const volatile void *lock; /* held; one at most */
  unsigned stores;
  store buffer[BUFFER];
} thread;

typedef struct {
  char *address;
  unsigned size;
  uint64_t value;
} saved_bytes;

typedef struct {
  uintptr_t address; /* of 8 bytes, divided by 8 */
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

static char stacks[MODEL_THREADS][STACK_BYTES] __attribute__((aligned(64)));
static thread threads[MODEL_THREADS];
static unsigned thread_count;
static thread *running;      /* NULL: the explorer itself */
static const thread *moving; /* whose step this is, or whose store drains */
static void *explorer_stack_pointer;
static enum { OFF, EXPLORING, FINISHING } mode;

static const scenario *current;
static bool sequential, full, want_trace; /* options */
static uint64_t memory_hash;
static uint64_t flags[FLAGS];

static cell cells[CELLS];
static bool restart; /* a cell turned out to be shared */

/* Plain stores that were announced: their values are in memory at the next opportunity. */
static struct {
  store store; /* not shared: with the value before, of all 8 bytes */
  bool shared;
} plain[PLAIN];
static unsigned plains;
static saved_bytes overlay[2 * BUFFER];
static unsigned overlays;

static saved_bytes *undo_log;
static size_t undo_count, undo_room;

static saved_access *accesses;
static size_t access_count, access_room;

static struct { size_t states, steps, ends; } counts;

/* ---- hashing ---------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t a, uint64_t b) {
  uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x7f4a7c159e3779b9));
  x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
  x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
  return x ^ (x >> 32);
}

static uint64_t *visited;
static size_t visited_room, visited_count;

static void visited_insert(uint64_t *table, size_t room, uint64_t h) {
  size_t at = h & (room - 1);
  while (table[at] != 0) at = (at + 1) & (room - 1);
  table[at] = h;
}

/* Remembers a state; false if it was known. */
static bool is_new(uint64_t h) {
  if (h == 0) h = 1;
  for (size_t at = h & (visited_room - 1); visited[at] != 0; at = (at + 1) & (visited_room - 1))
    if (visited[at] == h) return false;
  if (2 * ++visited_count > visited_room) {
    uint64_t *bigger = calloc(2 * visited_room, sizeof *bigger);
    if (!bigger) model_fail("no memory for %zu states", visited_count);
    for (size_t i = 0; i < visited_room; i++)
      if (visited[i] != 0) visited_insert(bigger, 2 * visited_room, visited[i]);
    free(visited);
    visited = bigger;
    visited_room *= 2;
  }
  visited_insert(visited, visited_room, h);
  return true;
}

static uint64_t state_hash(void) {
  uint64_t h = memory_hash;
  for (unsigned i = 0; i < thread_count; i++) {
    const thread *t = &threads[i];
    h = mix(h, t->history);
    h = mix(h, (uint64_t)t->stores << 8 | t->next);
    for (unsigned n = 0; n < t->stores; n++) h = mix(h, mix((uintptr_t)t->buffer[n].address, t->buffer[n].value));
    if (t->next == NEXT_RELAX) h = mix(h, t->waits_while);
    if (t->next == NEXT_YIELD) h = mix(h, t->woken);
  }
  return h;
}

/* ---- memory ----------------------------------------------------------------------------------------------------------- */

static uint64_t read_raw(const volatile void *address, unsigned size) {
  uint64_t value = 0;
  memcpy(&value, (const void *)address, size);
  return value;
}

static void write_raw(volatile void *address, unsigned size, uint64_t value) { memcpy((void *)address, &value, size); }

static void remember(void *address, unsigned size) {
  if (undo_count == undo_room) {
    undo_room = undo_room ? 2 * undo_room : 4096;
    undo_log = realloc(undo_log, undo_room * sizeof *undo_log);
    if (!undo_log) abort();
  }
  undo_log[undo_count++] = (saved_bytes){address, size, read_raw(address, size)};
}

static void undo_to(size_t mark) {
  while (undo_count > mark) {
    saved_bytes *old = &undo_log[--undo_count];
    write_raw(old->address, old->size, old->value);
  }
}

static char *base_of(const volatile void *address) { return (char *)((uintptr_t)address & ~(uintptr_t)7); }

static void rehash(const char *base, uint64_t before) {
  memory_hash ^= mix((uintptr_t)base, before) ^ mix((uintptr_t)base, read_raw(base, 8));
}

/* A write to memory itself. */
static void write_now(void *address, unsigned size, uint64_t value) {
  char *base = base_of(address);
  uint64_t before = read_raw(base, 8);
  remember(address, size);
  write_raw(address, size, value);
  rehash(base, before);
  for (unsigned i = 0; i < thread_count; i++)
    if (&threads[i] != moving) threads[i].woken = true;
}

void model_ghost(uint32_t *word, uint32_t value) {
  if (mode != OFF) remember(word, sizeof *word);
  *word = value;
}

static void lay_over(char *address, unsigned size, uint64_t value) {
  if (overlays == 2 * BUFFER) model_fail("more than %d stores in a buffer", BUFFER);
  overlay[overlays++] = (saved_bytes){address, size, read_raw(address, size)};
  write_raw(address, size, value);
}

static void buffer_append(thread *t, store s) {
  if (t->stores == BUFFER) model_fail("more than %d stores in a buffer", BUFFER);
  t->buffer[t->stores++] = s;
}

/* What the running thread's announced plain stores have written in the meantime. */
static void catch_plain(void) {
  for (unsigned i = 0; i < plains; i++) {
    store *s = &plain[i].store;
    if (plain[i].shared) {
      s->value = read_raw(s->address, s->size);
      buffer_append(running, *s);
    } else {
      rehash(base_of(s->address), s->value);
    }
  }
  plains = 0;
}

/* ---- which memory is shared ------------------------------------------------------------------------------------------- */

static cell *cell_of(const volatile void *address) {
  uintptr_t a = (uintptr_t)address >> 3;
  for (size_t at = mix(a, 0) & (CELLS - 1);; at = (at + 1) & (CELLS - 1)) {
    if (cells[at].address == a) return &cells[at];
    if (cells[at].address == 0) {
      cells[at].address = a;
      return &cells[at];
    }
  }
}

/* ---- switching -------------------------------------------------------------------------------------------------------- */

void model_switch(void **save, void *load);
__asm__(".text\n"
        ".type model_switch, @function\n"
        "model_switch:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp, (%rdi)\n"
        "  mov %rsi, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
        "  ret\n"
        ".size model_switch, . - model_switch\n");

static unsigned local_steps;

/* The running thread stops before a step; it comes back when the explorer has chosen it. */
static void stop_before(next_step next, const volatile void *address, unsigned size) {
  running->next = next;
  running->address = (char *)(uintptr_t)address;
  running->size = size;
  model_switch(&running->stack_pointer, explorer_stack_pointer);
}

static uint64_t access_hash(const cell *c, unsigned byte) {
  return mix(c->address, ((uint64_t)c->byte[byte].last << 56 | (uint64_t)byte << 48) ^ (uintptr_t)c->byte[byte].lock);
}

/* Keeps the last access. */
static void accessed(cell *c, unsigned byte) {
  uint8_t me = (uint8_t)(model_thread() + 1);
  if (c->byte[byte].last == me && c->byte[byte].lock == running->lock) return;
  if (access_count == access_room) {
    access_room = access_room ? 2 * access_room : 4096;
    accesses = realloc(accesses, access_room * sizeof *accesses);
    if (!accesses) abort();
  }
  accesses[access_count++] = (saved_access){c, byte, c->byte[byte].last, c->byte[byte].lock};
  if (c->byte[byte].last != 0) memory_hash ^= access_hash(c, byte);
  c->byte[byte].last = me;
  c->byte[byte].lock = running->lock;
  memory_hash ^= access_hash(c, byte);
}

static void undo_accesses_to(size_t mark) {
  while (access_count > mark) {
    const saved_access *old = &accesses[--access_count];
    old->cell->byte[old->byte].last = old->last;
    old->cell->byte[old->byte].lock = old->lock;
  }
}

/*
 * Notes an access to a byte. It is no step if one thread alone touches the byte, if all who do hold the same lock, or if it
 * passes from thread to thread only under a lock that both hold: then it commutes with what others do meanwhile.
 */
static bool touches_byte(cell *c, unsigned i, bool writes) {
  uint8_t me = (uint8_t)(1u << model_thread()), last = c->byte[i].last;
  bool several = (c->byte[i].threads & (c->byte[i].threads - 1)) != 0, followed = several && c->byte[i].many_locks;
  if (c->byte[i].threads == 0) c->byte[i].usual_lock = running->lock;
  if (c->byte[i].usual_lock != running->lock) c->byte[i].many_locks = true;
  c->byte[i].threads |= me;
  c->byte[i].written |= writes;
  several = (c->byte[i].threads & (c->byte[i].threads - 1)) != 0;
  if (several && !c->byte[i].many_locks && c->byte[i].usual_lock == NULL) c->byte[i].loose = true;
  if (last != 0 && last != model_thread() + 1 && (running->lock == NULL || c->byte[i].lock != running->lock))
    c->byte[i].loose = true;
  if (c->byte[i].loose && c->byte[i].written && !c->byte[i].shared) {
    c->byte[i].shared = true;
    restart = !full;
  }
  if (c->byte[i].shared) return true;
  if (several && c->byte[i].many_locks) {
    if (!followed) restart = !full; /* from here on its accesses are followed */
    accessed(c, i);
  }
  return false;
}

/* A store of which a part is shared is buffered whole: so must be every other access to any part of it. */
static void share_whole(cell *c, unsigned from, unsigned size) {
  for (unsigned i = from; i < from + size && i < 8; i++)
    if (!c->byte[i].shared) c->byte[i].shared = restart = true;
}

/* Notes who touches what. True: this is a step that others may see or influence. */
static bool touches(const volatile void *address, unsigned size, bool writes) {
  cell *c = cell_of(address);
  bool shared = full;
  if (++local_steps > LOCAL_STEPS_MAX) model_fail("thread %u loops", model_thread());
  for (unsigned i = (uintptr_t)address & 7, n = 0; n < size && i < 8; i++, n++) shared |= touches_byte(c, i, writes);
  if (shared && writes && !full) share_whole(c, (uintptr_t)address & 7, size);
  if (restart) stop_before(NEXT_DONE, NULL, 0); /* for good */
  return shared;
}

static void note_read(uint64_t value) {
  running->before_read = running->history;
  running->history = mix(running->history, value);
  running->read_value = value;
}

/* ---- the operations of atomics_model.h -------------------------------------------------------------------------------- */

static bool invisible(const volatile void *address) { return mode != EXPLORING || running == NULL || !model_tracks(address); }

uint64_t model_load(const volatile void *address, unsigned size) {
  if (!invisible(address)) {
    catch_plain();
    if (touches(address, size, false)) {
      stop_before(NEXT_LOAD, address, size);
      note_read(read_raw(address, size));
    }
    running->read_address = (char *)(uintptr_t)address;
    running->read_size = size;
    running->read_value = read_raw(address, size);
  }
  return read_raw(address, size);
}

/* A store goes into the buffer, which nobody else sees: the step that others see is its draining. */
static void store_begins(const volatile void *address, unsigned size) {
  if (sequential) stop_before(NEXT_STORE, address, size);
  running->history = mix(running->history, 1);
}

void model_store(volatile void *address, unsigned size, uint64_t value) {
  bool seen = false;
  if (!invisible(address)) {
    catch_plain();
    if (address == running->lock) running->lock = NULL;
    seen = touches(address, size, true);
  }
  if (!seen) {
    if (mode == OFF)
      write_raw(address, size, value);
    else
      write_now((void *)(uintptr_t)address, size, value);
    return;
  }
  store_begins(address, size);
  buffer_append(running, (store){(char *)(uintptr_t)address, value, size});
  lay_over((char *)(uintptr_t)address, size, value);
}

/* A locked instruction: alone with memory, its thread's buffer empty. */
static uint64_t locked(char *address, bool (*decide)(uint64_t now, const uint64_t *operands, uint64_t *next),
                       const uint64_t *operands) {
  uint64_t next, now;
  bool seen = false;
  if (!invisible(address)) {
    catch_plain();
    seen = touches(address, 8, true);
    if (seen || running->stores > 0) stop_before(NEXT_LOCKED, address, 8);
  }
  now = read_raw(address, 8);
  if (seen) note_read(now);
  if (running) {
    running->read_address = address;
    running->read_size = 8;
    running->read_value = now;
  }
  if (decide(now, operands, &next)) {
    if (mode == OFF)
      write_raw(address, 8, next);
    else
      write_now(address, 8, next);
    if (running && now == 0 && model_is_lock(address)) running->lock = address;
  }
  return now;
}

static bool decide_cas(uint64_t now, const uint64_t *operands, uint64_t *next) {
  *next = operands[1];
  return now == operands[0];
}

static bool decide_update(uint64_t now, const uint64_t *operands, uint64_t *next) {
  *next = operands[0] == MODEL_ADD ? now + operands[1] : operands[0] == MODEL_OR ? (now | operands[1]) : (now & operands[1]);
  return true;
}

bool model_compare_and_swap(volatile void *address, uint64_t old, uint64_t new) {
  return locked((char *)(uintptr_t)address, decide_cas, (uint64_t[]){old, new}) == old;
}

uint64_t model_fetch(volatile void *address, enum model_update update, uint64_t operand) {
  return locked((char *)(uintptr_t)address, decide_update, (uint64_t[]){(uint64_t)update, operand});
}

void model_relax(void) {
  if (mode != EXPLORING || !running) model_fail("spins alone");
  catch_plain();
  running->history = running->before_read; /* what it read in vain it forgets */
  running->waits_while = running->read_value;
  stop_before(NEXT_RELAX, running->read_address, running->read_size);
}

void model_yield(void) {
  if (mode != EXPLORING || !running) model_fail("waits alone");
  catch_plain();
  running->woken = false;
  stop_before(NEXT_YIELD, NULL, 0);
}

/* Part of a plain store that comes next. */
static void announce_plain(char *address, unsigned size, bool shared) {
  if (plains == PLAIN) model_fail("a plain store of more than %d words", PLAIN);
  plain[plains].shared = shared;
  if (shared) {
    plain[plains++].store = (store){address, 0, size};
    lay_over(address, size, read_raw(address, size));
  } else {
    remember(address, size);
    plain[plains++].store = (store){address, read_raw(base_of(address), 8), size};
  }
}

/* Long stores are one step, whose words drain one by one; long loads are one step. */
static void plain_access(char *address, size_t bytes, bool writes) {
  bool shared = false;
  if (mode == OFF || !model_tracks(address)) return;
  if (mode == FINISHING || !running) {
    for (size_t at = 0; writes && at < bytes; at += 8) remember(address + at, bytes - at < 8 ? (unsigned)(bytes - at) : 8);
    return;
  }
  catch_plain();
  for (size_t at = 0; at < bytes; at += 8) shared |= touches(address + at, bytes - at < 8 ? (unsigned)(bytes - at) : 8, writes);
  if (shared && writes) store_begins(address, 8);
  if (shared && !writes) stop_before(NEXT_LOAD, address, 8);
  for (size_t at = 0; at < bytes; at += 8) {
    unsigned size = bytes - at < 8 ? (unsigned)(bytes - at) : 8;
    if (writes)
      announce_plain(address + at, size, shared);
    else if (shared)
      note_read(read_raw(address + at, size));
  }
}

void model_plain_read(const void *address, size_t bytes) { plain_access((char *)(uintptr_t)address, bytes, false); }
void model_plain_write(void *address, size_t bytes) { plain_access(address, bytes, true); }

void model_signal(unsigned flag) { model_store(&flags[flag], 8, 1); }

void model_await(unsigned flag) {
  catch_plain();
  touches(&flags[flag], 8, false);
  stop_before(NEXT_AWAIT, &flags[flag], 8);
  note_read(1);
}

void model_forget(uint64_t what_remains) {
  if (mode != EXPLORING || !running) return;
  catch_plain();
  running->history = mix(running->history_at_forget, what_remains);
  running->history_at_forget = running->history;
  running->before_read = running->history;
}

unsigned model_thread(void) { return (unsigned)(running - threads); }

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  unsigned thread;
  bool flush;
  next_step step;
  const char *address;
  uint64_t value;
} trail_entry;

static trail_entry *trail;
static size_t trail_length, trail_room;

static void trail_append(trail_entry e) {
  if (trail_length == trail_room) {
    trail_room = trail_room ? 2 * trail_room : 1024;
    trail = realloc(trail, trail_room * sizeof *trail);
    if (!trail) abort();
  }
  trail[trail_length++] = e;
}

static void print_trail(void) {
  for (size_t i = 0; i < trail_length; i++) {
    const trail_entry *e = &trail[i];
    fprintf(stderr, "  %4zu  thread %u  %-7s %-28s %#llx\n", i, e->thread, e->flush ? "  drain" : step_names[e->step],
            e->address ? model_describe(e->address) : "", (unsigned long long)e->value);
  }
}

static bool can_go_on(const thread *t) {
  switch (t->next) {
  case NEXT_DONE:
    return false;
  case NEXT_LOCKED:
    return t->stores == 0;
  case NEXT_RELAX:
    return read_raw(t->address, t->size) != t->waits_while;
  case NEXT_YIELD:
    return t->woken;
  case NEXT_AWAIT:
    return read_raw(t->address, t->size) != 0;
  default:
    return true;
  }
}

/* The oldest buffered store of a thread reaches memory. */
static void drain_one(thread *t) {
  store s = t->buffer[0];
  memmove(t->buffer, t->buffer + 1, --t->stores * sizeof s);
  write_now(s.address, s.size, s.value);
}

/* A thread takes the step it stopped before, and goes on to the next. */
static void go_on(thread *t) {
  running = t;
  local_steps = 0;
  for (unsigned i = 0; i < t->stores; i++) lay_over(t->buffer[i].address, t->buffer[i].size, t->buffer[i].value);
  model_switch(&explorer_stack_pointer, t->stack_pointer);
  catch_plain();
  while (overlays > 0) {
    saved_bytes *old = &overlay[--overlays];
    write_raw(old->address, old->size, old->value);
  }
  running = NULL;
  while (sequential && t->stores > 0) drain_one(t);
}

/* ---- the search ------------------------------------------------------------------------------------------------------- */

static void explore(void);

static char saved_stacks[SAVED_BYTES]; /* of threads as they were, one behind the other */
static size_t saved_top;

/* What a step may change, but for memory, which the undo log has. */
typedef struct {
  thread self;
  bool woken[MODEL_THREADS];
  size_t mark, accesses;
  uint64_t hash;
} moment;

static moment begin_step(thread *t, trail_entry e) {
  moment m = {.self = *t, .mark = undo_count, .accesses = access_count, .hash = memory_hash};
  for (unsigned i = 0; i < thread_count; i++) m.woken[i] = threads[i].woken;
  trail_append(e);
  moving = t;
  counts.steps++;
  return m;
}

static void take_back(thread *t, const moment *m) {
  undo_to(m->mark);
  undo_accesses_to(m->accesses);
  memory_hash = m->hash;
  *t = m->self;
  for (unsigned i = 0; i < thread_count; i++) threads[i].woken = m->woken[i];
  trail_length--;
}

static void try_drain(thread *t) {
  moment m = begin_step(t, (trail_entry){(unsigned)(t - threads), true, NEXT_STORE, t->buffer[0].address, t->buffer[0].value});
  drain_one(t);
  explore();
  take_back(t, &m);
}

static void try_step(thread *t) {
  moment m = begin_step(t, (trail_entry){(unsigned)(t - threads), false, t->next, t->address, 0});
  size_t depth = (size_t)(stacks[t - threads] + STACK_BYTES - (char *)t->stack_pointer);
  char *stack = &saved_stacks[saved_top];
  if (saved_top + depth > SAVED_BYTES) model_fail("the schedule is too long");
  saved_top += depth;
  memcpy(stack, t->stack_pointer, depth);
  go_on(t);
  trail[trail_length - 1].value = t->read_value;
  explore();
  take_back(t, &m);
  memcpy(t->stack_pointer, stack, depth);
  saved_top -= depth;
}

static void finish(void) {
  size_t mark = undo_count;
  counts.ends++;
  mode = FINISHING;
  current->finish();
  mode = EXPLORING;
  undo_to(mark);
}

static void explore(void) {
  bool any = false, waiting = false;
  if (restart || !is_new(state_hash())) return;
  counts.states++;
  for (unsigned i = 0; i < thread_count && !restart; i++) {
    thread *t = &threads[i];
    waiting |= t->next != NEXT_DONE;
    if (t->stores > 0) {
      any = true;
      try_drain(t);
    }
    if (can_go_on(t)) {
      any = true;
      try_step(t);
    }
  }
  if (any || restart) return;
  if (waiting) model_fail("no thread can go on");
  finish();
}

static void thread_main(void) {
  current->act[model_thread()]();
  catch_plain();
  stop_before(NEXT_DONE, NULL, 0);
  abort();
}

static void prepare(thread *t) {
  void **top = (void **)(void *)(stacks[t - threads] + STACK_BYTES - 64);
  memset(t, 0, sizeof *t);
  *--top = NULL; /* where thread_main would return to; it is entered as if called */
  *--top = (void *)(uintptr_t)thread_main;
  for (int i = 0; i < 6; i++) *--top = NULL;
  t->stack_pointer = top;
}

static void search(const scenario *s) {
  current = s;
  s->setup();
  while (thread_count < MODEL_THREADS && s->act[thread_count]) thread_count++;
  mode = EXPLORING;
  do {
    restart = false;
    memset(&counts, 0, sizeof counts);
    free(visited);
    visited_room = 1 << 16, visited_count = 0;
    visited = calloc(visited_room, sizeof *visited);
    memory_hash = 0;
    for (unsigned i = 0; i < thread_count; i++) prepare(&threads[i]);
    for (unsigned i = 0; i < thread_count && !restart; i++) {
      moving = &threads[i];
      go_on(&threads[i]);
    }
    explore();
    undo_to(0);
    undo_accesses_to(0);
  } while (restart);
  mode = OFF;
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

void model_fail(const char *format, ...) {
  va_list list;
  mode = OFF;
  fprintf(stderr, "%s: ", current ? current->name : "setup");
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fprintf(stderr, " (after %zu states, step %zu)\n", counts.states, trail_length);
  if (want_trace) print_trail();
  _exit(1);
}

/* The search is as deep as the schedule is long. */
static void *search_thread(void *s) {
  search(s);
  return NULL;
}

static void search_on_big_stack(const scenario *s) {
  pthread_t searcher;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, (size_t)1 << 30);
  if (pthread_create(&searcher, &attributes, search_thread, (void *)(uintptr_t)s) != 0) model_fail("no thread for the search");
  pthread_join(searcher, NULL);
}

static void on_crash(int number) { model_fail("signal %d", number); }

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* In a child, since the allocator's state is one per process. */
static bool run_in_child(const scenario *s) {
  static char signal_stack[1 << 16];
  int status;
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) return false;
  if (pid == 0) {
    double start = seconds();
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    search_on_big_stack(s);
    printf("ok     %-32s %9zu states %10zu steps %8zu ends %7.2f s\n", s->name, counts.states, counts.steps, counts.ends,
           seconds() - start);
    fflush(stdout);
    _exit(counts.ends > 0 ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int usage(const char *name, int status) {
  fprintf(status ? stderr : stdout,
          "usage: %s [options] [SCENARIO ...]\n"
          "  --full        a step at every access, not only where two threads meet\n"
          "  --sequential  without store buffers\n"
          "  --violation   succeed if each scenario finds a fault (for the negative controls)\n"
          "  --trace       print the schedule that leads to a fault\n"
          "  --long        the scenarios that take minutes, too\n"
          "  --list        names of the scenarios\n"
          "exit status: 0 as expected, 1 not, 2 wrong usage\n",
          name);
  return status;
}

int model_main(int argc, char **argv, const scenario *scenarios, size_t count) {
  bool violation = false, good = true, named = false, heavy = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) return usage(argv[0], 0);
    if (strcmp(argv[i], "--full") == 0)
      full = true;
    else if (strcmp(argv[i], "--sequential") == 0)
      sequential = true;
    else if (strcmp(argv[i], "--violation") == 0)
      violation = true;
    else if (strcmp(argv[i], "--trace") == 0)
      want_trace = true;
    else if (strcmp(argv[i], "--long") == 0)
      heavy = true;
    else if (strcmp(argv[i], "--list") == 0) {
      for (size_t n = 0; n < count; n++) puts(scenarios[n].name);
      return 0;
    } else if (argv[i][0] == '-')
      return usage(argv[0], 2);
    else
      named = true;
  }
  size_t ran = 0;
  for (size_t n = 0; n < count; n++) {
    bool wanted = !named && (heavy || !scenarios[n].heavy);
    for (int i = 1; i < argc; i++) wanted |= strcmp(argv[i], scenarios[n].name) == 0;
    if (!wanted) continue;
    ran++;
    if (run_in_child(&scenarios[n]) == violation) {
      printf("FAILED %s%s\n", scenarios[n].name, violation ? ": no fault found" : "");
      good = false;
    }
  }
  return good && ran > 0 ? 0 : 1;
}
