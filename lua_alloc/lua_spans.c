/*
 * lua_spans.c - what the heap map and the profile ask of a heap. Changes nothing but, when asked, the peak.
 */
#include "lua_spans.h"

#include "lua_kit.h"
#include "nursery.h"
#include "walk.h"

typedef struct {
  void (*visit)(void *userdata, const lua_span *span);
  void *userdata;
} visitor;

static void visit_span(span *s, void *context) {
  const visitor *v = context;
  walk_totals totals = {0};
  bool large = span_state_now(s) == SPAN_LARGE;
  walk_add(s, &totals);
  lua_span shown = {.committed = totals.committed, .live_bytes = totals.live};
  if (large) {
    shown.live = shown.room = 1;
  } else {
    shown.block = s->block;
    shown.live = totals.live / s->block;
    shown.room = (s->limit - s->first) / s->block;
  }
  v->visit(v->userdata, &shown);
}

/* The blocks that a young heap has in its cells, shown as a span for each class. */
static void visit_cells(heap *h, const visitor *v) {
  for (unsigned c = 0; c < CLASSES; c++) {
    lua_span shown = {.block = class_size(c), .live = nursery_used(h, c), .room = nursery_carved(h, c)};
    shown.committed = shown.room * shown.block;
    shown.live_bytes = shown.live * shown.block;
    if (shown.room > 0) v->visit(v->userdata, &shown);
  }
}

void scalloc_lua_spans_each(scalloc_lua_heap *lua_heap, void (*visit)(void *userdata, const lua_span *span), void *userdata) {
  heap *h = lua_heap_core(lua_heap), *part = h;
  visitor v = {visit, userdata};
  lua_heap_enter(h);
  for (unsigned i = 1; part != NULL; part = lua_kit_heap(h, i++)) heap_each_span(part, visit_span, &v);
  visit_cells(h, &v);
  lua_heap_leave(h);
}

void scalloc_lua_spans_peak(scalloc_lua_heap *lua_heap, size_t peak) {
  heap *h = lua_heap_core(lua_heap);
  lua_account *account = lua_heap_account(h);
  lua_heap_enter(h);
  ptrdiff_t least = account->mark - (ptrdiff_t)peak;
  if (least < account->least) account->least = least;
  lua_heap_leave(h);
}

bool scalloc_lua_spans_births(scalloc_lua_heap *lua_heap) {
  const lua_kit *kit = lua_heap_kit(lua_heap_core(lua_heap));
  return kit != NULL && kit->flags & SCALLOC_LUA_STATS;
}

unsigned long long scalloc_lua_spans_handed_out(scalloc_lua_heap *lua_heap) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  unsigned long long bytes = lua_heap_kit(h)->handed_out;
  lua_heap_leave(h);
  return bytes;
}
