/* view.c - the heap as seen from outside: walks, statistics, and what the core asks about lent spans. */
#include "view.h"

#include <stdarg.h>
#include <stdio.h>

#include "mutator.h"
#include "quiet.h"

/* ---- one span ------------------------------------------------------------------------------------------------------------- */

/* That mutator may be at work: what is read counts if neither its own blocks nor the span have changed meanwhile. */
bool view_is_own(const span *s, uint32_t i, uintptr_t block) {
  const gc_record *r = const_record_of(s);
  for (;;) {
    word_t w = word_load_acquire(&s->word);
    unsigned slot = r->slot;
    if (word_state(w) != SPAN_LENT || stage_of(w) != GC_HOT || slot >= SCALLOC_RT_SLOTS) return false;
    const gcmutator *m = mutator_at(half_load_acquire(&r->mutator));
    const scalloc_rt_hole *hole = &m->published.hole[slot];
    uintptr_t lim = __atomic_load_n(&hole->lim, __ATOMIC_ACQUIRE), cur = __atomic_load_n(&hole->cur, __ATOMIC_ACQUIRE);
    word_t pieces = word_load_acquire(&m->pieces[slot].bits);
    bool own = (block >= cur && block < lim) || (half_load_relaxed(&m->pieces[slot].word) == i / 64 && pieces >> i % 64 & 1);
    atomics_fence_acquire();
    if (lim == __atomic_load_n(&hole->lim, __ATOMIC_ACQUIRE) && pieces == word_load_acquire(&m->pieces[slot].bits) &&
        word_generation(word_load_acquire(&s->word)) == word_generation(w))
      return own;
    cpu_relax();
  }
}

bool view_has(const gcheap *h, const span *s, uint32_t i) {
  if (!gcspan_has(s, i, half_load_acquire(&h->last))) return false;
  return stage_now(s) != GC_HOT || !view_is_own(s, i, (uintptr_t)block_at(s, i));
}

static size_t live_bytes(const gcheap *h, const span *s) {
  uint32_t n = 0, blocks = const_record_of(s)->blocks;
  if (blocks > GC_BLOCKS) return 0;
  for (uint32_t i = bits_next_set(allocs_of(s), 0, blocks); i < blocks; i = bits_next_set(allocs_of(s), i + 1, blocks))
    n += view_has(h, s, i);
  return n * (is_large(s) ? s->large_bytes : s->block);
}

static unsigned state_in(const gcheap *h, const span *s) {
  gc_stage stage = stage_now(s);
  if (stage == GC_HOT) return SCALLOC_RT_HOT;
  if (stage == GC_DEFERRED) return SCALLOC_RT_DEFERRED;
  if (!is_swept(const_record_of(s), half_load_acquire(&h->last))) return SCALLOC_RT_UNSWEPT;
  return stage == GC_LARGE ? SCALLOC_RT_LARGE : stage == GC_REUSABLE ? SCALLOC_RT_REUSABLE : SCALLOC_RT_RETIRED;
}

/* ---- walks ------------------------------------------------------------------------------------------------------------------ */

static bool is_of(const gcheap *h, const span *s) {
  word_t w = word_load_acquire(&s->word);
  return word_state(w) == SPAN_LENT && stage_of(w) != GC_NEW && gcheap_of(s) == h;
}

/* By the table, not by the lists, which change under way. */
int scalloc_rt_each_span(scalloc_rt_heap *h, unsigned states, scalloc_rt_span_visit visit, void *ud) {
  scalloc_rt_span_info info;
  uint32_t end = (uint32_t)word_load_acquire(&bits.reach);
  int result = 0;
  for (uint32_t i = 1; i < end && result == 0; i++) {
    const span *s = span_at(i);
    if (!is_of(h, s)) continue;
    unsigned state = state_in(h, s);
    gcheap_info(h, s, &info);
    atomics_fence_acquire();
    if (state & states && is_of(h, s)) result = visit(ud, i, &info);
  }
  return result;
}

int scalloc_rt_each_block(scalloc_rt_span number, unsigned which, scalloc_rt_block_visit visit, void *ud) {
  const span *s = number > 0 && number < word_load_acquire(&bits.reach) ? span_at(number) : NULL;
  if (s == NULL || span_state_now(s) != SPAN_LENT) return 0;
  uint32_t blocks = const_record_of(s)->blocks;
  size_t size = is_large(s) ? s->large_bytes : s->block;
  int result = 0;
  for (uint32_t i = bits_next_set(allocs_of(s), 0, blocks); i < blocks && result == 0;
       i = bits_next_set(allocs_of(s), i + 1, blocks)) {
    scalloc_rt_ref ref = {number, i};
    if (!view_has(gcheap_of(s), s, i)) continue;
    if (which & SCALLOC_RT_ALLOCATED || which & (scalloc_rt_is_marked(ref) ? SCALLOC_RT_MARKED : SCALLOC_RT_UNMARKED))
      result = visit(ud, ref, block_at(s, i), size);
  }
  return result;
}

