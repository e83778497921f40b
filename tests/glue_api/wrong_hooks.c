/*
 * wrong_hooks.c - what can go wrong in hooks: 7, 8, 9 and 16 of docs/runtime-tests.md.
 */
#include "glue_api.h"

/* ---- 7: a finalizer wants an object of a span that has gone ----------------------------------------------------------- */

static size_t released;

static bool count_release(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)span, (void)info;
  released += why == SCALLOC_RT_DEAD;
  return true;
}

static void *unmarked[1000];
static size_t unmarked_count;

static int note(void *ud, scalloc_rt_ref ref, void *block, size_t size) {
  (void)ref;
  CHECK(size == *(size_t *)ud);
  unmarked[unmarked_count++] = block;
  return 0;
}

static int note_unmarked(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  size_t size = info->block_size;
  (void)ud;
  return scalloc_rt_each_block(span, SCALLOC_RT_UNMARKED, note, &size);
}

/* Found without a mark before the end of the cycle, then marked: they live on for their finalizers, and die in the next one. */
static void wrong_07_finalizable_objects_are_marked_before_the_end(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_release = count_release}};
  world w = world_new(&conf, 0, 320);
  void *objects[1000];
  for (size_t i = 0; i < LENGTH(objects); i++) fill(objects[i] = world_alloc(&w), w.size);
  scalloc_rt_retire(w.mutator);
  scalloc_rt_cycle_begin(w.heap);
  for (size_t i = 0; i < LENGTH(objects); i += 10) mark(w.heap, objects[i]);
  CHECK(scalloc_rt_each_span(w.heap, SCALLOC_RT_ANY, note_unmarked, NULL) == 0);
  CHECK_INT(unmarked_count, ==, LENGTH(objects) / 10 * 9);
  for (size_t i = 0; i < unmarked_count; i++) mark(w.heap, unmarked[i]);
  scalloc_rt_cycle_end(w.heap);
  sweep_all(w.heap);
  CHECK_INT(released, ==, 0);
  for (size_t i = 0; i < LENGTH(objects); i++) CHECK(is_live(w.heap, objects[i]) && intact(objects[i], w.size));
  cycle_keeping(w.heap, objects, 1); /* the finalizers have run */
  sweep_all(w.heap);
  for (size_t i = 1; i < LENGTH(objects); i++) CHECK(!is_live(w.heap, objects[i]));
  CHECK(intact(objects[0], w.size) && released > 0);
  world_end(&w);
  check_ends();
}

/* Marked too late: the object is not to be had again, whatever remembers it. */
static void wrong_07_no_object_comes_back_after_the_end(void) {
  world w = world_new(NULL, 0, 320);
  scalloc_rt_ref ref;
  void *object = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  CHECK(!scalloc_rt_resolve(w.heap, object, false, &ref));
  sweep_all(w.heap);
  CHECK(!scalloc_rt_resolve(w.heap, object, false, &ref));
  world_end(&w);
  check_ends();
}

/* ---- 8: a hook allocates from its heap -------------------------------------------------------------------------------- */

typedef enum { ACQUIRE, RELEASE, SWEPT, DISCLAIM, COMMIT, DECOMMIT, HOOKS } hook;
static const char *const hook_names[HOOKS] = {"span_acquire", "span_release", "span_swept", "disclaim", "commit", "decommit"};
static hook guilty; /* the one that allocates */
static world guilty_world;
static unsigned guilty_slot;
static size_t guilty_size;
static bool guilty_now, guilty_large;

static void allocate_in(hook which) {
  if (which != guilty || !guilty_now) return;
  guilty_now = false;
  if (guilty_large)
    scalloc_rt_alloc_large(guilty_world.mutator, 0, 5000);
  else
    scalloc_rt_alloc(guilty_world.mutator, guilty_slot, guilty_size);
}

static void acquire_hook(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  (void)ud, (void)span, (void)info;
  allocate_in(ACQUIRE);
}
static bool release_hook(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)span, (void)info, (void)why;
  allocate_in(RELEASE);
  return true;
}
static void swept_hook(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t n) {
  (void)ud, (void)span, (void)info, (void)dead, (void)n;
  allocate_in(SWEPT);
}
static bool disclaim_hook(void *ud, scalloc_rt_ref ref, void *object) {
  (void)ud, (void)ref, (void)object;
  allocate_in(DISCLAIM);
  return true;
}
static int commit_hook(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  allocate_in(COMMIT);
  return 0;
}
static int decommit_hook(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  allocate_in(DECOMMIT);
  return 0;
}

