/* faults.c - misuse of the glue that is one line and abort(), each in a process of its own. */
#include "glue_api.h"

#define INVALID "invalid pointer"

static world w;
static int on_static;

static void start(unsigned flags) { w = world_new(NULL, flags, 256); }

/* ---- frees by hand ------------------------------------------------------------------------------------------------------ */

static void *once_freed(void) {
  void *block = world_alloc(&w);
  scalloc_rt_free(w.mutator, block);
  return block;
}

static void twice_while_hot(void *flags) {
  start(*(unsigned *)flags);
  scalloc_rt_free(w.mutator, once_freed());
}
static void twice_by_others(void *flags) {
  start(*(unsigned *)flags);
  scalloc_rt_free(NULL, once_freed());
}
static void twice_when_retired(void *flags) {
  start(*(unsigned *)flags);
  void *block = world_alloc(&w), *other = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  scalloc_rt_free(NULL, block);
  CHECK(other);
  scalloc_rt_free(NULL, block);
}
static void twice_when_the_span_is_gone(void *flags) {
  (void)flags;
  start(SCALLOC_RT_UNCOLLECTABLE);
  void *block = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  scalloc_rt_free(NULL, block);
  scalloc_rt_free(NULL, block);
}
static void twice_large(void *flags) {
  start(*(unsigned *)flags);
  void *block = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  scalloc_rt_free(NULL, block);
  scalloc_rt_free(NULL, block);
}
static void thread_frees(unsigned number, void *block) {
  (void)number;
  scalloc_rt_free(NULL, block);
}
static void twice_by_two_threads(void *flags) {
  start(*(unsigned *)flags);
  in_threads(2, thread_frees, world_alloc(&w));
}

static void interior(void *offset) {
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_rt_free(NULL, (char *)world_alloc(&w) + *(size_t *)offset);
}
static void interior_large(void *offset) {
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_rt_free(NULL, (char *)scalloc_rt_alloc_large(w.mutator, 0, 7 * MB) + *(size_t *)offset);
}
static void foreign(void *address) {
  start(SCALLOC_RT_UNCOLLECTABLE);
  world_alloc(&w);
  scalloc_rt_free(w.mutator, address);
}
static void of_malloc(void *size) {
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_rt_free(w.mutator, scalloc_malloc(*(size_t *)size));
}
static void dead_unswept(void *unused) {
  (void)unused;
  start(SCALLOC_RT_EXPLICIT_FREE);
  void *block = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  scalloc_rt_free(NULL, block);
}
static void dead_swept(void *unused) {
  (void)unused;
  start(SCALLOC_RT_EXPLICIT_FREE);
  void *block = world_alloc(&w), *kept = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle_keeping(w.heap, &kept, 1);
  sweep_all(w.heap);
  scalloc_rt_free(NULL, block);
}
static void dead_large(void *unused) {
  (void)unused;
  start(SCALLOC_RT_EXPLICIT_FREE);
  void *block = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  scalloc_rt_detach(w.mutator);
  cycle(w.heap);
  scalloc_rt_free(NULL, block);
}
static void in_a_hole(void *unused) {
  (void)unused;
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_rt_free(w.mutator, (char *)world_alloc(&w) + w.size);
}
static void behind_all_blocks(void *unused) {
  (void)unused;
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_rt_free(w.mutator, (char *)world_alloc(&w) + MB);
}
static void never_handed_out(void *unused) {
  (void)unused;
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_rt_free(w.mutator, (char *)world_alloc(&w) + 200 * w.size);
}
static void of_a_kind_of_cycles(void *large) {
  start(SCALLOC_RT_NOSCAN);
  scalloc_rt_free(w.mutator, *(bool *)large ? scalloc_rt_alloc_large(w.mutator, 0, 3 * MB) : world_alloc(&w));
}

static void frees_by_hand(void) {
  unsigned flags[] = {SCALLOC_RT_UNCOLLECTABLE, SCALLOC_RT_EXPLICIT_FREE};
  for (size_t i = 0; i < LENGTH(flags); i++) {
    ABORTS(twice_while_hot, &flags[i], "double free", "freed before");
    ABORTS(twice_by_others, &flags[i], "double free", "freed before");
    ABORTS(twice_when_retired, &flags[i], "double free", "freed before");
    ABORTS(twice_by_two_threads, &flags[i], "double free", "freed before");
    ABORTS(twice_large, &flags[i], INVALID, "not in a span of a runtime's heap");
  }
  ABORTS(twice_when_the_span_is_gone, NULL, INVALID, "not in a span of a runtime's heap");
  size_t offsets[] = {1, 8, 16, 255}, large_offsets[] = {1, 4096, 2 * MB, 4 * MB + 16, 7 * MB - 1};
  for (size_t i = 0; i < LENGTH(offsets); i++) ABORTS(interior, &offsets[i], INVALID, "not a block");
  for (size_t i = 0; i < LENGTH(large_offsets); i++) ABORTS(interior_large, &large_offsets[i], INVALID, "inside a large block");
  int on_stack = 0;
  void *others[] = {&on_stack, &on_static, malloc(50), (void *)64, (void *)0xdeadbeefdeadbeef, (void *)UINTPTR_MAX};
  for (size_t i = 0; i < LENGTH(others); i++) ABORTS(foreign, others[i], INVALID, "not in a span of a runtime's heap");
  size_t sizes[] = {100, 100000, 3 * MB};
  for (size_t i = 0; i < LENGTH(sizes); i++) ABORTS(of_malloc, &sizes[i], INVALID, "not in a span of a runtime's heap");
  ABORTS(dead_unswept, NULL, INVALID, "no live block");
  ABORTS(dead_swept, NULL, INVALID, "no live block");
  ABORTS(dead_large, NULL, INVALID, "no live block");
  ABORTS(in_a_hole, NULL, INVALID, "no live block");
  ABORTS(behind_all_blocks, NULL, INVALID, "not a block");
  ABORTS(never_handed_out, NULL, INVALID, "no live block");
  bool large[] = {false, true};
  for (size_t i = 0; i < 2; i++) ABORTS(of_a_kind_of_cycles, &large[i], INVALID, "only cycles free");
  free(others[2]);
}

