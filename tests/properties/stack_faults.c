/*
 * stack_faults.c - property 20: however long a thread is held up between its load and its CAS, the stack of the pool neither
 * doubles nor loses an entry.
 *
 *   stack_faults [--ops N]
 *
 * stack.h is compiled with atomics_hooked.h: the hook before a CAS carries out any number of other operations. The tag has 32
 * bits. Restated: 2^32 operations in one such delay, no more and no fewer, would go unnoticed; a preset tag simulates about as
 * many, and exactly as many as the control, which must show the damage.
 */
#include "properties.h"

#include "atomics_hooked.h"
#include "stack.h"

#include <sched.h>
#include <stdatomic.h>

enum { NODES = 32 };

static stack s;
static volatile unsigned links[NODES + 1];
static volatile unsigned *link_of(uint32_t index) { return &links[index]; }

/* ---- the hook --------------------------------------------------------------------------------------------------------- */

static _Thread_local void (*at_next_cas)(void);

void before_load(void) {}
void before_store(void) {}

void before_cas(void) {
  void (*act_now)(void) = at_next_cas;
  at_next_cas = NULL;
  if (act_now) act_now();
}

/* ---- one victim, held up once ----------------------------------------------------------------------------------------- */

static long intervening;     /* operations during the delay */
static int64_t tag_distance; /* if not NONE: how far the tag has then moved, 2^32 being 0 */
static word_t seen;
#define NONE INT64_MAX

static bool held[NODES + 1]; /* by the test; all others are on the stack */

static void take(uint32_t index) {
  CHECK(index != 0 && !held[index]);
  held[index] = true;
}

static void give(uint32_t index) {
  CHECK(held[index]);
  held[index] = false;
  stack_push(&s, link_of, index);
}

/* The top is in its place again at the end, with the victim's view of the link below it out of date. */
static void interfere(void) {
  seen = s;
  uint32_t top = stack_pop(&s, link_of), below = stack_pop(&s, link_of);
  take(top), take(below);
  long done = 2;
  for (uint32_t other; done + 3 <= intervening; done += 2) {
    take(other = stack_pop(&s, link_of));
    give(other);
  }
  if (done + 1 < intervening) take(stack_pop(&s, link_of));
  give(top);
  CHECK_INT(stack_top(s), ==, stack_top(seen));
  if (tag_distance != NONE) s = (word_t)((uint32_t)(seen >> 32) + (uint32_t)tag_distance) << 32 | stack_top(s);
}

/* Every node is held or on the stack, once. */
static bool sound(void) {
  bool found[NODES + 1] = {false};
  uint32_t at = stack_top(s), n = 0;
  for (; at != 0; at = links[at], n++) {
    if (n > NODES || held[at] || found[at]) return false;
    found[at] = true;
  }
  for (uint32_t i = 1; i <= NODES; i++) n += held[i];
  return n == NODES;
}

typedef enum victim { POP, PUSH, PUSH_CHAIN, POP_ALL, VICTIMS } victim;

/* Nodes 1 to 4 are the victim's; the others are on the stack, whose tag is preset. */
static void prepare(uint32_t tag) {
  memset(held, 0, sizeof held);
  s = 0;
  for (uint32_t i = 1; i <= 4; i++) held[i] = true;
  for (uint32_t i = 5; i <= NODES; i++) stack_push(&s, link_of, i);
  s = (word_t)tag << 32 | stack_top(s);
}

static void carry_out(victim what) {
  uint32_t at, next;
  at_next_cas = interfere;
  switch (what) {
  case POP:
    at = stack_pop(&s, link_of);
    held[at] = true;
    break;
  case PUSH:
    held[1] = false;
    stack_push(&s, link_of, 1);
    break;
  case PUSH_CHAIN:
    links[1] = 2, links[2] = 3;
    held[1] = held[2] = held[3] = false;
    stack_push_chain(&s, link_of, 1, 3);
    break;
  default:
    for (at = stack_pop_all(&s); at != 0; at = next) {
      next = links[at];
      CHECK(!held[at]);
      held[at] = true;
    }
  }
  CHECK(at_next_cas == NULL);
}

