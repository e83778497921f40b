/*
 * fork_scenes.h - the scenes of fork_steps: what the main thread prepares, what another thread does before it is stepped and
 * while it is, and the blocks and the heap that they leave for a child to find.
 */
#ifndef FORK_SCENES_H
#define FORK_SCENES_H

#include "nursery.h"
#include "thread.h"

#include "life.h"

enum { ARENA = 192 << 20, LIMIT = 96 << 20, KEPT = 60, BIG = 200 << 10 };

static void *kept[KEPT], *others[KEPT]; /* blocks of the main thread; of the thread that is stepped, or of an earlier one */
static heap *its_heap;                  /* a heap of the program that the stepped thread uses */
static bool at_limit;                   /* nothing can be allocated before something was freed */

static void allocate(void **blocks, size_t from, size_t to, size_t size) {
  for (size_t i = from; i < to; i++) {
    CHECK(blocks[i] = scalloc_malloc(size));
    fill(blocks[i], size);
  }
}

/* The same by the thread that is stepped: nothing but the allocator should take many instructions. */
static void take(void **blocks, size_t from, size_t to, size_t size) {
  for (size_t i = from; i < to; i++) CHECK(blocks[i] = scalloc_malloc(size));
}

static void release(void **blocks, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) {
    void *one = blocks[i];
    blocks[i] = NULL; /* first: from here on no child has it */
    atomic_signal_fence(memory_order_seq_cst);
    scalloc_free(one);
  }
}

/* Blocks of a young heap that are in use while others come and go. */
enum { YOUNG = 48 };
static unsigned char *young[YOUNG];
static size_t young_size(size_t i) { return 24 + 16 * i; }

/* ---- the scenes ------------------------------------------------------------------------------------------------------ */

static void nothing(void) {}

static void malloc_and_free(void) { scalloc_free(scalloc_malloc(100)); }

static void carve_and_grow(void) {
  for (size_t size = 8; size <= 5000; size = size * 3 + 8)
    for (int i = 0; i < 3; i++) CHECK(scalloc_malloc(size) != NULL);
  for (int i = 0; i < 10; i++) CHECK(scalloc_malloc(5000) != NULL);
}

static void fill_spans(void) { take(others, 0, 24, BIG); }
static void free_spans(void) { release(others, 0, 24); }
static void fill_and_free_spans(void) {
  take(others, 0, 20, 900 << 10);
  release(others, 0, 20);
}
static void keep_spans(void) { allocate(kept, 0, KEPT, BIG); }

/* Blocks of the main thread's spans that are not hot, some spans to the last. */
static void free_foreign(void) { release(kept, 0, 24); }

static void *leave_others(void *argument) {
  fill_spans();
  return argument;
}
static void let_a_thread_leave_others(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, leave_others, NULL) == 0 && pthread_join(thread, NULL) == 0);
}
static void let_a_thread_leave_reusable_spans(void) {
  let_a_thread_leave_others();
  for (size_t i = 0; i < 24; i += 2) release(others, i, i + 1);
}

static void make_reusable(void) {
  fill_spans();
  for (size_t i = 0; i < 24; i += 2) release(others, i, i + 1);
}
static void allocate_again(void) {
  for (size_t i = 0; i < 24; i += 2) take(others, i, i + 1, BIG);
}

static atomic_int stage;
static void *free_half_of_others(void *argument) {
  for (size_t i = 0; i < 24; i += 2) release(others, i, i + 1);
  return argument;
}
static void fill_and_have_half_freed(void) { /* by a third thread: shared spans, mail, a remote list in the hot span */
  pthread_t thread;
  fill_spans();
  CHECK(pthread_create(&thread, NULL, free_half_of_others, NULL) == 0 && pthread_join(thread, NULL) == 0);
}
static void free_other_half(void) {
  for (size_t i = 1; i < 24; i += 2) release(others, i, i + 1);
}

/* No block moves: a copy would be a million instructions. */
static void large_blocks(void) {
  char *a = scalloc_malloc(3 * MB), *b = scalloc_malloc(5 * MB);
  CHECK(a && b);
  a[0] = a[2 * MB] = b[0] = b[2 * MB] = b[4 * MB] = 1;
  scalloc_free(a);
  CHECK(scalloc_realloc(b, 9 * MB) == b && scalloc_realloc(b, 3 * MB) == b);
  CHECK(a = scalloc_aligned_alloc(8 * MB, 3 * MB));
  scalloc_free(a);
  scalloc_free(b);
  CHECK(a = scalloc_malloc(2 * MB));
  scalloc_free(a);
}
static void large_block_of_the_pool(void) {
  void *a = scalloc_malloc(9 * MB);
  CHECK(a != NULL);
  scalloc_free(a);
}

