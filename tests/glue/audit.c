/* audit.c - everything that the heap shows of itself, against the tables. Nothing runs meanwhile. */
#include "oracle.h"

/* ---- spans by state -------------------------------------------------------------------------------------------------- */

static int count_one(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  (void)number, (void)info;
  ++*(size_t *)ud;
  return 0;
}

size_t audit_spans_in(const world *w, unsigned states) {
  size_t n = 0;
  CHECK(scalloc_rt_each_span(w->heap, states, count_one, &n) == 0);
  return n;
}

static int is_it(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  (void)info;
  return number == ((const span_model *)ud)->number;
}

unsigned audit_state(const world *w, const span_model *s) {
  unsigned state = 0;
  for (unsigned bit = 1; bit <= SCALLOC_RT_ANY; bit *= 2)
    if (scalloc_rt_each_span(w->heap, bit, is_it, (void *)(uintptr_t)s) != 0) state |= bit;
  return state;
}

typedef struct {
  world *w;
  unsigned state;
  size_t spans;
} state_visit;

static bool has_doomed(const span_model *s) {
  for (uint32_t i = 0; i < s->info.blocks; i++)
    if (s->block[i].life == DOOMED) return true;
  return false;
}

static int see_span(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  state_visit *v = ud;
  span_model *s = span_by_address((uintptr_t)info->start);
  CHECK(s && s->of == v->w && s->number == number && s->info.block_size == info->block_size && s->info.blocks == info->blocks);
  CHECK(s->info.kind == info->kind && s->info.large == info->large);
  CHECK(*scalloc_rt_cookie(number) == s->cookie);
  CHECK(s->seen != v->w->audits); /* in one state, in one list */
  s->seen = v->w->audits;
  s->state = v->state;
  CHECK(s->deferred == (v->state == SCALLOC_RT_DEFERRED));
  if (v->state == SCALLOC_RT_UNSWEPT) CHECK(is_collectable(s));
  if (v->state == SCALLOC_RT_LARGE) CHECK(info->large && s->live == 1);
  if (v->state & (SCALLOC_RT_HOT | SCALLOC_RT_RETIRED | SCALLOC_RT_REUSABLE)) CHECK(!info->large);
  if (v->state & (SCALLOC_RT_RETIRED | SCALLOC_RT_REUSABLE) && tells(v->w)) CHECK(!has_doomed(s));
  v->spans++;
  return 0;
}

static void was_seen(world *w, span_model *s) { CHECK(s->seen == w->audits); }

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  span_model *s;
  unsigned which;
  uint32_t blocks, stop;
} block_visit;

static int see_block(void *ud, scalloc_rt_ref ref, void *block, size_t size) {
  block_visit *v = ud;
  span_model *s = v->s;
  CHECK(ref.span == s->number && ref.block < s->info.blocks && block == address_of(s, ref.block) && size == size_of(s));
  const block_model *b = &s->block[ref.block];
  CHECK(b->life == LIVE);
  verdict marked = s->of->running ? (b->marked ? YES : NO) : (verdict)b->last;
  if (v->which == SCALLOC_RT_MARKED) CHECK(marked != NO);
  if (v->which == SCALLOC_RT_UNMARKED) CHECK(marked != YES);
  return ++v->blocks == v->stop ? 77 : 0;
}

static uint32_t visit(span_model *s, unsigned which) {
  block_visit v = {.s = s, .which = which};
  CHECK(scalloc_rt_each_block(s->number, which, see_block, &v) == 0);
  return v.blocks;
}

static void check_blocks(world *w, span_model *s) {
  uint32_t all = visit(s, SCALLOC_RT_ALLOCATED);
  CHECK_INT(all, ==, s->live);
  CHECK_INT(visit(s, SCALLOC_RT_MARKED) + visit(s, SCALLOC_RT_UNMARKED), ==, s->live);
  if (s->live == 0) return;
  block_visit v = {.s = s, .which = SCALLOC_RT_ALLOCATED, .stop = 1 + (uint32_t)rng_below(&w->random, s->live)};
  CHECK(scalloc_rt_each_block(s->number, v.which, see_block, &v) == 77 && v.blocks == v.stop);
}

