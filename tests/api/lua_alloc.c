/* scalloc_lua_alloc against the contract of lua_Alloc (Lua 5.1 to 5.5), without a Lua; used and peak to the byte. */
#include "../test.h"
#include <pthread.h>
#include <scalloc/lua_alloc.h>

static const size_t tags[] = {0, 4, 5, 6, 7, 8, 9, 10}; /* what Lua passes as osize for a new block */

static void *new_block(void *ud, size_t tag, size_t size) {
  void *block = scalloc_lua_alloc(ud, NULL, tag, size);
  CHECK(block != NULL);
  CHECK_INT((uintptr_t)block % (size % 16 == 0 ? 16 : 8), ==, 0);
  return block;
}

static void *resize(void *ud, void *block, size_t osize, size_t nsize) {
  void *moved = scalloc_lua_alloc(ud, block, osize, nsize);
  CHECK(moved != NULL);
  CHECK_INT((uintptr_t)moved % (nsize % 16 == 0 ? 16 : 8), ==, 0);
  CHECK(intact_prefix(moved, osize < nsize ? osize : nsize, block, osize));
  return moved;
}

static void free_block(void *ud, void *block, size_t size) { CHECK(scalloc_lua_alloc(ud, block, size, 0) == NULL); }

/* ---- the rows of the contract, for the thread's heap (ud NULL) and for a heap of its own ------------------------------ */

static void a_tag_is_no_size(void *ud) {
  for (size_t i = 0; i < LENGTH(tags); i++) {
    for (size_t size = 1; size <= 4096; size++) {
      unsigned char *block = new_block(ud, tags[i], size);
      fill(block, size);
      CHECK(intact(block, size));
      free_block(ud, block, size);
    }
  }
}

static void the_alignment_rule_holds(void *ud) {
  enum { COPIES = 7 };
  for (size_t size = 1; size <= 3 * MB; size += size < 4096 ? 1 : size / 50 / 16 * 16 + size % 3) {
    void *blocks[COPIES];
    for (size_t i = 0; i < COPIES; i++) blocks[i] = new_block(ud, tags[i], size);
    for (size_t i = 0; i < COPIES; i++) free_block(ud, blocks[i], size);
  }
}

static void freeing_nothing_is_nothing(void *ud) {
  stats before = stats_now();
  for (size_t i = 0; i < LENGTH(tags); i++)
    for (int k = 0; k < 1000; k++) CHECK(scalloc_lua_alloc(ud, NULL, tags[i], 0) == NULL);
  stats after = stats_now();
  CHECK(memcmp(&before, &after, sizeof before) == 0);
}

/* Content and alignment from every size to every size, same size included. */
static void resizing_keeps_the_content(void *ud) {
  static const size_t sizes[] = {1,   7,   8,   16,  24,   40,   48,   56,   64,   72,    96,    128,    192,     300,
                                 384, 512, 720, 768, 1024, 1360, 1536, 3456, 6144, 10000, 40000, 171856, 1048576, 2500000};
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (size_t k = 0; k < LENGTH(sizes); k++) {
      void *block = new_block(ud, 0, sizes[i]);
      fill(block, sizes[i]);
      block = resize(ud, block, sizes[i], sizes[k]);
      fill(block, sizes[k]);
      block = resize(ud, block, sizes[k], sizes[i]); /* and back: osize is now sizes[k] */
      free_block(ud, block, sizes[i]);
    }
}

/*
 * The block of 512 bytes that stays where it is when it shrinks to 300: Lua frees it with osize 300. An allocator that
 * trusts osize puts it on the wrong list, and sooner or later two blocks overlap.
 */
static void a_shrunk_block_is_freed_by_its_new_size(void *ud) {
  enum { COUNT = 3000 };
  static void *blocks[COUNT];
  static extent extents[COUNT];
  static const size_t from[] = {512, 720, 64, 384, 40000, 96}, to[] = {300, 340, 17, 380, 5000, 81};
  for (int round = 0; round < 20; round++) {
    for (size_t i = 0; i < COUNT; i++) fill(blocks[i] = new_block(ud, 0, from[i % 6]), from[i % 6]);
    for (size_t i = 0; i < COUNT; i++) fill(blocks[i] = resize(ud, blocks[i], from[i % 6], to[i % 6]), to[i % 6]);
    for (size_t i = 0; i < COUNT; i += 2) free_block(ud, blocks[i], to[i % 6]);
    for (size_t i = 0; i < COUNT; i += 2) fill(blocks[i] = new_block(ud, 0, i % 4 ? to[i % 6] : from[i % 6]), to[i % 6]);
    for (size_t i = 0; i < COUNT; i++) {
      CHECK(intact(blocks[i], to[i % 6]));
      extents[i] = (extent){(uintptr_t)blocks[i], (uintptr_t)blocks[i] + to[i % 6]};
    }
    for (size_t i = 0; i < COUNT; i++) free_block(ud, blocks[i], i % 4 == 0 ? from[i % 6] : to[i % 6]);
    check_disjoint(extents, COUNT);
    check_heap();
  }
}

