/* world.c - see world.h. Who holds which block is kept in ghost words: who allocates takes, who frees gives up first. */
#include "world.h"

#include "explore_private.h"
#include "pool.h"
#include "purge.h"
#include "steps.h"
#include "walk.h"

static void *blocks[WORLD_BLOCKS];                            /* numbered in the setup: constant */
static struct { uint32_t index, offset; } held[WORLD_BLOCKS]; /* ghost words; index 0 = free place */

unsigned world_class(unsigned n) { return class_of(n == 1 ? LARGE_MIN : n == 3 ? 640 << 10 : SPAN_BYTES / n); }

static void must_be_empty(char *start, size_t bytes) {
  for (uint32_t i = (uint32_t)(((uintptr_t)start - arena.base) >> SPAN_SHIFT); bytes > 0; i++, bytes -= SPAN_BYTES) {
    if (world_held_in(span_at(i)) != 0) model_fail("the pages of span %u are taken with live blocks in it", i);
    if (span_state_now(span_at(i)) != SPAN_FREE) model_fail("span %u is purged in state %d", i, span_state_now(span_at(i)));
  }
}

void world_begin(void) {
  if (!scalloc_option_set("SCALLOC_ARENA_BYTES", (long)ARENA_BYTES_MIN) || !scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1) ||
      !arena_init())
    model_fail("no arena");
  pool_stacks();
  model_on_purge = must_be_empty;
}

static void hold(void *block) {
  uint32_t index = span_index(span_of(block)), offset = (uint32_t)((char *)block - arena_span_start(index)), place = 0;
  for (uint32_t i = 0; i < WORLD_BLOCKS; i++) {
    if (held[i].index == index && held[i].offset == offset) model_fail("span %u offset %#x is handed out twice", index, offset);
    if (held[i].index == 0) place = i;
  }
  model_ghost(&held[place].offset, offset);
  model_ghost(&held[place].index, index);
}

static void give_up(const void *block) {
  for (uint32_t i = 0; i < WORLD_BLOCKS; i++)
    if (held[i].index != 0 && arena_span_start(held[i].index) + held[i].offset == block) {
      model_ghost(&held[i].index, 0);
      return;
    }
  model_fail("the scenario frees what nobody holds");
}

unsigned world_held_in(const span *s) {
  unsigned n = 0;
  for (uint32_t i = 0; i < WORLD_BLOCKS; i++) n += held[i].index == span_index(s);
  return n;
}

void *world_block(unsigned n) { return blocks[n]; }

void *world_alloc(heap *h, unsigned class_index) {
  void *block = heap_allocate_class(h, class_index);
  if (block) hold(block);
  model_forget((uintptr_t)block);
  return block;
}

void world_free_block(heap *h, void *block) {
  give_up(block);
  heap_free_any(h, block);
  model_forget(0);
}

void world_free(heap *h, unsigned n) { world_free_block(h, blocks[n]); }

/* A span of 1 MB blocks that has only its second half. */
static void halve(heap *h, unsigned c) {
  void *block = heap_allocate_class(h, c);
  span *s = span_of(block);
  heap_free_any(h, block);
  s->free = NULL;
  s->first = s->bump = (uint32_t)LARGE_MIN;
}

span *world_span(heap *h, unsigned n, unsigned *next) {
  unsigned c = world_class(n);
  if (n == 1) halve(h, c);
  for (unsigned i = 0; i < n; i++) blocks[(*next)++] = world_alloc(h, c);
  return span_of(blocks[*next - 1]);
}

void world_cool(heap *h, span *s) { heap_cool_span(h, s); }

void world_end(heap *h) {
  for (uint32_t i = 0; i < WORLD_BLOCKS; i++)
    if (held[i].index != 0 && owner_heap(span_at(held[i].index)->owner) == h) model_ghost(&held[i].index, 0);
  heap_end(h);
  model_forget(0);
}

/* ---- afterwards ------------------------------------------------------------------------------------------------------- */

static void check_retired(const heap *h) {
  for (unsigned c = 0; c < CLASSES; c++)
    if (h->sets[c].head != 0) model_fail("a reusable span in the set of retired heap %u", h->id);
  for (unsigned i = 0; i < HEAP_HOTS; i++)
    if (h->hot[i] != &heap_no_span) model_fail("a hot span in retired heap %u", h->id);
}

static void check_live(const span *s) {
  span_state state = span_state_now(s);
  word_t w = word_load_acquire(&s->word);
  unsigned live = state == SPAN_FREE ? 0 : half_load_relaxed(&s->used) - word_count(w);
  if (live != world_held_in(s))
    model_fail("span %u in state %d has %u live blocks, %u are held", span_index(s), state, live, world_held_in(s));
}

void world_check(void) {
  static word_t words[64];
  char why[256] = "";
  uint32_t end = arena_high_water();
  for (uint32_t id = 1; id <= heap_count(); id++) {
    heap *h = heap_at(id);
    if (h->status == HEAP_LIVE && h->kind != HEAP_EXCLUSIVE) heap_settle(h);
    if (h->status == HEAP_RETIRED) check_retired(h);
    if (h->kind == HEAP_EXCLUSIVE && h->mail.head != 0) model_fail("mail in the exclusive heap %u", id);
  }
  for (uint32_t i = 1; i < end; i++) {
    check_live(span_at(i));
    words[i] = word_load_acquire(&span_at(i)->word);
  }
  if (!scalloc_check(why, sizeof why)) model_fail("%s", why);
  for (uint32_t i = 1; i < end; i++)
    if (words[i] != word_load_acquire(&span_at(i)->word)) model_fail("span %u was left for a purge to settle", i);
}
