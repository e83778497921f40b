/* heaps.c - heaps, kinds, slots and mutators against the public header: what they give, and every error it states. */
#include "glue_api.h"

static void check_errno(int expected, int line) {
  if (errno != expected) test_fail(__FILE__, line, "errno is %d, not %d", errno, expected);
  errno = 0;
}
#define CHECK_ERRNO(expected) check_errno((expected), __LINE__)

static void a_conf_of_unknown_size(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf};
  errno = 0;
  for (size_t size = 0; size < 2 * sizeof conf; size++) {
    conf.size = size;
    scalloc_rt_heap *heap = scalloc_rt_heap_create(&conf);
    CHECK((heap != NULL) == (size == sizeof conf));
    if (heap == NULL) CHECK_ERRNO(EINVAL);
    scalloc_rt_heap_destroy(heap);
  }
  scalloc_rt_heap_destroy(NULL);
  scalloc_rt_detach(NULL);
  scalloc_rt_free(NULL, NULL);
}

static void many_heaps(void) {
  enum { HEAPS = 500 };
  static world worlds[HEAPS];
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < HEAPS; i++) {
      worlds[i] = world_new(NULL, 0, 16 + i);
      fill(world_alloc(&worlds[i]), worlds[i].size);
    }
    for (size_t i = 0; i < HEAPS; i++) CHECK_INT(glue_now(worlds[i].heap).live, ==, (long long)worlds[i].size);
    for (size_t i = 0; i < HEAPS; i++) world_end(&worlds[(i * 7) % HEAPS]);
  }
  check_ends();
}

static int kind_of(scalloc_rt_heap *heap, scalloc_rt_kind_conf conf) { return scalloc_rt_kind_new(heap, &conf); }

static void kinds_and_what_they_refuse(void) {
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  static const uint64_t layout[2] = {1, 2};
  size_t size = sizeof(scalloc_rt_kind_conf);
  errno = 0;
  for (size_t wrong = 0; wrong < 2 * size; wrong++)
    if (wrong != size) {
      CHECK_INT(kind_of(heap, (scalloc_rt_kind_conf){.size = wrong}), ==, -1);
      CHECK_ERRNO(EINVAL);
    }
  for (unsigned bit = 7; bit < 32; bit++) {
    CHECK_INT(kind_of(heap, (scalloc_rt_kind_conf){.size = size, .flags = 1u << bit}), ==, -1);
    CHECK_ERRNO(EINVAL);
  }
  for (size_t align = 1; align < 20000; align++)
    if ((align & (align - 1)) != 0 || align > 4096) {
      CHECK_INT(kind_of(heap, (scalloc_rt_kind_conf){.size = size, .align = align}), ==, -1);
      CHECK_ERRNO(EINVAL);
    }
  CHECK_INT(kind_of(heap, (scalloc_rt_kind_conf){.size = size, .align = (size_t)1 << 63}), ==, -1);
  CHECK_INT(scalloc_rt_kind_new(heap, NULL), ==, 0);
  for (int i = 1; i < SCALLOC_RT_KINDS; i++) {
    scalloc_rt_kind_conf conf = {.size = size, .flags = (unsigned)i * 4 % 128, .layout = i % 2 ? layout : NULL, .name = "some"};
    CHECK_INT(scalloc_rt_kind_new(heap, &conf), ==, i);
  }
  CHECK_INT(scalloc_rt_kind_new(heap, NULL), ==, -1);
  CHECK_ERRNO(ENOMEM);
  for (int i = 1; i < SCALLOC_RT_KINDS; i++) {
    CHECK_INT(scalloc_rt_kind_flags(heap, i), ==, i * 4 % 128);
    CHECK(scalloc_rt_kind_layout(heap, i) == (i % 2 ? layout : NULL));
  }
  scalloc_rt_heap_destroy(heap);
}