static const scalloc_rt_hooks guilty_hooks = {.span_acquire = acquire_hook,
                                              .span_release = release_hook,
                                              .span_swept = swept_hook,
                                              .disclaim = disclaim_hook,
                                              .commit = commit_hook,
                                              .decommit = decommit_hook};

static void by_refill(world *w) {
  for (int i = 0; i < 3000; i++) world_alloc(w);
}
static void by_large(world *w) { scalloc_rt_alloc_large(w->mutator, 0, 100000); }
static void by_sweep(world *w) {
  scalloc_rt_retire(w->mutator);
  cycle(w->heap);
  scalloc_rt_sweep(w->heap, w->mutator, SIZE_MAX);
}
static void by_refill_after_a_cycle(world *w) {
  scalloc_rt_retire(w->mutator);
  cycle(w->heap);
  by_refill(w);
}
static void by_sweep_for_memory(world *w) { /* all swept, since nothing more is to be had: conf.limit */
  size_t other_size;
  unsigned other = slot_for(w->heap, 0, 5000, &other_size);
  scalloc_rt_retire(w->mutator);
  cycle(w->heap);
  for (int i = 0; i < 300; i++)
    if (!scalloc_rt_alloc(w->mutator, other, other_size)) return;
}
static void by_retire(world *w) {
  by_sweep(w);
  scalloc_rt_free(w->mutator, world_alloc(w));
  scalloc_rt_retire(w->mutator);
}
static void by_last_free(world *w) {
  void *block = world_alloc(w);
  scalloc_rt_retire(w->mutator);
  scalloc_rt_free(w->mutator, block);
}

static const struct way {
  const char *name;
  void (*go)(world *w);
  unsigned flags;
  unsigned hooks; /* bits: those that it calls */
} ways[] = {
    {"refill", by_refill, 0, 1 << ACQUIRE | 1 << COMMIT},
    {"large", by_large, 0, 1 << ACQUIRE | 1 << COMMIT},
    {"sweep", by_sweep, SCALLOC_RT_DISCLAIM, 1 << RELEASE | 1 << SWEPT | 1 << DISCLAIM | 1 << DECOMMIT},
    {"refill after a cycle", by_refill_after_a_cycle, SCALLOC_RT_DISCLAIM, 1 << SWEPT | 1 << DISCLAIM},
    {"sweep for memory", by_sweep_for_memory, SCALLOC_RT_DISCLAIM, 1 << RELEASE | 1 << SWEPT | 1 << DISCLAIM | 1 << DECOMMIT},
    {"retire", by_retire, SCALLOC_RT_UNCOLLECTABLE, 1 << RELEASE | 1 << DECOMMIT},
    {"last free by hand", by_last_free, SCALLOC_RT_UNCOLLECTABLE, 1 << RELEASE | 1 << DECOMMIT},
};

static void go_guilty(void *context) {
  const struct way *way = context;
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = guilty_hooks, .limit = 1 * MB};
  guilty_world = world_new(&conf, way->flags, 200);
  guilty_slot = slot_for(guilty_world.heap, 0, 3000, &guilty_size);
  if (way->flags != SCALLOC_RT_UNCOLLECTABLE) /* something to die; of a slot of its own */
    for (int i = 0; i < 3000; i++) world_alloc(&guilty_world);
  scalloc_rt_retire(guilty_world.mutator);
  guilty_now = true;
  way->go(&guilty_world);
  if (guilty_now) test_fail(__FILE__, __LINE__, "%s does not call %s", way->name, hook_names[guilty]);
  test_fail(__FILE__, __LINE__, "%s: allocation in %s is not found", way->name, hook_names[guilty]);
}

static void wrong_08_hook_allocates(void) {
  for (size_t i = 0; i < LENGTH(ways); i++)
    for (guilty = 0; guilty < HOOKS; guilty++)
      for (int large = 0; large < 2; large++) {
        if (!(ways[i].hooks & 1u << guilty)) continue;
        guilty_large = large;
        printf("  %s in %s\n", hook_names[guilty], ways[i].name);
        aborts(go_guilty, (void *)(uintptr_t)&ways[i], "invalid call", "inside a hook");
      }
}

/* Freeing by hand, resolving and looking at marks is allowed in every hook. */
static void *victims[HOOKS][40];
static size_t freed_in_hooks;

