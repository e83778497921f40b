/* hooks.c - the hooks: each is held to its line in runtime_glue.h. */
#include "oracle.h"

static bool same_info(const scalloc_rt_span_info *a, const scalloc_rt_span_info *b) {
  return a->start == b->start && a->block_size == b->block_size && a->blocks == b->blocks && a->kind == b->kind &&
         a->large == b->large;
}

/* The span that a hook names. */
static span_model *named(world *w, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  span_model *s = span_by_address((uintptr_t)info->start);
  CHECK(s && s->of == w && s->number == number && same_info(&s->info, info));
  CHECK(*scalloc_rt_cookie(number) == s->cookie);
  return s;
}

/* A signal comes now that wants the thread to stop. */
static void signal_perhaps(world *w) {
  if (w->call.by && w->conf.hooks.pressure && rng_percent(&w->random, 10)) CHECK(scalloc_rt_defer_stop(w->call.by->handle));
}

/* ---- a span comes ---------------------------------------------------------------------------------------------------- */

static int on_commit(void *ud, void *start, size_t bytes) {
  world *w = ud;
  CHECK(w->committed_bytes == 0); /* none that was not followed by span_acquire */
  CHECK((uintptr_t)start % 4096 == 0 && bytes % 4096 == 0 && bytes > 0);
  if (rng_percent(&w->random, w->percent_refused)) return 1;
  ((volatile char *)start)[0] = ((volatile char *)start)[0]; /* "readable and writable in any case" */
  w->committed_start = (uintptr_t)start;
  w->committed_bytes = bytes;
  return 0;
}

static void on_acquire(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  world *w = ud;
  size_t bytes = info->blocks * info->block_size;
  CHECK(number != 0 && info->blocks > 0 && info->block_size > 0 && info->kind >= 0 && (unsigned)info->kind < kinds);
  CHECK(!info->large || (info->blocks == 1 && (uintptr_t)info->start % 4096 == 0));
  if (w->conf.hooks.commit) {
    CHECK(w->committed_start == (uintptr_t)info->start && w->committed_bytes >= bytes && w->committed_bytes < bytes + 4096);
    w->committed_bytes = 0;
  }
  CHECK(*scalloc_rt_cookie(number) == 0);
  span_model *s = span_new(w, number, info);
  *scalloc_rt_cookie(number) = s->cookie = (uintptr_t)rng_next(&w->random);
  w->committed += bytes;
  if (w->conf.limit) CHECK(w->committed <= w->conf.limit);
  signal_perhaps(w);
}

/* ---- blocks die ------------------------------------------------------------------------------------------------------ */

/* Hooks may look at the span that they are called about. */
static bool is_there(const world *w, void *block) {
  scalloc_rt_ref ref;
  return scalloc_rt_resolve(w->heap, block, false, &ref);
}

static bool on_disclaim(void *ud, scalloc_rt_ref ref, void *object) {
  world *w = ud;
  span_model *s = span_by_address((uintptr_t)object);
  CHECK(s && s->of == w && s->number == ref.span && ref.block < s->info.blocks && object == address_of(s, ref.block));
  CHECK(kind_flags[s->info.kind] & SCALLOC_RT_DISCLAIM);
  CHECK(s->block[ref.block].life == DOOMED && !s->block[ref.block].asked);
  CHECK(intact(object, size_of(s)));
  CHECK(!w->destroying && !is_there(w, object));
  if (rng_percent(&w->random, 30)) {
    block_kept(s, ref.block);
    return false;
  }
  s->block[ref.block].asked = true;
  return true;
}

/* Exactly the doomed, all at once; who may be asked has been. */
static void on_swept(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t ndead) {
  world *w = ud;
  span_model *s = named(w, number, info);
  uint32_t n = 0;
  CHECK(!w->destroying && is_collectable(s));
  if (w->call.by) call_absorb(w);
  for (uint32_t i = 0; i < info->blocks; i++) {
    block_model *b = &s->block[i];
    bool told = dead[i / 64] >> i % 64 & 1;
    if (told != (b->life == DOOMED))
      test_fail(__FILE__, __LINE__, "span_swept says block %u of span %u %s; its life: %d", i, number, told ? "died" : "lives",
                b->life);
    CHECK(is_there(w, address_of(s, i)) == (b->life == LIVE));
    if (!told) continue;
    CHECK(!asks(w, s) || b->asked);
    CHECK(intact(address_of(s, i), size_of(s)));
    b->life = GONE;
    n++;
  }
  CHECK(n > 0 && n == ndead);
  signal_perhaps(w);
}

/* ---- a span goes ----------------------------------------------------------------------------------------------------- */

