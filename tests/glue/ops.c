/* ops.c - the operations: each acts on the heap and on the tables, and looks at the answer. */
#include "oracle.h"

static mutator_model *some_mutator(world *w) {
  mutator_model *m = &w->mutator[rng_below(&w->random, MUTATORS)];
  if (m->handle == NULL) op_attach(w, m);
  return m;
}

/* The caller's mutator, or none. */
static scalloc_rt_mutator *hint(world *w) { return rng_percent(&w->random, 50) ? some_mutator(w)->handle : NULL; }

static block_at some_block(world *w) { return w->live[rng_below(&w->random, w->lives)]; }

/* ---- mutators -------------------------------------------------------------------------------------------------------- */

static void check_no_holes(const world *w, const mutator_model *m) {
  for (unsigned i = 0; i < SLOTS; i++) {
    const scalloc_rt_hole *hole = &m->handle->hole[w->slot[i].number];
    CHECK(hole->cur == hole->lim);
  }
}

void op_attach(world *w, mutator_model *m) {
  *m = (mutator_model){.handle = scalloc_rt_attach(w->heap, m)};
  CHECK(m->handle && m->handle->rt == m && m->handle->budget > 0 && m->handle->poll == 0);
  CHECK_INT(m->handle->nslots, ==, SLOTS);
  check_no_holes(w, m);
}

void op_detach(world *w, mutator_model *m) {
  if (m->handle == NULL) return;
  CHECK(!w->in_pressure);
  scalloc_rt_detach(m->handle);
  m->handle = NULL;
}

void op_retire(world *w, mutator_model *m) {
  scalloc_rt_retire(m->handle);
  check_no_holes(w, m);
  memset(m->old, 0, sizeof m->old);
  m->fresh = 0;
}

static void op_account(world *w, mutator_model *m) {
  int64_t external = (int64_t)rng_below(&w->random, 200000) - 80000, before = m->handle->budget;
  scalloc_rt_account(m->handle, external);
  CHECK_INT(m->handle->budget, ==, before - external);
}

/* ---- allocation ------------------------------------------------------------------------------------------------------ */

static void call_begin(world *w, mutator_model *m, unsigned slot, void **out, size_t n) {
  const scalloc_rt_hole *hole = &m->handle->hole[w->slot[slot].number];
  size_t room = (hole->lim - hole->cur) / w->slot[slot].rounded;
  w->call = (call_model){.by = m, .slot = slot, .out = out, .n = n, .lim = hole->lim, .budget = m->handle->budget};
  if (m->old[slot]) {
    w->call.old_cur = hole->cur;
    w->call.old_lim = hole->lim;
  }
  memset(out, 0, n * sizeof out[0]);
  if (n > room) m->fresh = 0;
}

/* Refused: NULL and ENOMEM, with a reason, and not before the pressure hook was asked. */
static void check_refusal(const world *w) {
  CHECK(errno == ENOMEM);
  CHECK(w->conf.limit > 0 || w->percent_refused > 0);
  if (w->conf.hooks.pressure && !w->in_pressure) CHECK(w->call.refused);
  if (!w->conf.hooks.pressure) CHECK(audit_spans_in(w, SCALLOC_RT_UNSWEPT) == 0); /* all that could be swept was */
}

/* Without a hook the budget is nobody's business. */
static void call_account(world *w) {
  mutator_model *m = w->call.by;
  if (!w->conf.hooks.pressure) return;
  CHECK(m->handle->budget <= w->call.budget);
  m->since += (size_t)(w->call.budget - m->handle->budget);
}

static void call_end(world *w, size_t got) {
  call_model *c = &w->call;
  mutator_model *m = c->by;
  scalloc_rt_mutator *handle = m->handle;
  call_absorb(w);
  CHECK_INT(c->done, ==, got);
  if (got < c->n) check_refusal(w);
  call_account(w);
  if (handle->hole[w->slot[c->slot].number].lim != c->lim) m->old[c->slot] = false;
  c->by = NULL;
  audit_hole(w, m, c->slot);
}

