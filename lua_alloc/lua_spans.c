/*
 * lua_spans.c - the spans of a heap as the heap map shows them. Reads span slots; changes nothing but, when asked, the peak.
 */
#include "lua_spans.h"

#include "lua_heap.h"
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

void scalloc_lua_spans_each(scalloc_lua_heap *lua_heap, void (*visit)(void *userdata, const lua_span *span), void *userdata) {
  visitor v = {visit, userdata};
  heap_each_span(lua_heap_core(lua_heap), visit_span, &v);
}

void scalloc_lua_spans_peak(scalloc_lua_heap *lua_heap, size_t peak) {
  lua_account *account = lua_heap_account(lua_heap_core(lua_heap));
  ptrdiff_t least = account->mark - (ptrdiff_t)peak;
  if (least < account->least) account->least = least;
}