static void one_victim(void) {
  static const uint32_t presets[] = {0, 1, 65533, 65536, UINT32_MAX - 3, UINT32_MAX - 65534, UINT32_MAX - 65537, 1u << 31};
  static const long operations[] = {3, 4, 65534, 65535, 65536, 65537, 131072, 200001};
  static const int64_t distances[] = {1, 2, -1, -2, 65536, -65536, 1 << 30};
  for (size_t i = 0; i < LENGTH(presets); i++)
    for (int what = 0; what < VICTIMS; what++) {
      tag_distance = NONE;
      for (size_t k = 0; k < LENGTH(operations); k++) {
        intervening = operations[k];
        prepare(presets[i]);
        carry_out((victim)what);
        CHECK(sound());
      }
      intervening = 100;
      for (size_t k = 0; k < LENGTH(distances); k++) {
        tag_distance = distances[k];
        prepare(presets[i]);
        carry_out((victim)what);
        CHECK(sound());
      }
    }
  tag_distance = 0; /* 2^32 operations, to the one */
  prepare(7);
  carry_out(POP);
  CHECK(!sound());
}

/* ---- four threads, one of them late ----------------------------------------------------------------------------------- */

enum { THREADS = 4, DELAY = 70000, DELAYS = 12, DELAYS_MIN = 3 };

static atomic_int holder[NODES + 1];
static atomic_long done;
static long ops;
static atomic_int delays;

static bool over(void) { return atomic_load(&done) >= ops && atomic_load(&delays) >= DELAYS_MIN; }

/* Until the others have done more operations than 16 bits count. */
static void wait_long(void) {
  long until = atomic_load(&done) + DELAY;
  while (atomic_load(&done) < until && !over()) sched_yield();
  atomic_fetch_add(&delays, 1);
}

static void exchange_nodes(void *number) {
  int me = (int)(uintptr_t)number, from;
  rng random = {(uintptr_t)number};
  uint32_t mine[NODES], count = 0;
  for (long i = 0; !over(); i++) {
    if (me == 1 && i % 50 == 0 && atomic_load(&delays) < DELAYS) at_next_cas = wait_long;
    if (count < 8 && rng_percent(&random, 50)) {
      uint32_t index = stack_pop(&s, link_of);
      from = 0;
      if (index != 0) CHECK(atomic_compare_exchange_strong(&holder[mine[count++] = index], &from, me));
    } else if (count > 0) {
      from = me;
      CHECK(atomic_compare_exchange_strong(&holder[mine[--count]], &from, 0));
      stack_push(&s, link_of, mine[count]);
    }
    atomic_fetch_add(&done, 1);
    if (rng_below(&random, 500) == 0) sched_yield();
  }
  at_next_cas = NULL;
  for (; count > 0; count--) {
    atomic_store(&holder[mine[count - 1]], 0);
    stack_push(&s, link_of, mine[count - 1]);
  }
}

static void many_threads(void) {
  worker workers[THREADS];
  uint32_t n = 0;
  s = (word_t)(UINT32_MAX - 100000) << 32; /* the tag wraps on the way */
  for (uint32_t i = 1; i <= NODES; i++) stack_push(&s, link_of, i);
  for (int i = 0; i < THREADS; i++) worker_start(&workers[i]);
  for (uintptr_t i = 0; i < THREADS; i++) worker_begin(&workers[i], exchange_nodes, (void *)(i + 1));
  for (int i = 0; i < THREADS; i++) worker_finish(&workers[i]), worker_stop(&workers[i]);
  while (stack_pop(&s, link_of) != 0) n++;
  CHECK_INT(n, ==, NODES);
  CHECK_INT(delays, >=, DELAYS_MIN);
  printf("%ld operations, %d delays of %d operations each\n", ops, delays, (int)DELAY);
}

static void stack_faults(void) {
  ops = argument("--ops", 1500000);
  one_victim();
  many_threads();
}

MODES(MODE(stack_faults))
