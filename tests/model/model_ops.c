/*
 * model_ops.c - see model_ops.h and explore_memory.h: what threads do, as the core is compiled to call it, and how they stop
 * before each step and go on. Threads are coroutines. While one runs, memory shows what it would see: its buffered stores are laid
 * over it, and taken off when it stops.
 */
#include "model_ops.h"

#include <sys/mman.h>

#include "explore_memory.h"

enum { STACK_BYTES = 1 << 15, FLAGS = 8, LOCAL_STEPS_MAX = 1 << 20, PLAIN = 64 };

static char *stacks; /* mapped, since what lies in the program is taken for the allocator's (model_tracks) */
static void *explorer_stack_pointer;
static unsigned local_steps; /* of the running thread since it went on */
static uint64_t flags[FLAGS];

/* Plain stores that were announced: their values are in memory at the next opportunity. */
static struct {
  store store; /* not shared: with the value before, of all 8 bytes */
  bool shared;
} plain[PLAIN];
static unsigned plains;

/* What lies under the running thread's buffered stores. */
static store overlay[2 * BUFFER];
static unsigned overlays;

/* ---- the store buffer ------------------------------------------------------------------------------------------------- */

static void lay_over(char *address, unsigned size, uint64_t value) {
  if (overlays == 2 * BUFFER) model_fail("more than %d stores in a buffer", BUFFER);
  overlay[overlays++] = (store){address, memory_read(address, size), size};
  memory_set(address, size, value);
}

static void buffer_append(thread *t, store s) {
  if (t->stores == BUFFER) model_fail("more than %d stores in a buffer", BUFFER);
  t->buffer[t->stores++] = s;
}

void ops_drain(thread *t) {
  store s = t->buffer[0];
  memmove(t->buffer, t->buffer + 1, --t->stores * sizeof s);
  memory_write(s.address, s.size, s.value);
}