static void allocate_one(world *w, mutator_model *m, unsigned slot) {
  void *out[1];
  call_begin(w, m, slot, out, 1);
  bool slow = m->handle->hole[w->slot[slot].number].lim - m->handle->hole[w->slot[slot].number].cur < w->slot[slot].rounded;
  out[0] = scalloc_rt_alloc(m->handle, w->slot[slot].number, w->slot[slot].rounded);
  if (!slow) CHECK(out[0] && m->handle->budget == w->call.budget); /* nothing but the hole has moved */
  call_end(w, out[0] != NULL);
}

static void allocate_many(world *w, mutator_model *m, unsigned slot) {
  void *out[BATCH];
  size_t n = rng_log(&w->random, 9);
  if (n > BATCH) n = BATCH;
  while (n > 1 && n * w->slot[slot].rounded > 512 * KB) n /= 2;
  call_begin(w, m, slot, out, n);
  size_t got = scalloc_rt_alloc_many(m->handle, w->slot[slot].number, out, n);
  CHECK(got <= n);
  call_end(w, got);
}

static void allocate_large(world *w, mutator_model *m) {
  int kind = (int)rng_below(&w->random, kinds);
  size_t size = 1 + rng_log(&w->random, 22);
  w->call = (call_model){.by = m, .wanted = size, .budget = m->handle->budget};
  m->fresh = 0;
  void *block = scalloc_rt_alloc_large(m->handle, kind, size);
  call_account(w);
  if (block) {
    block_born(w, (uintptr_t)block, kind, size, w->running);
    m->fresh = span_by_address((uintptr_t)block)->number;
  } else {
    check_refusal(w);
  }
  w->call.by = NULL;
}

void op_allocate(world *w, mutator_model *m, bool small) {
  unsigned slot = (unsigned)rng_below(&w->random, SLOTS);
  size_t dice = rng_below(&w->random, small ? 94 : 100);
  if (w->lives > MOST_LIVE / 2) return;
  if (dice < 50)
    allocate_one(w, m, slot);
  else if (dice < 94)
    allocate_many(w, m, slot);
  else
    allocate_large(w, m);
}

/* ---- by hand --------------------------------------------------------------------------------------------------------- */

static void op_free(world *w) {
  if (w->lives == 0) return;
  block_at at = some_block(w);
  span_model *s = at.span;
  uintptr_t block = (uintptr_t)address_of(s, at.i);
  bool large = s->info.large, collectable = is_collectable(s);
  if (collectable && !(kind_flags[s->info.kind] & SCALLOC_RT_EXPLICIT_FREE)) return;
  CHECK(intact((void *)block, size_of(s)));
  block_died(w, s, at.i, FREED);
  scalloc_rt_free(hint(w), (void *)block);
  s = span_by_address(block); /* the hooks may have ended it */
  if (s == NULL || s->of != w || s->deferred || s->live > 0) return;
  CHECK(!large);
  if (!collectable) CHECK(audit_state(w, s) == SCALLOC_RT_HOT); /* the last free releases it */
}

/* Frees many of one span, so that it becomes reusable or empty. */
static void op_free_span(world *w) {
  if (w->lives == 0) return;
  span_model *s = some_block(w).span;
  uintptr_t start = (uintptr_t)s->info.start;
  uint32_t blocks = s->info.blocks;
  unsigned percent = rng_percent(&w->random, 50) ? 100 : 80;
  if (is_collectable(s) && !(kind_flags[s->info.kind] & SCALLOC_RT_EXPLICIT_FREE)) return;
  for (uint32_t i = 0; i < blocks && span_by_address(start) == s; i++) {
    if (s->block[i].life != LIVE || !rng_percent(&w->random, percent)) continue;
    void *block = address_of(s, i);
    CHECK(intact(block, size_of(s)));
    block_died(w, s, i, FREED);
    scalloc_rt_free(hint(w), block);
  }
}

/* The first one, after a few. */
static void put_off_end(world *w, span_model *s) {
  if (!s->deferred || rng_percent(&w->random, 50)) return;
  scalloc_rt_span number = s->number;
  s->deferred = false;
  w->released++;
  w->committed -= s->info.blocks * s->info.block_size;
  if (!w->conf.hooks.decommit) span_end(s);
  scalloc_rt_span_release(number);
}

void op_release_put_off(world *w) { each_span_model(w, put_off_end); }

/* ---- cycles ---------------------------------------------------------------------------------------------------------- */