/* ---- the functions of malloc on blocks of a runtime ---------------------------------------------------------------------- */

static void free_as_malloc(void *large) {
  start(SCALLOC_RT_UNCOLLECTABLE);
  scalloc_free(hidden(*(bool *)large ? scalloc_rt_alloc_large(w.mutator, 0, 3 * MB) : world_alloc(&w)));
}
static void realloc_as_malloc(void *large) {
  start(0);
  scalloc_realloc(hidden(*(bool *)large ? scalloc_rt_alloc_large(w.mutator, 0, 3 * MB) : world_alloc(&w)), 1000);
}
static void heap_free_as_malloc(void *large) {
  start(0);
  void *block = *(bool *)large ? scalloc_rt_alloc_large(w.mutator, 0, 3 * MB) : world_alloc(&w);
  scalloc_heap_free(scalloc_heap_new(), hidden(block));
}

static void functions_of_malloc(void) {
  bool large[] = {false, true};
  for (size_t i = 0; i < 2; i++) {
    ABORTS(free_as_malloc, &large[i], INVALID, "runtime's heap");
    ABORTS(realloc_as_malloc, &large[i], INVALID, "runtime's heap");
    ABORTS(heap_free_as_malloc, &large[i], INVALID, "runtime's heap");
  }
}

/* ---- calls that must not be ------------------------------------------------------------------------------------------------ */

static void begin_in_a_cycle(void *unused) {
  (void)unused;
  start(0);
  scalloc_rt_cycle_begin(w.heap);
  scalloc_rt_cycle_begin(w.heap);
}
static void end_without_begin(void *unused) {
  (void)unused;
  start(0);
  scalloc_rt_cycle_end(w.heap);
}
static void abort_without_begin(void *unused) {
  (void)unused;
  start(0);
  cycle(w.heap);
  scalloc_rt_cycle_abort(w.heap);
}
static void mark_holes_without_begin(void *unused) {
  (void)unused;
  start(0);
  scalloc_rt_mark_holes(w.heap);
}
static void slot_of_nobody(void *slot) {
  start(0);
  scalloc_rt_alloc(w.mutator, *(unsigned *)slot, w.size);
}
static void wrong_size(void *size) {
  start(0);
  scalloc_rt_alloc(w.mutator, w.slot, *(size_t *)size);
}
static void many_of_a_slot_of_nobody(void *slot) {
  void *out[5];
  start(0);
  scalloc_rt_alloc_many(w.mutator, *(unsigned *)slot, out, 5);
}
static void large_of_no_kind(void *kind) {
  start(0);
  scalloc_rt_alloc_large(w.mutator, *(int *)kind, 5000);
}
static void release_what_was_not_put_off(void *span) {
  start(0);
  scalloc_rt_ref ref = ref_of(w.heap, world_alloc(&w));
  scalloc_rt_span_release(*(int *)span == 0 ? ref.span : (scalloc_rt_span) * (int *)span);
}
static bool put_off(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)info, (void)why;
  *(scalloc_rt_span *)ud = span;
  return false;
}
static void release_twice(void *unused) {
  scalloc_rt_span span = 0;
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .ud = &span, .hooks = {.span_release = put_off}};
  (void)unused;
  w = world_new(&conf, 0, 256);
  world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).deferred, ==, 1);
  scalloc_rt_span_release(span);
  CHECK_INT(glue_now(w.heap).deferred, ==, 0);
  scalloc_rt_span_release(span);
}