static void check_all_dead(const world *w, const span_model *s) {
  CHECK_INT(s->live, ==, 0);
  for (uint32_t i = 0; i < s->info.blocks; i++)
    if (s->block[i].life == DOOMED) CHECK(!tells(w) && (!asks(w, s) || s->block[i].asked));
}

static void doomed_are_gone(span_model *s) {
  for (uint32_t i = 0; i < s->info.blocks; i++)
    if (s->block[i].life == DOOMED) s->block[i].life = GONE;
}

static bool on_release(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  world *w = ud;
  span_model *s = named(w, number, info);
  CHECK(why == (w->destroying ? SCALLOC_RT_DESTROY : SCALLOC_RT_DEAD));
  signal_perhaps(w);
  if (!w->destroying) {
    CHECK(!s->deferred && !is_there(w, info->start));
    check_all_dead(w, s);
    doomed_are_gone(s);
    if (rng_percent(&w->random, w->percent_put_off)) {
      s->deferred = true;
      return false;
    }
  }
  s->deferred = false;
  w->released++;
  w->committed -= info->blocks * info->block_size;
  if (!w->conf.hooks.decommit) span_end(s);
  return true;
}

static int on_decommit(void *ud, void *start, size_t bytes) {
  world *w = ud;
  span_model *s = span_by_address((uintptr_t)start);
  CHECK(s && s->of == w && s->info.start == start && !s->deferred);
  CHECK(bytes == (s->info.blocks * s->info.block_size + 4095) / 4096 * 4096);
  CHECK(w->destroying || s->live == 0);
  span_end(s);
  return rng_percent(&w->random, 5); /* ignored */
}

/* ---- pressure -------------------------------------------------------------------------------------------------------- */

static mutator_model *mutator_by_handle(world *w, const scalloc_rt_mutator *handle) {
  for (unsigned i = 0; i < MUTATORS; i++)
    if (w->mutator[i].handle == handle) return &w->mutator[i];
  test_fail(__FILE__, __LINE__, "a hook names a mutator that is not attached");
}

/* The call under way has another hole by now, or none: none of before the cycle. */
static void forget_old_hole(world *w, mutator_model *m, call_model *c) {
  if (c->wanted != 0 || m->handle->hole[w->slot[c->slot].number].lim == c->lim) return;
  m->old[c->slot] = false;
  c->old_cur = c->old_lim = 0;
}

static bool on_pressure(void *ud, scalloc_rt_mutator *handle, size_t bytes, int why) {
  world *w = ud;
  mutator_model *m = mutator_by_handle(w, handle);
  call_model outer;
  CHECK(!w->in_pressure && handle->rt == m);
  CHECK(why != SCALLOC_RT_LIMIT || w->conf.limit > 0);
  CHECK(w->call.by == m);
  if (why == SCALLOC_RT_BUDGET) CHECK(handle->budget <= (int64_t)w->call.wanted);
  w->in_pressure = true;
  call_absorb(w); /* its array is a root */
  m->since += (size_t)(w->call.budget - handle->budget);
  CHECK_INT(bytes, ==, m->since);
  m->since = 0; /* what is allocated in here is for the next call */
  if (why == SCALLOC_RT_STOP) forget_old_hole(w, m, &w->call);
  outer = w->call;
  w->call.by = NULL;
  if (why == SCALLOC_RT_STOP && rng_percent(&w->random, 30)) op_retire(w, m);
  bool again = rng_percent(&w->random, 60);
  if (again || rng_percent(&w->random, 20)) op_collect(w);
  for (size_t n = rng_below(&w->random, 3); n > 0; n--)
    op_allocate(w, m, outer.n > 1); /* which may go on with a slow path: then nothing is fresh */
  handle->budget = 1 + (int64_t)rng_below(&w->random, MB);
  w->call = outer;
  w->call.budget = handle->budget;
  if (why == SCALLOC_RT_LIMIT || why == SCALLOC_RT_NO_MEMORY) w->call.refused = true;
  w->in_pressure = false;
  return again;
}

void hooks_set(world *w) {
  scalloc_rt_hooks *h = &w->conf.hooks;
  rng *random = &w->random;
  *h = (scalloc_rt_hooks){.span_acquire = on_acquire, .span_release = on_release};
  if (rng_percent(random, 40)) h->span_swept = on_swept;
  if (rng_percent(random, 50)) h->disclaim = on_disclaim;
  if (rng_percent(random, 60)) h->commit = on_commit;
  if (rng_percent(random, 60)) h->decommit = on_decommit;
  if (rng_percent(random, 80)) h->pressure = on_pressure;
  w->percent_put_off = rng_percent(random, 50) ? 40 : 0;
  w->percent_refused = rng_percent(random, 40) ? 5 : 0;
}
