/*
 * wrong_cycles.c - what can go wrong with cycles and addresses: 3, 5, 11, 13 and 15 of docs/runtime-tests.md.
 */
#include "glue_api.h"

#include <signal.h>
#include <ucontext.h>

/* ---- 3: initialisation before the block is allocated ------------------------------------------------------------------ */

enum { MAGIC = 0x5ca11ce };
static world watched;
static volatile long steps, too_early;

/* After each instruction: a block that is written to is out of the hole. */
static void look(int signal_number, siginfo_t *info, void *context) {
  (void)signal_number, (void)info, (void)context;
  scalloc_rt_hole hole = watched.mutator->hole[watched.slot];
  steps++;
  if (hole.cur < hole.lim && *(volatile uint64_t *)hole.cur == MAGIC) too_early++;
}

typedef struct object {
  uint64_t magic, value;
  struct object *next;
} object;

static object *make_right(uint64_t value, object *next) {
  object *o = scalloc_rt_alloc(watched.mutator, watched.slot, watched.size);
  o->magic = MAGIC;
  o->value = value;
  o->next = next;
  return o;
}

/* The order that a compiler might choose without the fence. */
static object *make_wrong(uint64_t value, object *next) {
  scalloc_rt_hole *hole = &watched.mutator->hole[watched.slot];
  object *o = (object *)hole->cur;
  if (hole->cur + watched.size > hole->lim) return make_right(value, next);
  *(volatile uint64_t *)&o->magic = MAGIC;
  o->value = value;
  o->next = next;
  *(volatile uintptr_t *)&hole->cur += watched.size;
  return o;
}

#if defined(__x86_64__) && !UNDER_TSAN
#define step(change)                                                                                                           \
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" change "\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::: "memory", "cc")

/* Instruction by instruction: `count` objects, of which the first is the second of a hole. */
static void make_stepwise(object *(*make)(uint64_t, object *), int count) {
  struct sigaction action = {.sa_sigaction = look, .sa_flags = SA_SIGINFO};
  object *list = NULL;
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
  watched = world_new(NULL, SCALLOC_RT_ZERO, sizeof(object));
  steps = too_early = 0;
  world_alloc(&watched);
  for (int i = 0; i < count; i++) {
    step("orq $0x100, (%%rsp)");
    list = make((uint64_t)i, list);
    step("andq $-257, (%%rsp)");
  }
  printf("  %ld steps, too early at %ld\n", steps, too_early);
  CHECK_INT(steps, >, 8 * count);
  world_end(&watched);
  check_ends();
}

static void wrong_03_initialisation_after_cur(void) {
  make_stepwise(make_right, 1000);
  CHECK_INT(too_early, ==, 0);
  make_stepwise(make_wrong, 1000); /* what this test would see */
  CHECK_INT(too_early, >=, 1000);
}
#else
static void wrong_03_initialisation_after_cur(void) {
  (void)look, (void)make_wrong;
  printf("  only on x86-64\n");
}
#endif

/* ---- 5: a stale conservative pointer to what was never swept ---------------------------------------------------------- */

/* chain[i] points to chain[i + 1]; whoever were revived would drag the rest along. */
static void mark_conservatively(scalloc_rt_heap *heap, void *const *words, size_t count, size_t *marked) {
  scalloc_rt_ref ref;
  for (size_t i = 0; i < count; i++) {
    void *word = words[i];
    while (word && scalloc_rt_resolve(heap, (char *)word + 3, true, &ref) && scalloc_rt_mark(ref)) {
      ++*marked;
      word = *(void **)scalloc_rt_block(ref, NULL);
    }
  }
}

static void chain_up(world *w, void **chain, size_t count) {
  for (size_t i = 0; i < count; i++) *(void **)(chain[i] = world_alloc(w)) = NULL;
  for (size_t i = 0; i + 1 < count; i++) *(void **)chain[i] = chain[i + 1];
}