static void what_cannot_be_had_is_null(void *ud) {
  static const size_t impossible[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX - 7, SIZE_MAX};
  unsigned char *block = new_block(ud, 0, 1000);
  fill(block, 1000);
  for (size_t i = 0; i < LENGTH(impossible); i++) {
    for (size_t k = 0; k < LENGTH(tags); k++) CHECK(scalloc_lua_alloc(ud, NULL, tags[k], impossible[i]) == NULL);
    CHECK(scalloc_lua_alloc(ud, block, 1000, impossible[i]) == NULL);
    CHECK(intact(block, 1000));
  }
  free_block(ud, block, 1000);
}

static void every_row(void *ud) {
  a_tag_is_no_size(ud);
  the_alignment_rule_holds(ud);
  freeing_nothing_is_nothing(ud);
  resizing_keeps_the_content(ud);
  a_shrunk_block_is_freed_by_its_new_size(ud);
  what_cannot_be_had_is_null(ud);
}

/* ---- used and peak --------------------------------------------------------------------------------------------------- */

static size_t lua_like_size(rng *random) {
  static const size_t common[] = {56, 24, 40, 96, 48, 16, 27, 33, 64, 128, 192, 384, 720, 1024};
  size_t dice = rng_below(random, 1000);
  return dice < 850 ? common[rng_below(random, LENGTH(common))] : rng_log(random, dice < 980 ? 10 : dice < 999 ? 15 : 21);
}

typedef struct model {
  scalloc_lua_heap *heap;
  size_t used, peak;
} model;

static void check_model(model *m, size_t change) {
  m->used += change;
  if (m->used > m->peak) m->peak = m->used;
  CHECK_INT(scalloc_lua_used(m->heap), ==, m->used);
}

static void used_and_peak_are_exact(scalloc_lua_heap *heap) {
  enum { SLOTS = 6000, OPS = 1000000 };
  static void *blocks[SLOTS];
  static size_t sizes[SLOTS];
  rng random = {5};
  model m = {heap, 0, 0};
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_peak(heap, true);
  for (size_t op = 0; op < OPS; op++) {
    size_t i = rng_below(&random, SLOTS), tag = tags[rng_below(&random, LENGTH(tags))], size = lua_like_size(&random);
    if (!blocks[i]) {
      fill(blocks[i] = new_block(heap, tag, size), size);
      check_model(&m, size);
    } else if (rng_percent(&random, 30)) {
      fill(blocks[i] = resize(heap, blocks[i], sizes[i], size), size);
      check_model(&m, size - sizes[i]);
    } else {
      CHECK(intact(blocks[i], sizes[i]));
      free_block(heap, blocks[i], sizes[i]), blocks[i] = NULL;
      check_model(&m, 0 - sizes[i]);
    }
    sizes[i] = size;
    if (op % 1000 == 0) CHECK(scalloc_lua_alloc(heap, NULL, tag, 0) == NULL), check_model(&m, 0);
    if (op % 1000 == 0) CHECK_INT(scalloc_lua_peak(heap, false), ==, m.peak);
    if (op % 100000 == 50000) {
      CHECK_INT(scalloc_lua_peak(heap, true), ==, m.peak);
      m.peak = m.used;
    }
    if (op % 100000 == 0) check_heap();
  }
  for (size_t i = 0; i < SLOTS; i++) {
    if (!blocks[i]) continue;
    free_block(heap, blocks[i], sizes[i]), blocks[i] = NULL;
    check_model(&m, 0 - sizes[i]);
  }
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  CHECK_INT(scalloc_lua_peak(heap, true), ==, m.peak);
  CHECK_INT(scalloc_lua_peak(heap, false), ==, 0);
}

