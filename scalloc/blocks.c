/*
 * blocks.c - the live blocks of a heap, one by one, for whoever shows or counts them (blocks.h).
 */
#include "blocks.h"

#include "live.h"
#include "nursery.h"
#include "track.h"
#include "walk.h"

enum { MARK_BITS = 64, MARKS = (SPAN_BYTES / 8) / MARK_BITS };

typedef struct {
  block_visit *visit;
  void *context;
} visitor;

static void mark_list(const span *s, const void *list, uint64_t *marks) {
  for (; list != NULL; list = block_next(list)) {
    uint32_t i = class_block_index(s->class_index, (size_t)((const char *)list - span_start(s)) - s->first);
    marks[i / MARK_BITS] |= (uint64_t)1 << i % MARK_BITS;
  }
}

/* Whatever has been carved and lies on no list. */
static never_inline void visit_class(const span *s, visitor v) {
  uint64_t free_marks[MARKS] = {0};
  uint32_t carved = (s->bump - s->first) / s->block;
  mark_list(s, s->free, free_marks);
  mark_list(s, s->spare, free_marks);
  mark_list(s, walk_remote_list(s, word_load_acquire(&s->word)), free_marks);
  char *block = span_start(s) + s->first;
  for (uint32_t i = 0; i < carved; i++, block += s->block)
    if (!(free_marks[i / MARK_BITS] >> i % MARK_BITS & 1)) v.visit(v.context, block, s->block, s->block);
}

static void visit_tracked(const span *s, visitor v) {
  bool large = span_state_now(s) == SPAN_LARGE;
  char *at = span_start(s) + s->first, *end = large ? at + 1 : span_start(s) + s->bump;
  size_t room = large ? s->large_bytes - s->first : s->block;
  for (; (at = live_next(at, end)) != NULL; at += GRANULE) v.visit(v.context, at, room - half_load_relaxed(note_of(at)), room);
}

static void visit_span(span *s, void *context) {
  visitor v = *(visitor *)context;
  if (TRACKED)
    visit_tracked(s, v);
  else if (span_state_now(s) == SPAN_LARGE)
    v.visit(v.context, span_start(s), s->large_bytes, s->large_bytes);
  else
    visit_class(s, v);
}

void blocks_each(heap *h, block_visit *visit, void *context) {
  visitor v = {visit, context};
  heap_each_span(h, visit_span, &v);
  nursery_each(h, visit, context);
}