/* The first cycle finds the chain dead, or half of it; nobody sweeps; a word on a stack still points to its start. */
static void stale_word(bool span_lives, bool abort_between, bool touch_first) {
  world w = world_new(NULL, 0, 128);
  void *chain[50], *live = NULL;
  size_t marked = 0;
  chain_up(&w, chain, LENGTH(chain));
  if (span_lives) *(void **)(live = world_alloc(&w)) = NULL;
  scalloc_rt_retire(w.mutator);
  cycle_keeping(w.heap, &live, live ? 1 : 0);
  if (abort_between) {
    scalloc_rt_cycle_begin(w.heap);
    if (live) mark(w.heap, live);
    scalloc_rt_cycle_abort(w.heap);
  }
  scalloc_rt_cycle_begin(w.heap);
  if (live && touch_first) mark(w.heap, live);
  mark_conservatively(w.heap, chain, LENGTH(chain), &marked);
  CHECK_INT(marked, ==, 0);
  if (live && !touch_first) mark(w.heap, live);
  scalloc_rt_cycle_end(w.heap);
  CHECK_INT(glue_now(w.heap).live, ==, live ? (long long)w.size : 0);
  sweep_all(w.heap);
  CHECK_INT(glue_spans(glue_now(w.heap)), ==, live ? 1 : 0);
  world_end(&w);
  check_ends();
}

static void wrong_05_stale_conservative_pointer(void) {
  for (unsigned i = 0; i < 8; i++) stale_word(i & 1, i & 2, i & 4);
}

/* The control: in the cycle that finds it dead, the same words keep the whole chain. */
static void wrong_05_pointers_that_are_not_stale(void) {
  world w = world_new(NULL, 0, 128);
  void *chain[50];
  size_t marked = 0;
  chain_up(&w, chain, LENGTH(chain));
  scalloc_rt_retire(w.mutator);
  scalloc_rt_cycle_begin(w.heap);
  mark_conservatively(w.heap, chain, 1, &marked);
  CHECK_INT(marked, ==, LENGTH(chain));
  scalloc_rt_cycle_end(w.heap);
  CHECK_INT(glue_now(w.heap).live, ==, (long long)(LENGTH(chain) * w.size));
  world_end(&w);
  check_ends();
}

/* ---- 11: what a finder of roots sees ---------------------------------------------------------------------------------- */

typedef struct seen {
  size_t mappings, readable; /* anonymous ones, bytes */
} seen;

static seen look_at_maps(void) {
  char line[600], rights[8];
  unsigned long long from, to, inode;
  seen s = {0, 0};
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps)) {
    CHECK(sscanf(line, "%llx-%llx %7s %*s %*s %llu", &from, &to, rights, &inode) == 4);
    s.mappings++;
    if (inode == 0 && rights[0] == 'r') s.readable += (size_t)(to - from);
  }
  fclose(maps);
  return s;
}

/* Readable is only what is opened, and mappings do not become many, however many spans there are. */
static void wrong_11_maps_show_what_is_opened(void) {
  seen before = look_at_maps();
  world w = world_new(NULL, 0, 100000);
  seen first = look_at_maps();
  void *some = NULL;
  while (stats_now().opened < 3000) CHECK(some = world_alloc(&w));
  CHECK(scalloc_rt_alloc_large(w.mutator, 0, 300 * MB) != NULL);
  seen full = look_at_maps();
  long long opened = stats_now().opened;
  printf("  mappings %zu, %zu, %zu; readable MB %zu, %zu, %zu; spans %lld\n", before.mappings, first.mappings, full.mappings,
         before.readable / MB, first.readable / MB, full.readable / MB, opened);
  CHECK_INT(full.mappings, <=, before.mappings + 40);
  CHECK_INT(full.readable - before.readable, <=, (unsigned long long)opened * 4 * MB + 1024 * MB);
  CHECK_INT(first.readable - before.readable, <=, 1024 * MB);
  CHECK(some != NULL);
  world_end(&w);
  check_ends();
}

/* ---- 13: addresses of more bits --------------------------------------------------------------------------------------- */

/* One bit of a good address after the other is flipped: tags in high bits, addresses beyond 47 bits, or simply other blocks. */
static void wrong_13_any_bit_flipped(void) {
  world w = world_new(NULL, 0, 1 << 16);
  void *blocks[40], *large = scalloc_rt_alloc_large(w.mutator, 0, 50 * MB);
  size_t hits = 0;
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
  for (size_t i = 0; i <= LENGTH(blocks); i++)
    for (unsigned bit = 0; bit < 64; bit++) {
      scalloc_rt_ref ref;
      uintptr_t good = (uintptr_t)(i < LENGTH(blocks) ? blocks[i] : large), flipped = good ^ (uintptr_t)1 << bit;
      bool found = scalloc_rt_resolve(w.heap, (void *)flipped, true, &ref);
      if (bit >= 47) CHECK(!found);
      size_t size;
      if (!found) continue;
      uintptr_t start = (uintptr_t)scalloc_rt_block(ref, &size);
      CHECK(start <= flipped && flipped - start < size && is_live(w.heap, (void *)start));
      hits++;
    }
  CHECK_INT(hits, >=, LENGTH(blocks) * 16 + 25);
  world_end(&w);
  check_ends();
}