static void a_refused_request_is_not_charged(scalloc_lua_heap *heap) {
  void *block = new_block(heap, 0, 100);
  CHECK(scalloc_lua_alloc(heap, block, 100, SIZE_MAX / 4) == NULL);
  CHECK(scalloc_lua_alloc(heap, NULL, 4, SIZE_MAX / 4) == NULL);
  CHECK_INT(scalloc_lua_used(heap), ==, 100);
  CHECK_INT(scalloc_lua_peak(heap, true), ==, 100);
  free_block(heap, block, 100);
}

static void its_statistics_agree(scalloc_lua_heap *heap) {
  char json[2048];
  void *blocks[1000];
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = new_block(heap, 0, i + 1);
  void *big = new_block(heap, 0, 5 * MB);
  size_t length = scalloc_lua_stats_json(heap, json, sizeof json);
  CHECK(length < sizeof json && strlen(json) == length);
  CHECK_INT(json_number(json, "bytes", "used"), ==, scalloc_lua_used(heap));
  CHECK_INT(json_number(json, "bytes", "peak"), ==, scalloc_lua_peak(heap, false));
  CHECK_INT(json_number(json, "bytes", "committed"), >=, scalloc_lua_used(heap));
  CHECK_INT(json_number(json, "spans", "large"), >=, 3);
  CHECK_INT(json_number(json, "spans", "hot") + json_number(json, "spans", "floating"), >=, 1);
  CHECK_INT(scalloc_lua_stats_json(heap, NULL, 0), ==, length);
  free_block(heap, big, 5 * MB);
  for (size_t i = 0; i < LENGTH(blocks); i++) free_block(heap, blocks[i], i + 1);
}

/* ---- heaps ----------------------------------------------------------------------------------------------------------- */

static void a_heap_dies_with_its_blocks(void) {
  stats before = stats_now();
  for (int round = 0; round < 50; round++) {
    scalloc_lua_config config = {.size = sizeof config};
    scalloc_lua_heap *heap = scalloc_lua_heap_new(round % 2 ? &config : NULL);
    CHECK(heap != NULL);
    rng random = {(uint64_t)round};
    for (int i = 0; i < round * 400; i++) {
      size_t size = lua_like_size(&random);
      fill(new_block(heap, 5, size), size);
    }
    scalloc_lua_heap_destroy(heap);
  }
  check_all_returned(before);
}

static void *work_on(void *argument) {
  static size_t turn;
  void **blocks = ((void **)argument) + 1, *heap = *(void **)argument;
  for (size_t i = 0; i < 2000; i++) {
    size_t now_size = 16 + (i + turn) % 500, old_size = 16 + (i + turn - 1) % 500;
    if (blocks[i]) CHECK(intact(blocks[i], old_size)), free_block(heap, blocks[i], old_size);
    fill(blocks[i] = new_block(heap, 6, now_size), now_size);
  }
  turn++;
  return NULL;
}

static void a_heap_may_be_handed_from_thread_to_thread(void) {
  static void *heap_and_blocks[2001];
  stats before = stats_now();
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  heap_and_blocks[0] = heap;
  for (int i = 0; i < 10; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, work_on, heap_and_blocks) == 0 && pthread_join(thread, NULL) == 0);
  }
  check_heap();
  scalloc_lua_heap_destroy(heap);
  check_all_returned(before);
}

static void *free_foreign(void *argument) {
  for (size_t i = 0; i < 5000; i++) free_block(NULL, ((void **)argument)[i], 1 + i);
  return NULL;
}

static void without_a_heap_any_thread_may_free(void) {
  static void *blocks[5000];
  stats before = stats_now();
  for (size_t i = 0; i < 5000; i++) fill(blocks[i] = new_block(NULL, 4, 1 + i), 1 + i);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_foreign, blocks) == 0 && pthread_join(thread, NULL) == 0);
  check_all_returned(before);
}

int main(void) {
  scalloc_free(scalloc_malloc(1));
  scalloc_lua_heap_destroy(scalloc_lua_heap_new(NULL));
  stats before = stats_now();
  every_row(NULL);
  check_all_returned(before);
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  every_row(heap);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_peak(heap, true);
  used_and_peak_are_exact(heap);
  a_refused_request_is_not_charged(heap);
  its_statistics_agree(heap);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
  check_all_returned(before);
  a_heap_dies_with_its_blocks();
  a_heap_may_be_handed_from_thread_to_thread();
  without_a_heap_any_thread_may_free();
  return 0;
}