static void op_begin(world *w) {
  scalloc_rt_cycle_begin(w->heap);
  if (tells(w) || w->conf.hooks.disclaim) CHECK(audit_spans_in(w, SCALLOC_RT_UNSWEPT) == 0);
  w->running = true;
  for (size_t i = 0; i < w->lives; i++) w->live[i].span->block[w->live[i].i].marked = false;
  for (unsigned n = 0; n < MUTATORS; n++)
    for (unsigned i = 0; w->mutator[n].handle && i < SLOTS; i++) {
      const scalloc_rt_hole *hole = &w->mutator[n].handle->hole[w->slot[i].number];
      w->mutator[n].old[i] = hole->cur < hole->lim;
    }
  w->cycle_seed = rng_next(&w->random);
  w->mercy = (const unsigned[]){0, 10, 50, 90, 100}[rng_below(&w->random, 5)];
  w->mercy_for_spans = rng_percent(&w->random, 50);
}

static void no_old_holes(world *w) {
  for (unsigned n = 0; n < MUTATORS; n++) memset(w->mutator[n].old, 0, sizeof w->mutator[n].old);
}

static bool is_to_live(const world *w, block_at at) {
  uint64_t coin = mix(w->cycle_seed ^ (uint64_t)at.span->number << 20 ^ (w->mercy_for_spans ? 0 : at.i));
  return coin % 100 < w->mercy;
}

static void mark_one(world *w, block_at at) {
  span_model *s = at.span;
  block_model *b = &s->block[at.i];
  scalloc_rt_ref ref = {s->number, at.i}, out = {0, 0};
  bool first;
  CHECK(scalloc_rt_is_marked(ref) == b->marked);
  if (rng_percent(&w->random, 40)) {
    uintptr_t cookie = 1;
    scalloc_rt_marker marker = scalloc_rt_marker_of(w->heap, rng_percent(&w->random, 50));
    scalloc_rt_mark_prefetch(&marker, address_of(s, at.i));
    first = scalloc_rt_mark_live(&marker, address_of(s, at.i), &cookie);
    CHECK(cookie == *scalloc_rt_cookie(ref.span));
  } else if (rng_percent(&w->random, 50)) {
    first = scalloc_rt_mark_block(address_of(s, at.i), &out);
    CHECK(out.span == ref.span && out.block == ref.block);
  } else {
    first = scalloc_rt_mark(ref);
  }
  CHECK(first == !b->marked);
  b->marked = true;
  CHECK(scalloc_rt_is_marked(ref));
  CHECK(!scalloc_rt_mark(ref));
}

static void op_mark(world *w) {
  for (size_t n = rng_log(&w->random, 8); n > 0 && w->lives > 0; n--) {
    block_at at = some_block(w);
    if (is_to_live(w, at)) mark_one(w, at);
  }
}

static void mark_all(world *w) {
  for (size_t i = 0; i < w->lives; i++)
    if (is_to_live(w, w->live[i])) mark_one(w, w->live[i]);
}

/* What the mutator was given last lives, as its holes do: it may not have told anybody yet. */
static void fresh_live(world *w) {
  for (unsigned n = 0; n < MUTATORS; n++) {
    const mutator_model *m = &w->mutator[n];
    span_model *s = m->handle && m->fresh ? span_by_number(w, m->fresh) : NULL;
    if (s && s->info.large && is_collectable(s) && s->block[0].life == LIVE) s->block[0].marked = true;
  }
}

static void op_end(world *w) {
  scalloc_rt_cycle_end(w->heap);
  w->running = false;
  w->cycles++;
  fresh_live(w);
  no_old_holes(w);
  for (size_t i = w->lives; i-- > 0;) { /* backwards: the last one takes the place of one that dies */
    block_at at = w->live[i];
    block_model *b = &at.span->block[at.i];
    b->last = b->marked ? YES : NO;
    if (!b->marked && is_collectable(at.span)) block_died(w, at.span, at.i, DOOMED);
  }
}

/* Marks that an aborted cycle has begun to replace mean nothing. */
static void op_abort(world *w) {
  scalloc_rt_cycle_abort(w->heap);
  w->running = false;
  no_old_holes(w);
  for (size_t i = 0; i < w->lives; i++) w->live[i].span->block[w->live[i].i].last = UNKNOWN;
}