static void free_in_hook(hook which) {
  scalloc_rt_ref ref;
  for (size_t i = 0; i < LENGTH(victims[which]); i++) {
    void *block = victims[which][i];
    if (block == NULL) continue;
    victims[which][i] = NULL;
    CHECK(scalloc_rt_resolve(guilty_world.heap, block, false, &ref) && !scalloc_rt_is_marked(ref));
    scalloc_rt_free(guilty_world.mutator, block);
    freed_in_hooks++;
    return;
  }
}
static void acquire_frees(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  (void)ud, (void)span, (void)info;
  free_in_hook(ACQUIRE);
}
static bool release_frees(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)span, (void)info;
  if (why == SCALLOC_RT_DEAD) free_in_hook(RELEASE);
  return true;
}
static void swept_frees(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t n) {
  (void)ud, (void)span, (void)info, (void)dead, (void)n;
  free_in_hook(SWEPT);
}
static bool disclaim_frees(void *ud, scalloc_rt_ref ref, void *object) {
  (void)ud, (void)ref, (void)object;
  free_in_hook(DISCLAIM);
  return true;
}

static void wrong_08_hooks_may_free_by_hand(void) {
  scalloc_rt_heap_conf conf = {
      .size = sizeof conf,
      .hooks = {
          .span_acquire = acquire_frees, .span_release = release_frees, .span_swept = swept_frees, .disclaim = disclaim_frees}};
  guilty_world = world_new(&conf, SCALLOC_RT_DISCLAIM, 700);
  size_t size[2];
  int kind = kind_with(guilty_world.heap, SCALLOC_RT_UNCOLLECTABLE);
  unsigned slot[2] = {slot_for(guilty_world.heap, kind, 100000, &size[0]), slot_for(guilty_world.heap, kind, 64, &size[1])};
  for (hook h = ACQUIRE; h <= DISCLAIM; h++)
    for (size_t i = 0; i < LENGTH(victims[h]); i++)
      victims[h][i] = i % 4 == 3 ? scalloc_rt_alloc_large(guilty_world.mutator, kind, 2 * MB)
                                 : scalloc_rt_alloc(guilty_world.mutator, slot[i % 2], size[i % 2]);
  for (int round = 0; round < 30; round++) {
    for (int i = 0; i < 3000; i++) world_alloc(&guilty_world);
    scalloc_rt_retire(guilty_world.mutator);
    cycle(guilty_world.heap);
    if (round % 2) scalloc_rt_sweep(guilty_world.heap, guilty_world.mutator, SIZE_MAX);
  }
  for (hook h = ACQUIRE; h <= DISCLAIM; h++)
    for (size_t i = 0; i < LENGTH(victims[h]); i++)
      if (victims[h][i]) scalloc_rt_free(guilty_world.mutator, victims[h][i]);
  CHECK_INT(freed_in_hooks, >=, 100);
  cycle(guilty_world.heap);
  sweep_all(guilty_world.heap);
  CHECK_INT(glue_now(guilty_world.heap).live, ==, 0);
  CHECK_INT(glue_now(guilty_world.heap).committed, ==, 0);
  world_end(&guilty_world);
  check_ends();
}

/* The hook of a span that is being swept looks at the span itself: of four blocks one lives. */
static size_t looked;
static bool look_around(void *ud, scalloc_rt_ref ref, void *object) {
  scalloc_rt_heap *heap = guilty_world.heap;
  size_t size = guilty_world.size;
  (void)ud;
  CHECK(scalloc_rt_block(ref, NULL) == object);
  const char *first = (const char *)object - ref.block % 4 * size; /* of four, the one that lives */
  CHECK(is_live(heap, first) && !is_live(heap, (const char *)object));
  CHECK(!scalloc_rt_is_marked(ref));
  looked++;
  return true;
}

static void wrong_08_hooks_may_look_at_the_span_itself(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.disclaim = look_around}};
  guilty_world = world_new(&conf, SCALLOC_RT_DISCLAIM, 64);
  void *blocks[400];
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&guilty_world);
  scalloc_rt_retire(guilty_world.mutator);
  scalloc_rt_cycle_begin(guilty_world.heap);
  for (size_t i = 0; i < LENGTH(blocks); i++)
    if (ref_of(guilty_world.heap, blocks[i]).block % 4 == 0) mark(guilty_world.heap, blocks[i]);
  scalloc_rt_cycle_end(guilty_world.heap);
  alarm(20);
  sweep_all(guilty_world.heap);
  CHECK_INT(looked, ==, LENGTH(blocks) / 4 * 3);
  world_end(&guilty_world);
  check_ends();
}

/* ---- 9: pressure in pressure ------------------------------------------------------------------------------------------ */

static int depth, deepest, calls[SCALLOC_RT_STOP + 1];
static world pressed;