/* What is packed into words are numbers of spans and blocks, never parts of addresses. */
_Static_assert(sizeof(scalloc_rt_ref) == 8, "two numbers");
_Static_assert(sizeof(((scalloc_rt_hole *)0)->cur) == sizeof(void *), "whole addresses");
static void wrong_13_numbers_are_relative(void) {
  world w = world_new(NULL, 0, 64);
  scalloc_rt_ref ref = ref_of(w.heap, world_alloc(&w));
  CHECK_INT(ref.span, <, 1 << 24);
  CHECK_INT(ref.span, >, 0);
  CHECK_INT(ref.block, <, 2048);
  world_end(&w);
  check_ends();
}

/* ---- 15: the numbers of cycles are used up ---------------------------------------------------------------------------- */

unsigned *heap_number(scalloc_rt_heap *heap); /* heap_number.c */

enum { KEPT = 3000 };
static void *kept[KEPT];

/* A tenth of what lives dies in every cycle, as much is born; all that should live is what does. */
static void live_through(world *w, rng *random, int cycles, int aborts_in) {
  for (int c = 0; c < cycles; c++) {
    for (size_t i = 0; i < KEPT; i++) {
      if (kept[i] && !rng_percent(random, 10)) continue;
      kept[i] = rng_percent(random, 1) ? scalloc_rt_alloc_large(w->mutator, 0, 100000) : world_alloc(w);
      CHECK(kept[i] != NULL);
      memset(kept[i], (int)i & 255, w->size);
    }
    if (c % 3 == 0) scalloc_rt_retire(w->mutator);
    scalloc_rt_cycle_begin(w->heap);
    for (size_t i = 0; i < KEPT; i++) {
      if (rng_percent(random, 10)) kept[i] = NULL;
      if (kept[i]) mark(w->heap, kept[i]);
    }
    if (c % 4 == aborts_in) {
      scalloc_rt_cycle_abort(w->heap);
      continue;
    }
    scalloc_rt_cycle_end(w->heap);
    for (size_t i = 0; i < KEPT; i++)
      if (kept[i]) CHECK(is_live(w->heap, kept[i]) && all_bytes(kept[i], w->size, (unsigned char)i));
    if (rng_percent(random, 50)) scalloc_rt_sweep(w->heap, w->mutator, rng_below(random, 200));
    if (c % 5 == 0) check_heap();
  }
}

static void wrap_with(unsigned before_the_end, int aborts_in, unsigned flags_beside) {
  world w = world_new(NULL, 0, 100);
  rng random = {before_the_end};
  size_t size;
  unsigned slot = slot_for(w.heap, kind_with(w.heap, flags_beside | SCALLOC_RT_UNCOLLECTABLE), 500, &size);
  void *root = scalloc_rt_alloc(w.mutator, slot, size);
  memset(kept, 0, sizeof kept);
  live_through(&w, &random, 3, -1);
  *heap_number(w.heap) = UINT32_MAX - before_the_end;
  live_through(&w, &random, 14, aborts_in);
  CHECK_INT(*heap_number(w.heap), <, 1000);
  scalloc_rt_detach(w.mutator);
  cycle(w.heap);
  CHECK(is_live(w.heap, root));
  CHECK_INT(glue_now(w.heap).live, ==, (long long)size);
  world_end(&w);
  check_ends();
}

static void wrong_15_cycle_numbers_wrap(void) {
  for (unsigned before = 1; before < 10; before++) wrap_with(before, (int)(before % 3) + 1, before % 2 ? 0 : SCALLOC_RT_ZERO);
}

PARTS_MAIN(PART(wrong_03_initialisation_after_cur), PART(wrong_05_stale_conservative_pointer),
           PART(wrong_05_pointers_that_are_not_stale), PART(wrong_11_maps_show_what_is_opened), PART(wrong_13_any_bit_flipped),
           PART(wrong_13_numbers_are_relative), PART(wrong_15_cycle_numbers_wrap))