/* Every size of every alignment: enough, aligned, the same slot when asked again, and not a quarter too much. */
static void slots_of_every_size(void) {
  for (size_t align = 1; align <= 4096; align *= 2) {
    scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
    int kind = kind_of(heap, (scalloc_rt_kind_conf){.size = sizeof(scalloc_rt_kind_conf), .align = align});
    size_t before = 0, rounded, again;
    for (size_t size = 1; size <= MB; size += size < 5000 ? 1 : 977) {
      unsigned slot = slot_for(heap, kind, size, &rounded);
      CHECK(rounded >= size && rounded % align == 0 && rounded >= before);
      if (size >= 8 * align && size >= 64) CHECK_INT(rounded, <=, size + size / 4);
      CHECK(scalloc_rt_slot(heap, kind, size, NULL) == slot && scalloc_rt_slot(heap, kind, rounded, &again) == slot);
      CHECK(again == rounded && slot < SCALLOC_RT_SLOTS);
      before = rounded;
    }
    CHECK(scalloc_rt_slot(heap, kind, MB, &rounded) != SCALLOC_RT_NO_SLOT && rounded == MB);
    scalloc_rt_heap_destroy(heap);
  }
}

static void slots_that_are_refused(void) {
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  size_t rounded = 77;
  errno = 0;
  CHECK(scalloc_rt_slot(heap, 0, 100, &rounded) == SCALLOC_RT_NO_SLOT);
  CHECK_ERRNO(EINVAL);
  int kind = kind_with(heap, 0);
  const size_t large[] = {MB + 1, 2 * MB, PTRDIFF_MAX, SIZE_MAX - 5000, SIZE_MAX};
  for (size_t i = 0; i < LENGTH(large); i++) {
    CHECK(scalloc_rt_slot(heap, kind, large[i], &rounded) == SCALLOC_RT_NO_SLOT);
    CHECK_ERRNO(EINVAL);
  }
  const int wrong[] = {-1, 1, 31, 32, 1000, INT32_MAX, INT32_MIN};
  for (size_t i = 0; i < LENGTH(wrong); i++) {
    CHECK(scalloc_rt_slot(heap, wrong[i], 100, &rounded) == SCALLOC_RT_NO_SLOT);
    CHECK_ERRNO(EINVAL);
  }
  CHECK_INT(rounded, ==, 77);
  CHECK(scalloc_rt_slot(heap, kind, 0, &rounded) != SCALLOC_RT_NO_SLOT); /* as for 1 */
  CHECK(scalloc_rt_slot(heap, kind, 1, NULL) == scalloc_rt_slot(heap, kind, 0, NULL));
  scalloc_rt_heap_destroy(heap);
}

/* Numbers are dense; the 513th is refused, and those that there are go on. */
static void more_slots_than_there_are(void) {
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  static bool seen[SCALLOC_RT_SLOTS];
  unsigned made = 0;
  bool refused = false;
  errno = 0;
  for (int i = 0; i < SCALLOC_RT_KINDS; i++) {
    int kind = kind_with(heap, 0);
    for (size_t size = 16; size <= MB; size += size < 256 ? 16 : size / 8) {
      unsigned slot = scalloc_rt_slot(heap, kind, size, NULL);
      if (slot == SCALLOC_RT_NO_SLOT) {
        CHECK_ERRNO(ENOMEM);
        refused = true;
        continue;
      }
      CHECK(slot <= made);
      made += slot == made;
      seen[slot] = true;
    }
  }
  CHECK(refused && made == SCALLOC_RT_SLOTS && seen[SCALLOC_RT_SLOTS - 1]);
  scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
  CHECK_INT(m->nslots, ==, SCALLOC_RT_SLOTS);
  for (int kind = 0; kind < 5; kind++)
    for (size_t size = 16, rounded; size < 10000; size *= 3) {
      unsigned slot = slot_for(heap, kind, size, &rounded);
      scalloc_rt_ref ref = ref_of(heap, scalloc_rt_alloc(m, slot, rounded));
      CHECK_INT(scalloc_rt_kind(ref), ==, kind);
    }
  scalloc_rt_heap_destroy(heap);
  check_ends();
}

