/*
 * memory.c - the heap: its kinds and slots, the hooks through which scalloc speaks to the interpreter, and allocation apart from
 * the fast path, which is in memory.h.
 *
 * A span holds blocks of one kind only. Its cookie says which, and how large they are, so the tracer learns from a block's
 * address alone what to do with it: pairs need no header, and blocks of bytes are marked without a look inside.
 */
#include "scheme.h"
#include <stdlib.h>
#include <string.h>

enum { LARGE_FROM = 256 << 10, SLOT_MOST = 1 << 20 };
_Static_assert(LARGE_FROM <= SLOT_MOST, "what is not large must have a slot");
_Static_assert((KINDS & ~15) == 0, "a kind fits the low 4 bits of a cookie");

world_state world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static const scalloc_rt_kind_conf kinds[KINDS] = {
    [KIND_PAIR] = {.size = sizeof kinds[0], .name = "pair"},
    [KIND_FIELDS] = {.size = sizeof kinds[0], .name = "fields"},
    [KIND_BYTES] = {.size = sizeof kinds[0], .flags = SCALLOC_RT_NOSCAN, .name = "bytes"},
    [KIND_SYMBOL] = {.size = sizeof kinds[0], .flags = SCALLOC_RT_UNCOLLECTABLE, .name = "symbol"},
    [KIND_NATIVE] = {.size = sizeof kinds[0], .flags = SCALLOC_RT_DISCLAIM, .name = "native"},
    [KIND_WEAK] = {.size = sizeof kinds[0], .name = "weak"},
};

/* ---- hooks */

static void span_acquired(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  (void)ud;
  *scalloc_rt_cookie(span) = info->block_size << 4 | (uintptr_t)info->kind;
}

/* A mutex or event that died, seen by whoever sweeps its span. */
static bool disclaim(void *ud, scalloc_rt_ref ref, void *block) {
  (void)ud, (void)ref;
  release_native(block);
  atomic_fetch_add(&world.released, 1);
  return true;
}

/* --stress only: whoever still uses a block that the collector took for dead finds nothing there. */
static void wipe(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t ndead) {
  (void)ud, (void)span, (void)ndead;
  for (uint32_t i = 0; i < info->blocks; i++)
    if (dead[i / 64] >> i % 64 & 1) memset((char *)info->start + i * info->block_size, 0, info->block_size);
}

/* `bytes` were used of what is left; true, with a new share for the thread, unless that is a reason to collect. */
static bool take_share(thread *t, size_t bytes) {
  pthread_mutex_lock(&world.lock);
  world.left -= (int64_t)bytes;
  bool enough = world.left > 0;
  if (enough) t->mutator->budget = world.share;
  pthread_mutex_unlock(&world.lock);
  return enough;
}

/* Called on the slow path of an allocation. That is a safe point: our allocations hold no values in C variables. */
static bool pressure(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud;
  thread *t = m->rt;
  if (bytes > 0) t->tries = 0; /* memory was handed out since the last call: collecting does help */
  bool enough = take_share(t, bytes);
  if (why == SCALLOC_RT_BUDGET) return enough || collect(t);
  if (t->tries++ < 3) return collect(t); /* more than once: other threads may be faster to take what was freed */
  t->tries = 0;                          /* this allocation fails; the next one is worth a collection again */
  return false;
}

/* ---- the heap */

static _Noreturn void no_heap(const char *what) {
  fprintf(stderr, "scheme: no memory for %s\n", what);
  exit(EXIT_FAILURE);
}

void memory_init(size_t heap_limit, unsigned every) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf,
                               .hooks = {.span_acquire = span_acquired, .disclaim = disclaim, .pressure = pressure},
                               .limit = heap_limit};
  if (every != 0) conf.hooks.span_swept = wipe;
  world.heap = scalloc_rt_heap_create(&conf);
  if (world.heap == NULL) no_heap("a heap");
  world.heap_limit = heap_limit;
  world.stress = every;
  pace();
  for (int kind = 0; kind < KINDS; kind++) {
    if (scalloc_rt_kind_new(world.heap, &kinds[kind]) != kind) no_heap("the kinds of blocks");
    for (size_t i = 1; i <= SMALL; i++) {
      slot *s = &world.slots[kind][i];
      s->number = scalloc_rt_slot(world.heap, kind, i * GRANULE, &s->rounded);
      if (s->number == SCALLOC_RT_NO_SLOT) no_heap("the slots");
    }
  }
}

/* Everything at once, whatever is alive; no other thread is left. */
void memory_end(void) {
  scalloc_rt_heap_destroy(world.heap);
  free(world.waiting.items);
  free(world.ready.items);
}

/* Blocks too large for the table of slots. */
void *alloc_any(thread *t, enum kind kind, size_t bytes) {
  if (world.stress != 0) stress(t);
  void *block = NULL;
  if (bytes >= LARGE_FROM) {
    block = scalloc_rt_alloc_large(t->mutator, (int)kind, bytes);
  } else {
    size_t rounded;
    unsigned number = scalloc_rt_slot(world.heap, (int)kind, bytes, &rounded);
    if (number != SCALLOC_RT_NO_SLOT) block = scalloc_rt_alloc(t->mutator, number, rounded);
  }
  if (block == NULL) fail_memory(t);
  return block;
}

/* --stress=N: a value that lies in C variables only, where it is no root, meets a collection sooner or later. */
void stress(thread *t) {
  if (t->countdown-- > 1) return;
  t->countdown = world.stress;
  collect(t);
  return_memory(t);
}

void memory_stats(FILE *out) {
  size_t size = scalloc_rt_stats_json(world.heap, NULL, 0) + 1;
  char *json = malloc(size);
  if (json == NULL) return;
  scalloc_rt_stats_json(world.heap, json, size);
  pthread_mutex_lock(&world.lock);
  fprintf(out, "{\"collections\": %lu, \"marked_bytes\": %zu, \"pause_ms\": {\"sum\": %.3f, \"max\": %.3f}, ", world.cycles,
          world.live, world.pause_sum * 1e3, world.pause_max * 1e3);
  fprintf(out, "\"natives_released\": %lu, \"heap\": %s}\n", atomic_load(&world.released), json);
  pthread_mutex_unlock(&world.lock);
  free(json);
}

/* What the last cycle found dead is swept now and not when somebody needs it: spans go back to the pool, and disclaim hooks run.
   The spans this thread allocates from are given up first, since nobody sweeps those. */
void return_memory(thread *t) {
  scalloc_rt_retire(t->mutator);
  while (scalloc_rt_sweep(world.heap, t->mutator, 64) > 0) poll(t);
}