static void calls_that_must_not_be(void) {
  ABORTS(begin_in_a_cycle, NULL, "invalid call", "in a cycle");
  ABORTS(end_without_begin, NULL, "invalid call", "without a cycle");
  ABORTS(abort_without_begin, NULL, "invalid call", "without a cycle");
  ABORTS(mark_holes_without_begin, NULL, "invalid call", "without a cycle");
  unsigned slots[] = {1, 100, SCALLOC_RT_SLOTS - 1};
  for (size_t i = 0; i < LENGTH(slots); i++) ABORTS(slot_of_nobody, &slots[i], "invalid slot", "no slot of this heap");
  for (size_t i = 0; i < LENGTH(slots); i++)
    ABORTS(many_of_a_slot_of_nobody, &slots[i], "invalid slot", "no slot of this heap");
  size_t sizes[] = {8, 255, 257};
  for (size_t i = 0; i < LENGTH(sizes); i++) ABORTS(wrong_size, &sizes[i], "invalid slot", "no slot of this heap");
  int kinds[] = {-1, 1, 32, INT32_MAX};
  for (size_t i = 0; i < LENGTH(kinds); i++) ABORTS(large_of_no_kind, &kinds[i], "invalid kind", "no kind of this heap");
  int spans[] = {0, -1, 50000};
  for (size_t i = 0; i < LENGTH(spans); i++) ABORTS(release_what_was_not_put_off, &spans[i], "invalid span", "not put off");
  ABORTS(release_twice, NULL, "invalid span", "not put off");
}

/* ---- marks of what is not allocated ------------------------------------------------------------------------------------------- */

/* Each says which block is to be marked wrongly, in a cycle that runs. */
static void *dead_but_unswept(void) {
  start(0);
  void *block = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  scalloc_rt_cycle_begin(w.heap);
  return block;
}
static void *dead_beside_a_live_one(void) {
  start(0);
  void *block = world_alloc(&w), *kept = world_alloc(&w);
  cycle_keeping(w.heap, &kept, 1);
  scalloc_rt_cycle_begin(w.heap);
  return block;
}
static void *swept(void) {
  start(0);
  void *block = world_alloc(&w), *kept = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle_keeping(w.heap, &kept, 1);
  sweep_all(w.heap);
  scalloc_rt_cycle_begin(w.heap);
  mark(w.heap, kept);
  return block;
}
static void *freed_by_hand(void) {
  start(SCALLOC_RT_EXPLICIT_FREE);
  void *block = once_freed();
  scalloc_rt_cycle_begin(w.heap);
  return block;
}
static void *freed_uncollectable(void) {
  start(SCALLOC_RT_UNCOLLECTABLE);
  void *block = once_freed();
  scalloc_rt_cycle_begin(w.heap);
  return block;
}
static void *still_in_the_hole(void) {
  start(0);
  void *block = world_alloc(&w);
  scalloc_rt_cycle_begin(w.heap);
  return (char *)block + w.size;
}
static void *in_the_middle(void) {
  start(0);
  void *block = world_alloc(&w);
  scalloc_rt_cycle_begin(w.heap);
  return (char *)block + 16;
}
static void *large_and_dead(void) {
  start(0);
  void *block = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  scalloc_rt_cycle_begin(w.heap);
  return block;
}

static void assert_that_it_lives(void *block) { scalloc_rt_assert_live(block); }
#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
static void mark_block(void *block) { scalloc_rt_mark_block(block, &(scalloc_rt_ref){0, 0}); }
static void mark_live(void *block) {
  uintptr_t cookie;
  scalloc_rt_marker marker = scalloc_rt_marker_of(w.heap, false);
  scalloc_rt_mark_live(&marker, block, &cookie);
}
static void mark_ref(void *block) { /* of a block of this size that starts there, or has started before */
  scalloc_rt_ref ref = {
      (scalloc_rt_span)(((uintptr_t)block - scalloc_rt_marker_of(w.heap, true).base) >> SCALLOC_RT_SPAN_SHIFT), 0};
  size_t size;
  const char *first = scalloc_rt_block(ref, &size);
  ref.block = (uint32_t)((size_t)((char *)block - first) / size);
  scalloc_rt_mark(ref);
}
#endif

typedef struct wrong_mark {
  void *(*block)(void);
  void (*mark)(void *block);
} wrong_mark;

static void mark_wrongly(void *context) {
  const wrong_mark *wrong = context;
  wrong->mark(wrong->block());
}

/* In builds without assertions only who asks is told. */
static void marks_of_what_is_not_allocated(void) {
  static void *(*const blocks[])(void) = {dead_but_unswept,    dead_beside_a_live_one, swept,          freed_by_hand,
                                          freed_uncollectable, still_in_the_hole,      large_and_dead, in_the_middle};
  static void (*const marks[])(void *) = {
    assert_that_it_lives,
#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
    mark_block,
    mark_live,
    mark_ref,
#endif
  };
  for (size_t i = 0; i < LENGTH(blocks); i++)
    for (size_t k = 0; k < LENGTH(marks); k++)
      if (k < 3 || blocks[i] != in_the_middle) /* which no reference can name */
        aborts(mark_wrongly, &(wrong_mark){blocks[i], marks[k]}, INVALID, "to be marked, but no live block");
  printf("  %zu blocks in %zu ways\n", LENGTH(blocks), LENGTH(marks));
}

PARTS_MAIN(PART(frees_by_hand), PART(functions_of_malloc), PART(calls_that_must_not_be), PART(marks_of_what_is_not_allocated))
