/*
 * lua_stats.c - what can be known of a heap for Lua states: figures, JSON, its live blocks.
 *
 * Reads the account and walks the heap's spans; changes nothing.
 */
#include <stdio.h>
#include <string.h>

#include "lua_kit.h"
#include "nursery.h"
#include "walk.h"

_Static_assert(SCALLOC_LUA_CLASSES == CLASSES + 1, "a class for each size class, and one for large blocks");

typedef struct {
  walk_totals totals;
  scalloc_lua_stats *stats;
} counting;

typedef struct {
  scalloc_lua_visit *visit;
  void *userdata;
  size_t count;
} walking;

static void count_block(void *context, const scalloc_lua_block *block) {
  walking *w = context;
  w->count++;
  if (w->visit) w->visit(w->userdata, block);
}

static size_t count_blocks(heap *h) {
  walking w = {NULL, NULL, 0};
  lua_kit_each(h, count_block, &w);
  return w.count;
}

size_t scalloc_lua_walk(scalloc_lua_heap *lua_heap, scalloc_lua_visit *visit, void *userdata) {
  walking w = {visit, userdata, 0};
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  lua_kit_each(h, count_block, &w);
  lua_heap_leave(h);
  return w.count;
}

/* ---- figures ------------------------------------------------------------------------------------------------------------- */

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
                             .peak = lua_limit_peak(h, false),
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
  heap *part = h;
  for (unsigned i = 1; part != NULL; part = lua_kit_heap(h, i++)) heap_each_span(part, count_span, &c);
  for (unsigned i = 0; i < CLASSES; i++) {
    size_t live = nursery_used(h, i);
    stats->classes[i].size = class_size(i);
    stats->classes[i].live += live;
    stats->classes[i].spans += live != 0;
    stats->blocks += live;
  }
  stats->classes[CLASSES].size = LARGE_MIN;
  stats->committed = c.totals.committed + nursery_committed(h);
  stats->hot = c.totals.hot + nursery_cells(h);
  stats->floating = c.totals.floating;
  stats->reusable = c.totals.reusable;
  stats->large = c.totals.large;
}

/* Core heaps have the pool's memory as a block of theirs, and those that a guard holds back. */
static void read_kit(const lua_kit *kit, scalloc_lua_stats *stats) {
  if (kit == NULL) return;
  if (kit->pool) {
    stats->pool_bytes = kit->pool_bytes;
    stats->blocks += lua_pool_live(kit->pool) - 1;
  }
  stats->blocks -= kit->held_count;
  stats->handed_out = kit->handed_out;
  stats->calls = kit->calls;
  memcpy(stats->tags, kit->tags, sizeof stats->tags);
  memcpy(stats->lifetimes, kit->lifetimes, sizeof stats->lifetimes);
}

bool scalloc_lua_stats_read(const scalloc_lua_heap *lua_heap, scalloc_lua_stats *out) {
  heap *h = lua_heap_core(lua_heap);
  if (out->size < sizeof(scalloc_lua_stats)) return false; /* the first version is the smallest */
  lua_heap_enter(h);
  scalloc_lua_stats stats = read_account(h);
  read_spans(h, &stats);
  read_kit(lua_heap_kit(h), &stats);
  if (TRACKED) stats.blocks = count_blocks(h); /* without those that its quarantine holds back */
  lua_heap_leave(h);
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

size_t scalloc_lua_leaks(const scalloc_lua_heap *lua_heap) {
  scalloc_lua_stats stats = {.size = sizeof stats};
  scalloc_lua_stats_read(lua_heap, &stats);
  return stats.blocks;
}

void lua_stats_report_leaks(heap *h) {
  const lua_kit *kit = lua_heap_kit(h);
  const char *name = lua_heap_account(h)->name;
  size_t leaks = kit && kit->flags & SCALLOC_LUA_STATS ? scalloc_lua_leaks(lua_heap_handle(h)) : 0;
  if (leaks == 0) return;
  fprintf(stderr, "scalloc: Lua heap %s: %zu blocks, %zu bytes were leaked:", name ? name : "without a name", leaks,
          lua_account_used(lua_heap_account(h)));
  for (unsigned type = 0; type < SCALLOC_LUA_TAGS; type++)
    if (kit->tags[type].live) fprintf(stderr, " %zu of type %u", kit->tags[type].live, type);
  fputc('\n', stderr);
}