void op_collect(world *w) {
  if (!w->running) op_begin(w);
  mark_all(w);
  op_end(w);
}

static void op_cycle(world *w) {
  if (!w->running) {
    op_begin(w);
    if (rng_percent(&w->random, 50))
      for (unsigned n = 0; n < MUTATORS; n++)
        if (w->mutator[n].handle) op_retire(w, &w->mutator[n]);
  } else if (rng_percent(&w->random, 25)) {
    op_abort(w);
  } else {
    if (rng_percent(&w->random, 70)) mark_all(w);
    op_end(w);
  }
}

void op_sweep(world *w, size_t most) {
  size_t n = scalloc_rt_sweep(w->heap, hint(w), most);
  CHECK(n <= most);
  if (n < most) CHECK(audit_spans_in(w, SCALLOC_RT_UNSWEPT) == 0);
}

void op_end_all(world *w) {
  for (size_t i = w->lives; i-- > 0;) {
    block_at at = w->live[i];
    void *block = address_of(at.span, at.i);
    if (is_collectable(at.span)) continue;
    block_died(w, at.span, at.i, FREED);
    scalloc_rt_free(NULL, block);
  }
  while (w->lives > 0) { /* disclaim hooks keep some */
    op_begin(w);
    op_end(w);
    op_sweep(w, SIZE_MAX);
  }
}

/* ---- addresses ------------------------------------------------------------------------------------------------------- */

static uintptr_t some_address(world *w) {
  block_at at;
  uintptr_t any = (uintptr_t)rng_next(&w->random);
  size_t dice = rng_below(&w->random, 100);
  if (dice < 40 && w->stales > 0) return w->stale[any % (w->stales < STALE ? w->stales : STALE)] + (dice & 1 ? any % 64 : 0);
  if (dice < 45) return any;
  if (dice < 48) return (uintptr_t)&at + any % 64;
  if (dice < 50) return any % 8192;
  if (w->lives == 0) return 0;
  at = some_block(w);
  uintptr_t start = (uintptr_t)address_of(at.span, at.i);
  if (dice < 60) return start;
  if (dice < 85) return start + any % size_of(at.span);
  return (start & ~((uintptr_t)2 * MB - 1)) + any % (2 * MB); /* anywhere in its 2 MB */
}

static void op_resolve(world *w) {
  uintptr_t address = some_address(w);
  bool interior = rng_percent(&w->random, 60);
  scalloc_rt_ref ref = {0, 0};
  block_at at;
  bool there = expected(w, address, interior, &at);
  CHECK(scalloc_rt_resolve(w->heap, (void *)address, interior, &ref) == there);
  if (!there) return;
  size_t size = 0;
  CHECK(ref.span == at.span->number && ref.block == at.i);
  CHECK(scalloc_rt_block(ref, &size) == address_of(at.span, at.i) && size == size_of(at.span));
  CHECK_INT(scalloc_rt_kind(ref), ==, at.span->info.kind);
  CHECK(intact(address_of(at.span, at.i), size));
  block_model *b = &at.span->block[at.i];
  if (!w->running && b->last != UNKNOWN) CHECK(scalloc_rt_is_marked(ref) == (b->last == YES));
  if (w->running && rng_percent(&w->random, 30)) mark_one(w, at);
}

/* ---- one step -------------------------------------------------------------------------------------------------------- */

void op_random(world *w) {
  size_t dice = rng_below(&w->random, 100);
  if (dice < 38)
    op_allocate(w, some_mutator(w), false);
  else if (dice < 50)
    op_free(w);
  else if (dice < 53)
    op_free_span(w);
  else if (dice < 70)
    for (int i = 0; i < 8; i++) op_resolve(w);
  else if (dice < 80)
    w->running ? op_mark(w) : op_sweep(w, 1 + rng_below(&w->random, 3));
  else if (dice < 85)
    op_sweep(w, rng_log(&w->random, 6));
  else if (dice < 91)
    op_cycle(w);
  else if (dice < 94)
    op_retire(w, some_mutator(w));
  else if (dice < 95)
    op_detach(w, some_mutator(w));
  else if (dice < 97)
    op_release_put_off(w);
  else if (dice < 98)
    op_account(w, some_mutator(w));
  else
    audit(w);
}