void ops_catch_plain(void) {
  for (unsigned i = 0; i < plains; i++) {
    store *s = &plain[i].store;
    if (plain[i].shared) {
      s->value = memory_read(s->address, s->size);
      buffer_append(explorer.running, *s);
    } else {
      memory_rehash(memory_base(s->address), s->value);
    }
  }
  plains = 0;
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

void ops_stop_before(next_step next, const volatile void *address, unsigned size) {
  explorer.running->next = next;
  explorer.running->address = (char *)(uintptr_t)address;
  explorer.running->size = size;
  model_switch(&explorer.running->stack_pointer, explorer_stack_pointer);
}

void ops_go_on(thread *t) {
  explorer.running = t;
  local_steps = 0;
  for (unsigned i = 0; i < t->stores; i++) lay_over(t->buffer[i].address, t->buffer[i].size, t->buffer[i].value);
  model_switch(&explorer_stack_pointer, t->stack_pointer);
  ops_catch_plain();
  while (overlays > 0) {
    store *old = &overlay[--overlays];
    memory_set(old->address, old->size, old->value);
  }
  explorer.running = NULL;
  while (explorer.sequential && t->stores > 0) ops_drain(t);
}

static char *stack_end(const thread *t) { return stacks + (t - explorer.threads + 1) * STACK_BYTES; }

/* An empty stack, as model_switch leaves one. */
void ops_prepare(thread *t, void (*main)(void)) {
  if (stacks == NULL)
    stacks = mmap(NULL, MODEL_THREADS * STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stacks == MAP_FAILED) model_fail("no memory for stacks");
  void **top = (void **)(void *)(stack_end(t) - 64);
  memset(t, 0, sizeof *t);
  *--top = NULL; /* where `main` would return to; it is entered as if called */
  *--top = (void *)(uintptr_t)main;
  for (int i = 0; i < 6; i++) *--top = NULL;
  t->stack_pointer = top;
}

size_t ops_depth(const thread *t) { return (size_t)(stack_end(t) - (char *)t->stack_pointer); }

/* ---- what a thread does is noted ------------------------------------------------------------------------------------- */

/* Notes who touches what. True: this is a step that others may see or influence. */
static bool touches(const volatile void *address, unsigned size, bool writes) {
  if (++local_steps > LOCAL_STEPS_MAX) model_fail("thread %u loops", model_thread());
  bool shared = memory_touch(address, size, writes);
  if (explorer.restart) ops_stop_before(NEXT_DONE, NULL, 0); /* for good */
  return shared;
}

static void note_read(uint64_t value) {
  explorer.running->before_read = explorer.running->history;
  explorer.running->history = model_mix(explorer.running->history, value);
  explorer.running->read_value = value;
}

/* ---- the operations of atomics_model.h -------------------------------------------------------------------------------- */

static bool invisible(const volatile void *address) {
  return explorer.mode != EXPLORING || explorer.running == NULL || !model_tracks(address);
}

uint64_t model_load(const volatile void *address, unsigned size) {
  if (!invisible(address)) {
    ops_catch_plain();
    if (touches(address, size, false)) {
      ops_stop_before(NEXT_LOAD, address, size);
      note_read(memory_read(address, size));
    }
    explorer.running->read_address = (char *)(uintptr_t)address;
    explorer.running->read_size = size;
    explorer.running->read_value = memory_read(address, size);
  }
  return memory_read(address, size);
}

/* A store goes into the buffer, which nobody else sees: the step that others see is its draining. */
static void store_begins(const volatile void *address, unsigned size) {
  if (explorer.sequential) ops_stop_before(NEXT_STORE, address, size);
  explorer.running->history = model_mix(explorer.running->history, 1);
}

void model_store(volatile void *address, unsigned size, uint64_t value) {
  bool seen = false;
  if (!invisible(address)) {
    ops_catch_plain();
    if (address == explorer.running->lock) explorer.running->lock = NULL;
    seen = touches(address, size, true);
  }
  if (!seen) {
    if (explorer.mode == OFF)
      memory_set(address, size, value);
    else
      memory_write((void *)(uintptr_t)address, size, value);
    return;
  }
  store_begins(address, size);
  buffer_append(explorer.running, (store){(char *)(uintptr_t)address, value, size});
  lay_over((char *)(uintptr_t)address, size, value);
}

/* A locked instruction: alone with memory, its thread's buffer empty. */
static uint64_t locked(char *address, bool (*decide)(uint64_t now, const uint64_t *operands, uint64_t *next),
                       const uint64_t *operands) {
  uint64_t next, now;
  bool seen = false;
  if (!invisible(address)) {
    ops_catch_plain();
    seen = touches(address, 8, true);
    if (seen || explorer.running->stores > 0) ops_stop_before(NEXT_LOCKED, address, 8);
  }
  now = memory_read(address, 8);
  if (seen) note_read(now);
  if (explorer.running) {
    explorer.running->read_address = address;
    explorer.running->read_size = 8;
    explorer.running->read_value = now;
  }
  if (decide(now, operands, &next)) {
    if (explorer.mode == OFF)
      memory_set(address, 8, next);
    else
      memory_write(address, 8, next);
    if (explorer.running && now == 0 && model_is_lock(address)) explorer.running->lock = address;
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
  if (explorer.mode != EXPLORING || !explorer.running) model_fail("spins alone");
  ops_catch_plain();
  explorer.running->history = explorer.running->before_read; /* what it read in vain it forgets */
  explorer.running->waits_while = explorer.running->read_value;
  ops_stop_before(NEXT_RELAX, explorer.running->read_address, explorer.running->read_size);
}

void model_yield(void) {
  if (explorer.mode != EXPLORING || !explorer.running) model_fail("waits alone");
  ops_catch_plain();
  explorer.running->woken = false;
  ops_stop_before(NEXT_YIELD, NULL, 0);
}

/* Part of a plain store that comes next. */
static void announce_plain(char *address, unsigned size, bool shared) {
  if (plains == PLAIN) model_fail("a plain store of more than %d words", PLAIN);
  plain[plains].shared = shared;
  if (shared) {
    plain[plains++].store = (store){address, 0, size};
    lay_over(address, size, memory_read(address, size));
  } else {
    memory_remember(address, size);
    plain[plains++].store = (store){address, memory_read(memory_base(address), 8), size};
  }
}

/* Long stores are one step, whose words drain one by one; long loads are one step. */
static void plain_access(char *address, size_t bytes, bool writes) {
  bool shared = false;
  if (explorer.mode == OFF || !model_tracks(address)) return;
  if (explorer.mode == FINISHING || !explorer.running) {
    for (size_t at = 0; writes && at < bytes; at += 8)
      memory_remember(address + at, bytes - at < 8 ? (unsigned)(bytes - at) : 8);
    return;
  }
  ops_catch_plain();
  for (size_t at = 0; at < bytes; at += 8) shared |= touches(address + at, bytes - at < 8 ? (unsigned)(bytes - at) : 8, writes);
  if (shared && writes) store_begins(address, 8);
  if (shared && !writes) ops_stop_before(NEXT_LOAD, address, 8);
  for (size_t at = 0; at < bytes; at += 8) {
    unsigned size = bytes - at < 8 ? (unsigned)(bytes - at) : 8;
    if (writes)
      announce_plain(address + at, size, shared);
    else if (shared)
      note_read(memory_read(address + at, size));
  }
}

void model_plain_read(const void *address, size_t bytes) { plain_access((char *)(uintptr_t)address, bytes, false); }
void model_plain_write(void *address, size_t bytes) { plain_access(address, bytes, true); }

void model_signal(unsigned flag) { model_store(&flags[flag], 8, 1); }

void model_await(unsigned flag) {
  ops_catch_plain();
  touches(&flags[flag], 8, false);
  ops_stop_before(NEXT_AWAIT, &flags[flag], 8);
  note_read(1);
}

void model_forget(uint64_t what_remains) {
  if (explorer.mode != EXPLORING || !explorer.running) return;
  ops_catch_plain();
  explorer.running->history = model_mix(explorer.running->history_at_forget, what_remains);
  explorer.running->history_at_forget = explorer.running->history;
  explorer.running->before_read = explorer.running->history;
}

unsigned model_thread(void) { return (unsigned)(explorer.running - explorer.threads); }