static void use_its_heap(void) {
  for (size_t size = 24; size <= 72; size += 16)
    for (size_t i = 0; i < 4096 / size + 1; i++) CHECK(heap_allocate_class(its_heap, class_of(size)) != NULL);
}
static void make_user_heap(void) { CHECK(its_heap = heap_create(HEAP_USER)); }
static void make_exclusive_heap(void) { CHECK(its_heap = heap_create(HEAP_EXCLUSIVE)); }
static void fill_its_heap(void) {
  for (int i = 0; i < 20; i++) CHECK(scalloc_heap_malloc(its_heap, BIG) && scalloc_heap_malloc(its_heap, 40));
  CHECK(scalloc_heap_malloc(its_heap, 3 * MB) != NULL);
}
/* The hot spans of all sizes change: their entries in the table are rewritten one by one. */
static void exhaust_hot_spans(void) {
  for (size_t size = 8; size <= 1024; size += size / 2 + 8) {
    heap *h = its_heap;
    span *s = h->hot[heap_hot_slot(class_of(size))];
    if (s == &heap_no_span) CHECK(heap_allocate_class(h, class_of(size)) && (s = h->hot[heap_hot_slot(class_of(size))]));
    while (half_load_relaxed(&s->used) < (SPAN_BYTES - s->first) / s->block) CHECK(heap_allocate_class(h, class_of(size)));
  }
}
static void allocate_past_exhausted(void) {
  for (size_t size = 8; size <= 1024; size += size / 2 + 8) CHECK(heap_allocate_class(its_heap, class_of(size)) != NULL);
}
static void heap_life(void) {
  heap *h = heap_create(HEAP_USER);
  for (size_t size = 8; size <= 3 * MB; size *= 4) CHECK(scalloc_heap_malloc(h, size) != NULL);
  scalloc_heap_destroy(h);
}
static void destroy_a_heap(void) {
  heap *h = its_heap;
  its_heap = NULL; /* nobody else may use it from here on */
  heap_end(h);
}

static void make_young_heap(void) {
  CHECK((its_heap = heap_create_young()) != NULL && heap_is_young(its_heap));
  for (size_t i = 0; i < YOUNG; i++) {
    CHECK(young[i] = heap_allocate_class(its_heap, class_of(young_size(i))));
    fill(young[i], young_size(i));
  }
}
/* A cell is used up, and then another. */
static void fill_cells(void) {
  for (size_t size = 8; size <= 4000; size += size / 2 + 8)
    for (size_t i = 0; i <= 1500 / size; i++) CHECK(heap_allocate_class(its_heap, class_of(size)) != NULL);
}
static void leave_scraps(void) {
  for (size_t size = 500; size <= 3500; size += 500) {
    others[size / 500] = heap_allocate_class(its_heap, class_of(size));
    CHECK(others[size / 500] != NULL);
  }
  fill_cells();
  for (size_t size = 500; size <= 3500; size += 500) nursery_free(its_heap, others[size / 500], size);
}
static void cut_scraps_up(void) {
  for (int i = 0; i < 60; i++) CHECK(heap_allocate_class(its_heap, class_of((size_t)(100 + i))) != NULL);
}
static void shrink_blocks(void) {
  for (size_t i = 0; i < 8; i++) {
    char *one = heap_allocate_class(its_heap, class_of(1000));
    CHECK(one != NULL);
    nursery_shrink(its_heap, one, 1000, 40 + 8 * i);
    nursery_free(its_heap, one, 40 + 8 * i);
  }
}
static void young_life(void) {
  heap *h = heap_create_young();
  for (size_t size = 40; size <= 4000; size *= 2)
    for (int i = 0; i < 8; i++) CHECK(heap_allocate_class(h, class_of(size)) != NULL);
  heap_empty(h);
  CHECK(heap_allocate_class(h, 3) != NULL);
  heap_end(h);
}

