/* shadow.c - the tables of oracle.h: spans by the 2 MB that they lie in, blocks by number, the live ones in a list besides. */
#include "oracle.h"

const unsigned kind_flags[] = {SCALLOC_RT_NOSCAN,
                               SCALLOC_RT_UNCOLLECTABLE,
                               0,
                               SCALLOC_RT_ZERO,
                               SCALLOC_RT_EXPLICIT_FREE,
                               SCALLOC_RT_EXPLICIT_FREE | SCALLOC_RT_ZERO,
                               SCALLOC_RT_UNCOLLECTABLE | SCALLOC_RT_ZERO,
                               SCALLOC_RT_DISCLAIM,
                               SCALLOC_RT_DISCLAIM | SCALLOC_RT_EXPLICIT_FREE | SCALLOC_RT_CONSERVATIVE};
const unsigned kinds = sizeof kind_flags / sizeof kind_flags[0];

/* Open addressing, never shrunk: a span that has ended leaves its key behind. */
enum { TABLE = 1 << 14 };
static struct {
  uintptr_t key; /* address / 2 MB */
  span_model *span;
} table[TABLE];

bool tells(const world *w) { return w->conf.hooks.span_swept != NULL; }

bool asks(const world *w, const span_model *s) {
  return w->conf.hooks.disclaim != NULL && (kind_flags[s->info.kind] & SCALLOC_RT_DISCLAIM);
}

bool is_collectable(const span_model *s) { return !(kind_flags[s->info.kind] & SCALLOC_RT_UNCOLLECTABLE); }

/* ---- spans ----------------------------------------------------------------------------------------------------------- */

static span_model **entry(uintptr_t key) {
  size_t at = mix(key) % TABLE;
  for (size_t steps = 0; table[at].key != 0 && table[at].key != key; at = (at + 1) % TABLE) CHECK(++steps < TABLE);
  table[at].key = key;
  return &table[at].span;
}

span_model *span_by_address(uintptr_t address) {
  for (size_t at = mix(address >> SPAN_SHIFT) % TABLE; table[at].key != 0; at = (at + 1) % TABLE)
    if (table[at].key == address >> SPAN_SHIFT) return table[at].span;
  return NULL;
}

span_model *span_by_number(const world *w, scalloc_rt_span number) {
  for (size_t at = 0; at < TABLE; at++)
    if (table[at].span && table[at].span->of == w && table[at].span->number == number) return table[at].span;
  return NULL;
}

static uintptr_t first_key(const span_model *s) { return (uintptr_t)s->info.start >> SPAN_SHIFT; }
static uintptr_t last_key(const span_model *s) {
  return ((uintptr_t)s->info.start + s->info.blocks * s->info.block_size - 1) >> SPAN_SHIFT;
}

void each_span_model(world *w, void (*visit)(world *w, span_model *s)) {
  for (size_t at = 0; at < TABLE; at++) {
    span_model *s = table[at].span;
    if (s && s->of == w && first_key(s) == table[at].key) visit(w, s);
  }
}

span_model *span_new(world *w, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  span_model *s = calloc(1, sizeof *s);
  CHECK(s && (s->block = calloc(info->blocks, sizeof s->block[0])));
  s->of = w;
  s->number = number;
  s->info = *info;
  for (uintptr_t key = first_key(s); key <= last_key(s); key++) {
    CHECK(*entry(key) == NULL); /* else memory that is still in use */
    *entry(key) = s;
  }
  return s;
}

/* Also with live blocks, when a heap is destroyed. */
void span_end(span_model *s) {
  for (uint32_t i = 0; i < s->info.blocks; i++)
    if (s->block[i].life == LIVE) block_died(s->of, s, i, GONE);
  for (unsigned n = 0; n < MUTATORS; n++) /* the number may come again, for another's block */
    if (s->of->mutator[n].fresh == s->number) s->of->mutator[n].fresh = 0;
  for (uintptr_t key = first_key(s); key <= last_key(s); key++) *entry(key) = NULL;
  free(s->block);
  free(s);
}

void *address_of(const span_model *s, uint32_t i) { return (char *)s->info.start + (size_t)i * s->info.block_size; }

size_t size_of(const span_model *s) { return s->info.block_size; }

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

/* Where the address lies in a span of w that is not put off, alive or not. */
static bool find(const world *w, uintptr_t address, block_at *out) {
  span_model *s = span_by_address(address);
  uintptr_t start = s ? (uintptr_t)s->info.start : 0;
  if (s == NULL || s->of != w || s->deferred || address < start) return false;
  size_t i = (address - start) / s->info.block_size;
  if (i >= s->info.blocks) return false;
  *out = (block_at){s, (uint32_t)i};
  return true;
}

bool expected(const world *w, uintptr_t address, bool interior, block_at *out) {
  if (!find(w, address, out) || out->span->block[out->i].life != LIVE) return false;
  return interior || (uintptr_t)address_of(out->span, out->i) == address;
}

/* Fit to be handed out: nobody has it, and who wants to hear of its death has. */
static void check_free(const world *w, const span_model *s, uint32_t i) {
  const block_model *b = &s->block[i];
  CHECK(b->life != LIVE); /* handed out twice */
  if (b->life == DOOMED) CHECK(!tells(w) && !(asks(w, s) && !b->asked));
}

void block_born(world *w, uintptr_t address, int kind, size_t size, bool marked) {
  block_at at;
  CHECK(find(w, address, &at));
  span_model *s = at.span;
  block_model *b = &s->block[at.i];
  CHECK((uintptr_t)address_of(s, at.i) == address);
  CHECK_INT(s->info.kind, ==, kind);
  CHECK(s->info.large ? s->info.block_size >= size : s->info.block_size == size);
  CHECK(address % (s->info.large ? 4096 : 16) == 0);
  check_free(w, s, at.i);
  if (kind_flags[kind] & SCALLOC_RT_ZERO) CHECK(all_bytes((void *)address, size_of(s), 0));
  CHECK(w->lives < MOST_LIVE);
  *b = (block_model){.life = LIVE, .marked = marked, .last = UNKNOWN, .place = (uint32_t)w->lives};
  w->live[w->lives++] = at;
  s->live++;
  fill((void *)address, size_of(s));
}

void block_died(world *w, span_model *s, uint32_t i, life how) {
  block_model *b = &s->block[i];
  block_at last = w->live[--w->lives];
  w->live[b->place] = last;
  last.span->block[last.i].place = b->place;
  b->life = (unsigned char)how;
  b->asked = false;
  s->live--;
  w->stale[w->stales++ % STALE] = (uintptr_t)address_of(s, i);
}

void block_kept(span_model *s, uint32_t i) {
  world *w = s->of;
  CHECK(w->lives < MOST_LIVE);
  s->block[i] = (block_model){.life = LIVE, .marked = w->running, .last = NO, .place = (uint32_t)w->lives};
  w->live[w->lives++] = (block_at){s, i};
  s->live++;
}

void call_absorb(world *w) {
  call_model *c = &w->call;
  const slot_model *slot = &w->slot[c->slot];
  for (; c->done < c->n && c->out[c->done]; c->done++) {
    uintptr_t block = (uintptr_t)c->out[c->done];
    bool old = block == c->old_cur && block < c->old_lim;
    if (old) c->old_cur += slot->rounded;
    block_born(w, block, slot->kind, slot->rounded, w->running && !old);
  }
}