static bool greedy(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes;
  depth++;
  calls[why]++;
  if (depth > deepest) deepest = depth;
  for (int i = 0; i < 100; i++) { /* beyond the budget and beyond the limit */
    m->budget = -1;
    scalloc_rt_alloc(m, pressed.slot, pressed.size);
    scalloc_rt_alloc_large(m, 0, 700000);
  }
  cycle(pressed.heap);
  scalloc_rt_sweep(pressed.heap, m, SIZE_MAX);
  m->budget = 100000;
  depth--;
  return true;
}

/* The hook allocates more than may be had, sets the budget so that it would be called again, and collects. */
static void wrong_09_pressure_is_not_called_in_pressure(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = greedy}, .limit = 4 * MB};
  pressed = world_new(&conf, 0, 10000);
  for (int i = 0; i < 2000; i++) world_alloc(&pressed);
  for (int i = 0; i < 50; i++) CHECK(scalloc_rt_alloc_large(pressed.mutator, 0, 900000) != NULL);
  printf("  called for the budget %d times, for the limit %d times\n", calls[SCALLOC_RT_BUDGET], calls[SCALLOC_RT_LIMIT]);
  CHECK_INT(deepest, ==, 1);
  CHECK_INT(calls[SCALLOC_RT_BUDGET], >, 10);
  CHECK_INT(glue_now(pressed.heap).committed, <=, 4 * (long long)MB);
  world_end(&pressed);
  check_ends();
}

/* ---- 16: what died is told before it is reused ------------------------------------------------------------------------ */

static unsigned char owed[1 << 16][SCALLOC_RT_BLOCKS]; /* of a span and block: 1 = handed out, and its death not told yet */
static size_t told;

static void tell(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t n) {
  uint32_t seen = 0;
  (void)ud;
  CHECK(span < LENGTH(owed) && info->blocks <= SCALLOC_RT_BLOCKS);
  for (uint32_t i = 0; i < SCALLOC_RT_BLOCKS; i++)
    if (dead[i / 64] >> i % 64 & 1) {
      CHECK(i < info->blocks && owed[span][i] == 1);
      owed[span][i] = 0;
      seen++;
    }
  CHECK(seen == n && n > 0);
  told += n;
}

static bool all_told(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud;
  for (uint32_t i = 0; i < info->blocks && why == SCALLOC_RT_DEAD; i++) CHECK(owed[span][i] == 0);
  return true;
}

/* Every block that is handed out was never alive, or its death was told; each death once, and before its span is released. */
static void wrong_16_the_dead_are_told_before_reuse(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_swept = tell, .span_release = all_told}};
  world w = world_new(&conf, 0, 96);
  size_t handed_out = 0, large_size;
  unsigned large_slot = slot_for(w.heap, 0, 30000, &large_size);
  rng random = {16};
  for (long round = 0; round < scaled(60); round++) {
    enum { BLOCKS = 6000 };
    static void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
      size_t kind = rng_below(&random, 400);
      blocks[i] = kind == 0   ? scalloc_rt_alloc_large(w.mutator, 0, 2 * MB + 1)
                  : kind < 20 ? scalloc_rt_alloc(w.mutator, large_slot, large_size)
                              : world_alloc(&w);
      scalloc_rt_ref ref = ref_of(w.heap, blocks[i]);
      CHECK(owed[ref.span][ref.block] == 0);
      owed[ref.span][ref.block] = 1;
      handed_out++;
    }
    if (rng_percent(&random, 50)) scalloc_rt_retire(w.mutator);
    scalloc_rt_cycle_begin(w.heap);
    for (size_t i = 0; i < BLOCKS; i++)
      if (rng_percent(&random, 30)) mark(w.heap, blocks[i]);
    scalloc_rt_cycle_end(w.heap);
    if (rng_percent(&random, 30)) scalloc_rt_sweep(w.heap, w.mutator, rng_below(&random, 100));
  }
  scalloc_rt_detach(w.mutator);
  cycle(w.heap);
  sweep_all(w.heap);
  CHECK_INT(told, ==, handed_out);
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(wrong_07_finalizable_objects_are_marked_before_the_end), PART(wrong_07_no_object_comes_back_after_the_end),
           PART(wrong_08_hook_allocates), PART(wrong_08_hooks_may_free_by_hand),
           PART(wrong_08_hooks_may_look_at_the_span_itself), PART(wrong_09_pressure_is_not_called_in_pressure),
           PART(wrong_16_the_dead_are_told_before_reuse))
