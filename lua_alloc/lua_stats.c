/*
 * lua_stats.c - what can be known of a heap for Lua states: figures, JSON, its live blocks.
 *
 * Reads the account and walks the heap's spans; changes nothing.
 */
#include <stdio.h>
#include <string.h>

#include "blocks.h"
#include "lua_heap.h"
#include "walk.h"

_Static_assert(SCALLOC_LUA_CLASSES == CLASSES + 1, "a class for each size class, and one for large blocks");

typedef struct {
  walk_totals totals;
  scalloc_lua_stats *stats;
} counting;

/* Blocks of a span that are handed out; in tracked builds those that wait in the quarantine as well. */
static size_t live_blocks(const span *s) {
  if (span_state_now(s) == SPAN_LARGE) return 1;
  size_t used = half_load_relaxed(&s->used), queued = word_count(word_load_acquire(&s->word));
  return used > queued ? used - queued : 0;
}

static void count_span(span *s, void *context) {
  counting *c = context;
  scalloc_lua_class *class = &c->stats->classes[span_state_now(s) == SPAN_LARGE ? CLASSES : s->class_index];
  size_t live = live_blocks(s);
  walk_add(s, &c->totals);
  class->live += live;
  class->spans++;
  c->stats->blocks += live;
}

static size_t limit_or_0(size_t limit) { return limit == SIZE_MAX ? 0 : limit; }

static scalloc_lua_stats read_account(heap *h) {
  const lua_account *account = lua_heap_account(h);
  scalloc_lua_stats stats = {.size = sizeof stats,
                             .used = lua_account_used(account),
                             .peak = scalloc_lua_peak(lua_heap_handle(h), false),
                             .soft_limit = limit_or_0(account->soft),
                             .hard_limit = limit_or_0(account->hard),
                             .max_block = limit_or_0(account->max_block),
                             .armed = account->armed,
                             .refusals = account->refusals,
                             .emergencies = account->emergencies,
                             .failures = account->failures + account->refused, /* nobody has asked again */
                             .pressures = account->pressures};
  return stats;
}

static void read_spans(heap *h, scalloc_lua_stats *stats) {
  counting c = {.stats = stats};
  heap_each_span(h, count_span, &c);
  for (unsigned i = 0; i < CLASSES; i++) stats->classes[i].size = class_size(i);
  stats->classes[CLASSES].size = LARGE_MIN;
  stats->committed = c.totals.committed;
  stats->hot = c.totals.hot;
  stats->floating = c.totals.floating;
  stats->reusable = c.totals.reusable;
  stats->large = c.totals.large;
}

bool scalloc_lua_stats_read(const scalloc_lua_heap *lua_heap, scalloc_lua_stats *out) {
  size_t size = out->size;
  if (size < sizeof(scalloc_lua_stats)) return false; /* the first version is the smallest */
  scalloc_lua_stats stats = read_account(lua_heap_core(lua_heap));
  read_spans(lua_heap_core(lua_heap), &stats);
  memcpy(out, &stats, sizeof stats);
  return true;
}

size_t scalloc_lua_stats_json(scalloc_lua_heap *lua_heap, char *buffer, size_t size) {
  scalloc_lua_stats s = {.size = sizeof s};
  scalloc_lua_stats_read(lua_heap, &s);
  int n = snprintf(buffer, size,
                   "{\"bytes\":{\"used\":%zu,\"peak\":%zu,\"committed\":%zu},"
                   "\"spans\":{\"hot\":%zu,\"floating\":%zu,\"reusable\":%zu,\"large\":%zu},"
                   "\"limits\":{\"soft\":%zu,\"hard\":%zu,\"max_block\":%zu,\"armed\":%u},"
                   "\"counts\":{\"blocks\":%zu,\"refusals\":%llu,\"emergencies\":%llu,\"failures\":%llu,\"pressures\":%llu}}",
                   s.used, s.peak, s.committed, s.hot, s.floating, s.reusable, s.large, s.soft_limit, s.hard_limit, s.max_block,
                   s.armed, s.blocks, s.refusals, s.emergencies, s.failures, s.pressures);
  return n < 0 ? 0 : (size_t)n;
}

/* ---- block by block ------------------------------------------------------------------------------------------------------ */

typedef struct {
  scalloc_lua_visit *visit;
  void *userdata;
  size_t count;
} walking;

static void visit_block(void *context, void *start, size_t size, size_t room) {
  walking *w = context;
  scalloc_lua_block block = {.start = start, .size = size, .room = room, .tag = -1};
  w->count++;
  if (w->visit) w->visit(w->userdata, &block);
}

size_t scalloc_lua_walk(scalloc_lua_heap *lua_heap, scalloc_lua_visit *visit, void *userdata) {
  walking w = {visit, userdata, 0};
  blocks_each(lua_heap_core(lua_heap), visit_block, &w);
  return w.count;
}

static void add_live(span *s, void *sum) { *(size_t *)sum += live_blocks(s); }

size_t scalloc_lua_leaks(const scalloc_lua_heap *lua_heap) {
  size_t sum = 0;
  heap_each_span(lua_heap_core(lua_heap), add_live, &sum);
  return sum;
}