static void mutators_and_what_is_published(void) {
  int mine = 0;
  world w = world_new(NULL, 0, 64);
  scalloc_rt_mutator *m = scalloc_rt_attach(w.heap, &mine);
  CHECK(m && m->rt == &mine && m->budget > 0 && m->poll == 0 && m->nslots == 1);
  for (size_t i = 0; i < SCALLOC_RT_SLOTS; i++) CHECK(m->hole[i].cur >= m->hole[i].lim);
  for (int i = 0; i < 5000; i++) { /* what compiled code may rely on */
    scalloc_rt_hole before = *(scalloc_rt_hole *)((char *)m + offsetof(scalloc_rt_mutator, hole) + 16 * w.slot);
    void *block = scalloc_rt_alloc(m, w.slot, w.size);
    if (before.cur + w.size <= before.lim) CHECK((uintptr_t)block == before.cur && m->hole[w.slot].cur == before.cur + w.size);
    CHECK(m->hole[w.slot].cur == (uintptr_t)block + w.size && m->hole[w.slot].cur <= m->hole[w.slot].lim);
  }
  scalloc_rt_retire(m);
  CHECK(m->hole[w.slot].cur >= m->hole[w.slot].lim);
  scalloc_rt_retire(m);
  scalloc_rt_detach(m);
  CHECK_INT(glue_now(w.heap).hot, ==, 0);
  for (int i = 0; i < 2000; i++) scalloc_rt_detach(scalloc_rt_attach(w.heap, NULL));
  world_end(&w);
  check_ends();
}

/* An idle mutator keeps nothing that no root leads to: neither a hole nor its last large block. */
static void retire_gives_up_the_last_large_block(void) {
  world w = world_new(NULL, 0, 64);
  void *large = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  CHECK(!is_live(w.heap, large));
  large = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  cycle(w.heap);
  CHECK(is_live(w.heap, large)); /* its address may be in a register yet */
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  CHECK(!is_live(w.heap, large));
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

/* ---- pressure and limits ---------------------------------------------------------------------------------------------- */

static size_t told_bytes, calls[SCALLOC_RT_STOP + 1];

static bool note_pressure(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  CHECK(m != NULL && why <= SCALLOC_RT_STOP);
  told_bytes += bytes;
  calls[why]++;
  if (why == SCALLOC_RT_BUDGET) m->budget = *(int64_t *)ud;
  return false;
}

/* The hook is called about once per budget, and hears of all that was handed out. */
static void budget_is_kept(void) {
  int64_t budget = 200000;
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = note_pressure}, .ud = &budget};
  world w = world_new(&conf, 0, 400);
  told_bytes = 0, memset(calls, 0, sizeof calls);
  w.mutator->budget = budget;
  size_t bytes = 0;
  for (int i = 0; i < 20000; i++) world_alloc(&w), bytes += w.size;
  for (int i = 0; i < 30; i++) CHECK(scalloc_rt_alloc_large(w.mutator, 0, 150000)), bytes += 150000;
  printf("  %zu calls for %zu bytes, %zu told\n", calls[SCALLOC_RT_BUDGET], bytes, told_bytes);
  CHECK_INT(calls[SCALLOC_RT_BUDGET], >=, bytes / (size_t)budget / 2);
  CHECK_INT(calls[SCALLOC_RT_BUDGET], <=, bytes / (size_t)budget * 3 / 2 + 2);
  CHECK_INT(told_bytes, <=, bytes + 100000);
  CHECK_INT(told_bytes, >=, bytes - 400000);
  size_t before = calls[SCALLOC_RT_BUDGET];
  scalloc_rt_account(w.mutator, 300000000);
  for (int i = 0; i < 200; i++) world_alloc(&w);
  CHECK_INT(calls[SCALLOC_RT_BUDGET], >, before);
  before = calls[SCALLOC_RT_BUDGET];
  w.mutator->budget = 1000;
  scalloc_rt_account(w.mutator, -300000000);
  for (int i = 0; i < 2000; i++) world_alloc(&w);
  CHECK_INT(calls[SCALLOC_RT_BUDGET], ==, before);
  world_end(&w);
  check_ends();
}