static void fill_pool(void) {
  fill_spans();
  free_spans();
  char *a = scalloc_malloc(3 * MB), *b = scalloc_malloc(3 * MB);
  CHECK(a && b);
  scalloc_free(a);
  scalloc_free(b);
}
static void purge(void) { scalloc_purge(); }

/* All of the arena is in single spans, so that a run has to be made of the pool's. */
static void exhaust_arena(void) {
  static void *all[1024];
  size_t n = 0;
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 2L * ARENA));
  while (n < LENGTH(all) && (all[n] = scalloc_malloc(2 * MB - (64 << 10)))) n++;
  CHECK(n > 20 && n < LENGTH(all));
  for (size_t i = 0; i < n; i++) scalloc_free(all[i]);
  for (size_t k = 0; k < 6; k++) kept[k] = scalloc_malloc(BIG), fill(kept[k], BIG);
}
static void fill_up(void) {
  fill_spans();
  while (scalloc_malloc(BIG)) continue;
}
static void use_what_is_left(void) {
  CHECK(scalloc_malloc(BIG) == NULL && scalloc_malloc(3 * MB) == NULL);
  free_spans();
  for (int i = 0; i < 4; i++) CHECK(scalloc_malloc(BIG / 2) != NULL);
  scalloc_free(scalloc_malloc(3 * MB)); /* there may be room */
}
static void keep_spans_to_free_first(void) {
  keep_spans();
  at_limit = true;
}

static const struct scene {
  const char *name;
  void (*prepare)(void), (*before)(void), (*act)(void);
  bool exits; /* the exit of the thread is stepped too */
} scenes[] = {
    {"the first allocation of the process", nothing, nothing, malloc_and_free, false},
    {"a thread's first allocation", malloc_and_free, nothing, malloc_and_free, false},
    {"carving and growing", malloc_and_free, nothing, carve_and_grow, false},
    {"filling spans", malloc_and_free, malloc_and_free, fill_spans, false},
    {"filling and freeing spans", malloc_and_free, malloc_and_free, fill_and_free_spans, false},
    {"frees of own blocks", malloc_and_free, fill_spans, free_spans, false},
    {"frees of another's blocks", keep_spans, malloc_and_free, free_foreign, false},
    {"frees of another's blocks by a thread without a heap", keep_spans, nothing, free_foreign, false},
    {"frees of a gone thread's blocks", let_a_thread_leave_others, nothing, free_spans, false},
    {"adoption", let_a_thread_leave_reusable_spans, nothing, allocate_again, false},
    {"reuse", malloc_and_free, make_reusable, allocate_again, false},
    {"mail, and the remote list", malloc_and_free, fill_and_have_half_freed, allocate_again, false},
    {"own frees into shared spans", malloc_and_free, fill_and_have_half_freed, free_other_half, false},
    {"large blocks", malloc_and_free, malloc_and_free, large_blocks, false},
    {"a user heap", make_user_heap, nothing, use_its_heap, false},
    {"an exclusive heap", make_exclusive_heap, nothing, use_its_heap, false},
    {"new hot spans of a user heap", make_user_heap, exhaust_hot_spans, allocate_past_exhausted, false},
    {"a heap's life", malloc_and_free, malloc_and_free, heap_life, false},
    {"the end of a heap", make_user_heap, fill_its_heap, destroy_a_heap, false},
    {"the end of an exclusive heap", make_exclusive_heap, fill_its_heap, destroy_a_heap, false},
    {"a young heap", make_young_heap, nothing, fill_cells, false},
    {"scraps of a young heap", make_young_heap, leave_scraps, cut_scraps_up, false},
    {"blocks of a young heap that shrink", make_young_heap, fill_cells, shrink_blocks, false},
    {"a young heap's life", malloc_and_free, malloc_and_free, young_life, false},
    {"the end of a young heap", make_young_heap, fill_cells, destroy_a_heap, false},
    {"purge", malloc_and_free, fill_pool, purge, false},
    {"pool into runs", exhaust_arena, nothing, large_block_of_the_pool, false},
    {"the limit", keep_spans_to_free_first, fill_up, use_what_is_left, false},
    {"the exit of a thread", malloc_and_free, carve_and_grow, nothing, true},
    {"the exit of a thread with reusable spans", malloc_and_free, make_reusable, nothing, true},
    {"the exit of a thread with shared spans", malloc_and_free, fill_and_have_half_freed, nothing, true},
};

#endif