/* ---- holes ----------------------------------------------------------------------------------------------------------- */

/* In one span of its slot, free, and nobody waits for the death of a block in it. */
void audit_hole(const world *w, const mutator_model *m, unsigned slot) {
  const slot_model *of = &w->slot[slot];
  uintptr_t cur = m->handle->hole[of->number].cur, lim = m->handle->hole[of->number].lim;
  CHECK(cur <= lim);
  if (cur == lim) return;
  span_model *s = span_by_address(cur);
  CHECK(s && s->of == w && !s->deferred && s->info.kind == of->kind && s->info.block_size == of->rounded);
  CHECK((lim - cur) % of->rounded == 0 && (cur - (uintptr_t)s->info.start) % of->rounded == 0);
  uint32_t i = (uint32_t)((cur - (uintptr_t)s->info.start) / of->rounded);
  for (; cur < lim; cur += of->rounded, i++) {
    CHECK(i < s->info.blocks && s->block[i].life != LIVE);
    if (s->block[i].life == DOOMED) CHECK(!tells(w) && (!asks(w, s) || s->block[i].asked));
    s->block[i].life = GONE;
  }
}

static void check_holes(const world *w) {
  for (unsigned n = 0; n < MUTATORS; n++)
    for (unsigned i = 0; w->mutator[n].handle && i < SLOTS; i++) {
      const scalloc_rt_hole *hole = &w->mutator[n].handle->hole[w->slot[i].number];
      audit_hole(w, &w->mutator[n], i);
      if (hole->cur < hole->lim) CHECK_INT(span_by_address(hole->cur)->state, ==, SCALLOC_RT_HOT);
    }
}

/* ---- statistics ------------------------------------------------------------------------------------------------------ */

static void check_kinds(const char *json, const size_t *live) {
  const char *at = strstr(json, "\"kinds\"");
  for (unsigned k = 0; k < kinds; k++) {
    CHECK(at && (at = strstr(at + 1, "\"live\":")));
    CHECK_INT(strtoll(at + strlen("\"live\":"), NULL, 10), ==, live[k]);
  }
}

static void check_stats(const world *w, const size_t *spans) {
  static const char *const names[] = {"hot", "retired", "reusable", "unswept", "deferred", "large"};
  char json[4096], small[16];
  size_t live[16] = {0}, all = 0, length = scalloc_rt_stats_json(w->heap, json, sizeof json);
  CHECK(length < sizeof json && strlen(json) == length);
  CHECK(scalloc_rt_stats_json(w->heap, small, sizeof small) == length && memcmp(small, json, sizeof small - 1) == 0);
  for (unsigned i = 0; i < LENGTH(names); i++) CHECK_INT(json_number(json, "spans", names[i]), ==, spans[i]);
  for (size_t i = 0; i < w->lives; i++) {
    live[w->live[i].span->info.kind] += size_of(w->live[i].span);
    all += size_of(w->live[i].span);
  }
  CHECK_INT(json_number(json, "bytes", "live"), ==, all);
  CHECK_INT(json_number(json, "bytes", "committed"), ==, w->committed);
  CHECK_INT(json_number(json, "bytes", "limit"), ==, w->conf.limit);
  CHECK_INT(json_number(json, "counts", "cycles"), ==, w->cycles);
  CHECK_INT(json_number(json, "counts", "released"), ==, w->released);
  check_kinds(json, live);
}

/* ------------------------------------------------------------------------------------------------------------------------- */

void audit(world *w) {
  size_t spans[6];
  w->audits++;
  for (unsigned i = 0; i < LENGTH(spans); i++) {
    state_visit v = {.w = w, .state = 1u << i};
    CHECK(scalloc_rt_each_span(w->heap, v.state, see_span, &v) == 0);
    spans[i] = v.spans;
  }
  each_span_model(w, was_seen); /* none is lost */
  check_holes(w);
  each_span_model(w, check_blocks);
  check_stats(w, spans);
  for (size_t i = 0; i < w->lives; i++) CHECK(intact(address_of(w->live[i].span, w->live[i].i), size_of(w->live[i].span)));
  check_heap();
}