/* ---- statistics ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  const gcheap *heap;
  size_t spans[6], live, kind_live[SCALLOC_RT_KINDS], kind_spans[SCALLOC_RT_KINDS];
} totals;

static int add(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  totals *t = ud;
  const span *s = span_at(number);
  size_t live = live_bytes(t->heap, s);
  t->spans[__builtin_ctz(state_in(t->heap, s))]++;
  t->live += live;
  t->kind_live[info->kind] += live;
  t->kind_spans[info->kind]++;
  return 0;
}

typedef struct {
  char *at;
  size_t left, length; /* of the buffer; of the text, cut or not */
} writer;

__attribute__((format(printf, 2, 3))) static void write_text(writer *w, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int n = vsnprintf(w->at, w->left, format, list);
  va_end(list);
  if (n < 0) return;
  size_t step = (size_t)n < w->left ? (size_t)n : w->left ? w->left - 1 : 0;
  if (step > 0) w->at += step; /* the buffer may be NULL */
  w->left -= step;
  w->length += (size_t)n;
}

/* A name, without what JSON would want escaped. */
static void write_name(writer *w, const char *name) {
  for (; name && *name; name++)
    if ((unsigned char)*name >= ' ' && *name != '"' && *name != '\\') write_text(w, "%c", *name);
}

size_t scalloc_rt_stats_json(scalloc_rt_heap *h, char *buffer, size_t size) {
  totals t = {.heap = h};
  writer w = {.at = buffer, .left = size};
  scalloc_rt_each_span(h, SCALLOC_RT_ANY, add, &t);
  write_text(&w, "{\"spans\":{\"hot\":%zu,\"retired\":%zu,\"reusable\":%zu,\"unswept\":%zu,\"deferred\":%zu,\"large\":%zu},",
             t.spans[0], t.spans[1], t.spans[2], t.spans[3], t.spans[4], t.spans[5]);
  write_text(&w, "\"bytes\":{\"live\":%zu,\"committed\":%zu,\"limit\":%zu},", t.live, (size_t)word_load_acquire(&h->bytes),
             h->limit);
  size_t swept = word_load_acquire(&h->swept), refills = word_load_acquire(&h->refills);
  quiet_enter(NULL);
  lock_take(&h->lock); /* not gcheap_lock_list: a hook may ask, and a cycle that turns waits for hooks */
  for (const gcmutator *m = h->mutators; m; m = m->next)
    swept += word_load_relaxed(&m->swept), refills += word_load_relaxed(&m->refills);
  lock_give(&h->lock);
  quiet_leave(NULL);
  write_text(&w, "\"counts\":{\"cycles\":%zu,\"swept\":%zu,\"released\":%zu,\"refills\":%zu},\"kinds\":[",
             (size_t)word_load_acquire(&h->cycles), swept, (size_t)word_load_acquire(&h->released), refills);
  for (unsigned k = 0; k < h->kinds; k++) {
    write_text(&w, "%s{\"name\":\"", k ? "," : "");
    write_name(&w, h->kind[k].name);
    write_text(&w, "\",\"spans\":%zu,\"live\":%zu}", t.kind_spans[k], t.kind_live[k]);
  }
  write_text(&w, "]}");
  return w.length;
}

/* ---- for the core ------------------------------------------------------------------------------------------------------------ */

static span_state core_state(const span *s, size_t *live) {
  gc_stage stage = stage_now(s);
  const gcheap *h = gcheap_of(s);
  *live = h ? live_bytes(h, s) : 0;
  if (is_large(s)) return SPAN_LARGE;
  return stage == GC_HOT || stage == GC_NEW ? SPAN_HOT : stage == GC_REUSABLE ? SPAN_REUSABLE : SPAN_FLOATING;
}

static bool core_find(const span *s, const void *address, scalloc_block *out) {
  size_t offset = (uintptr_t)address - (uintptr_t)block_at(s, 0);
  uint32_t i = 0;
  if (is_large(s)) {
    if (offset >= s->large_bytes) return false;
  } else {
    i = offset < SPAN_BYTES ? block_number(gcslot_of(s), offset) : GC_BLOCKS;
    if (i >= const_record_of(s)->blocks) return false;
  }
  *out = (scalloc_block){.start = is_large(s) ? span_start(s) : block_at(s, i),
                         .size = is_large(s) ? s->large_bytes : s->block,
                         .live = view_has(gcheap_of(s), s, i)};
  return true;
}

static const char *core_fault(const span *s) {
  const gc_record *r = const_record_of(s);
  const gcheap *h = gcheap_of(s);
  if (h == NULL) return "lent to nobody";
  if (r->blocks > GC_BLOCKS || r->slot >= GC_ALL_SLOTS) return "a record of the runtime glue that is out of bounds";
  if (is_held(word_load_acquire(&s->word))) return "held by nobody";
  if (pending_of(word_load_acquire(&s->word)) != (int32_t)bits_count(freeds_of(s), r->blocks))
    return "frees by hand that do not count";
  if (stage_now(s) == GC_HOT ? s->in_list : !s->in_list) return "in a list while hot, or in none while not";
  if (bits_count(allocs_of(s), r->blocks) != r->used && is_swept(r, h->last)) return "alloc bits are not what is used";
  if (is_large(s)) return NULL;
  return (size_t)first_of(s) + (size_t)r->blocks * s->block > SPAN_BYTES ? "blocks beyond its end" : NULL;
}

const lend_borrower view_borrower = {.state = core_state, .find = core_find, .fault = core_fault};
