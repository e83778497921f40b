/* model.c - the shadow model: one thread at a time calls it, whichever it is. */
#include "model.h"

model_state model;

void model_open(void) {
  scalloc_free(scalloc_malloc(1));
  scalloc_purge();
  model.first = model.latest = stats_now();
  model.pressed = model.first.limit != 0 || model.first.reserved < (long long)(1024 * MB);
}

/* ---- order by address ------------------------------------------------------------------------------------------------- */

/* The number of blocks that begin below an address. */
static size_t place_of(const unsigned char *at) {
  size_t low = 0, high = model.count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (model.blocks[model.order[middle]].at < at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void check_apart(const block *low, const block *high) {
  if (low->at + low->usable > high->at)
    test_fail(__FILE__, __LINE__, "blocks overlap: %p with %zu bytes, %p with %zu bytes", (void *)low->at, low->usable,
              (void *)high->at, high->usable);
}

/* ---- contents --------------------------------------------------------------------------------------------------------- */

static bool is_vast(const block *b) { return b->usable >= VAST; }
static unsigned char *end_edge(const block *b) { return b->at + b->size - VAST_EDGE; }

static void write_pattern(block *b) {
  b->pattern = is_vast(b) ? VAST_EDGE : b->size;
  fill(b->at, b->pattern);
  if (is_vast(b)) fill(end_edge(b), VAST_EDGE);
}

bool model_kept(const block *b, const void *moved, size_t length) {
  return intact_prefix(moved, length < b->pattern ? length : b->pattern, b->at, b->pattern);
}

void model_verify(const block *b) {
  CHECK(intact(b->at, b->pattern));
  if (is_vast(b)) CHECK(intact(end_edge(b), VAST_EDGE));
  CHECK_INT(scalloc_usable_size(b->at), ==, b->usable);
}

/* ---- blocks ----------------------------------------------------------------------------------------------------------- */

static void account(const block *b, size_t bytes) {
  model.bytes += bytes;
  if (is_vast(b)) model.vast_bytes += bytes;
}

void model_add(block b) {
  size_t place = place_of(b.at), number = model.count;
  CHECK_INT(number, <, BLOCKS);
  b.usable = scalloc_usable_size(b.at);
  CHECK_INT(b.usable, >=, b.size);
  if (place > 0) check_apart(&model.blocks[model.order[place - 1]], &b);
  if (place < number) check_apart(&b, &model.blocks[model.order[place]]);
  memmove(&model.order[place + 1], &model.order[place], (number - place) * sizeof model.order[0]);
  model.order[place] = (unsigned)number;
  model.count++;
  account(&b, b.usable);
  write_pattern(&b);
  model.blocks[number] = b;
}

/* The block leaves the arrays. */
static void take_out(size_t number) {
  block gone = model.blocks[number];
  size_t last = model.count - 1, place = place_of(gone.at);
  model.order[place_of(model.blocks[last].at)] = (unsigned)number;
  memmove(&model.order[place], &model.order[place + 1], (last - place) * sizeof model.order[0]);
  model.blocks[number] = model.blocks[last];
  model.count = last;
  account(&gone, 0 - gone.usable);
}

void model_remove(size_t number) {
  model_verify(&model.blocks[number]);
  take_out(number);
}

void model_replace(size_t number, block b) {
  take_out(number);
  model_add(b);
}

void model_stretch(size_t number) {
  block *b = &model.blocks[number];
  model_verify(b);
  if (is_vast(b) || b->origin >= LUA_ANY) return;
  b->pattern = b->usable;
  fill(b->at, b->pattern);
}

void model_drop_heap(origin from, unsigned heap) {
  for (size_t i = model.count; i-- > 0;)
    if (model.blocks[i].origin == from && model.blocks[i].heap == heap) model_remove(i);
}

/* ---- what the allocator says ------------------------------------------------------------------------------------------ */

/* Large blocks name no heap; a block that grew may be large from 128 KB on. */
static bool is_heap_of(const block *b, const scalloc_heap *heap) {
  const void *mine = b->origin == OF_HEAP ? (void *)model.heaps[b->heap] : b->origin == OF_LUA ? model.lua[b->heap] : NULL;
  if (b->usable > 1 * MB) return heap == NULL;
  return (const void *)heap == mine || (b->usable > 128 * KB && heap == NULL);
}

void model_find(const block *b, size_t offset) {
  scalloc_block found;
  CHECK(scalloc_find(b->at + offset % b->usable, &found));
  CHECK(found.start == b->at && found.live);
  CHECK_INT(found.size, ==, b->usable);
  CHECK(is_heap_of(b, found.heap));
  if (scalloc_find(b->at + b->usable, &found)) CHECK((unsigned char *)found.start >= b->at + b->usable);
}

/* Spans that hold a live block's first byte. */
static size_t spans_held(void) {
  size_t count = 0;
  uintptr_t last = 0;
  for (size_t i = 0; i < model.count; i++) {
    uintptr_t span = (uintptr_t)model.blocks[model.order[i]].at >> SPAN_SHIFT;
    count += span != last;
    last = span;
  }
  return count;
}

void model_stats(void) {
  stats s = stats_now(), before = model.latest;
  check_span_sum(s);
  CHECK_INT(s.live, ==, model.bytes);
  CHECK_INT(s.floating + s.reusable, <=, spans_held()); /* the last free of such a span has released it */
  CHECK_INT(s.reserved, ==, before.reserved);
  CHECK_INT(s.limit, ==, before.limit);
  if (s.limit != 0) CHECK_INT(s.committed, <=, s.limit);
  CHECK(s.opened >= before.opened && s.purges >= before.purges);
  CHECK(s.remote_frees >= before.remote_frees && s.adoptions >= before.adoptions);
  model.latest = s;
}

void model_lua(void) {
#ifdef HAVE_LUA_ALLOC
  char json[1024];
  for (unsigned i = 0; i < LUA_HEAPS; i++) {
    if (model.lua[i] == NULL) continue;
    CHECK_INT(scalloc_lua_used(model.lua[i]), ==, model.accounts[i].used);
    CHECK_INT(scalloc_lua_peak(model.lua[i], false), ==, model.accounts[i].peak);
    CHECK(scalloc_lua_stats_json(model.lua[i], json, sizeof json) < sizeof json);
    CHECK_INT(json_number(json, "bytes", "used"), ==, model.accounts[i].used);
    CHECK_INT(json_number(json, "bytes", "peak"), ==, model.accounts[i].peak);
    CHECK_INT(json_number(json, "bytes", "committed"), >=, model.accounts[i].used);
  }
#endif
}

/* ---- the end ---------------------------------------------------------------------------------------------------------- */

/* Every byte of the limit can be had again, and not one page more: what was charged has been given back to the byte. */
static void check_limit(size_t limit) {
  size_t whole = limit & ~(size_t)4095;
  if (whole <= 1 * MB || (long long)whole > model.first.reserved / 2) return;
  void *all = scalloc_malloc(whole);
  CHECK(all != NULL);
  CHECK(whole < limit || scalloc_malloc(1) == NULL);
  scalloc_free(all);
  CHECK(scalloc_malloc(whole + 4096) == NULL);
  scalloc_purge();
}

/* In an arena that is nearly used up, all spans together can be one block. */
static void check_whole_arena(void) {
  if (model.latest.limit != 0 || model.latest.opened * (long long)(4 * MB) < model.latest.reserved) return;
  void *all = scalloc_malloc((size_t)model.latest.opened << SPAN_SHIFT);
  CHECK(all != NULL);
  scalloc_free(all);
  scalloc_purge();
}

void model_nothing_left(void) {
  CHECK_INT(model.count, ==, 0);
  CHECK_INT(model.bytes, ==, 0);
  model_stats();
  scalloc_purge();
  check_heap();
  model_stats();
  CHECK_INT(model.latest.hot + model.latest.floating + model.latest.reusable + model.latest.large, ==, 0);
  CHECK_INT(model.latest.pooled, ==, model.latest.opened);
  CHECK_INT(model.latest.committed, ==, 0);
  if (model.latest.limit != 0) check_limit((size_t)model.latest.limit);
  check_whole_arena();
}