/* What is refused costs no budget, however large. */
static void refused_sizes_cost_nothing(void) {
  world w = world_new(NULL, 0, 400);
  int64_t before = w.mutator->budget;
  const size_t sizes[] = {PTRDIFF_MAX, SIZE_MAX, (size_t)1 << 62, PTRDIFF_MAX, SIZE_MAX - 4095, (size_t)1 << 50};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    errno = 0;
    CHECK(scalloc_rt_alloc_large(w.mutator, 0, sizes[i]) == NULL);
    CHECK_ERRNO(ENOMEM);
  }
  CHECK_INT(w.mutator->budget, ==, before);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

/* With a limit there is never more, refusals come after the hook, and what dies makes room. */
static void limit_is_kept(void) {
  int64_t budget = INT64_MAX;
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = note_pressure}, .ud = &budget, .limit = 5 * MB};
  world w = world_new(&conf, 0, 5000);
  memset(calls, 0, sizeof calls);
  CHECK_INT(glue_now(w.heap).limit, ==, 5 * (long long)MB);
  for (int round = 0; round < 20; round++) {
    size_t got = 0;
    while (scalloc_rt_alloc(w.mutator, w.slot, w.size)) got++;
    CHECK_INT(errno, ==, ENOMEM);
    CHECK_INT(got * w.size, >=, 4 * MB);
    CHECK_INT(glue_now(w.heap).committed, <=, 5 * (long long)MB);
    CHECK(scalloc_rt_alloc_large(w.mutator, 0, 2 * MB) == NULL);
    CHECK_INT(calls[SCALLOC_RT_LIMIT], >=, 2 * round + 2);
    scalloc_rt_retire(w.mutator);
    cycle(w.heap);
    CHECK(scalloc_rt_alloc_large(w.mutator, 0, 4 * MB)); /* by sweeping */
    scalloc_rt_retire(w.mutator);
    cycle(w.heap);
    world_alloc(&w); /* the large one is given up by the next slow path */
    scalloc_rt_retire(w.mutator);
    cycle(w.heap);
  }
  world_end(&w);
  check_ends();
}

/* The first two spans of a slot are a quarter as large as the later ones, the next two half as large; and so again for a slot whose
   spans have all died. */
static uint32_t sizes_of_spans[8];
static size_t spans_acquired;

static void note_blocks(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  (void)ud, (void)span;
  if (spans_acquired < LENGTH(sizes_of_spans)) sizes_of_spans[spans_acquired++] = info->blocks;
}

static void first_spans_are_small(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_acquire = note_blocks}};
  world w = world_new(&conf, 0, 16);
  for (int round = 0; round < 3; round++) {
    spans_acquired = 0;
    while (spans_acquired < LENGTH(sizes_of_spans)) world_alloc(&w);
    for (size_t i = 0; i < LENGTH(sizes_of_spans); i++)
      CHECK_INT(sizes_of_spans[i], ==, i < 2 ? SCALLOC_RT_BLOCKS / 4 : i < 4 ? SCALLOC_RT_BLOCKS / 2 : SCALLOC_RT_BLOCKS);
    scalloc_rt_retire(w.mutator);
    cycle(w.heap);
    sweep_all(w.heap);
    CHECK_INT(glue_spans(glue_now(w.heap)), ==, 0);
  }
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(a_conf_of_unknown_size), PART(many_heaps), PART(kinds_and_what_they_refuse), PART(slots_of_every_size),
           PART(slots_that_are_refused), PART(more_slots_than_there_are), PART(mutators_and_what_is_published),
           PART(retire_gives_up_the_last_large_block), PART(budget_is_kept), PART(refused_sizes_cost_nothing),
           PART(limit_is_kept), PART(first_spans_are_small))
