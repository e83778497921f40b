/* gcspan.c - holding a span, and THE RULE of gcspan.h. */
#include "gcspan.h"

#include "large.h"

span *gcspan_of_run(uint32_t index) {
  span *s = large_head(span_at(index));
  return s && span_state_now(s) == SPAN_LENT ? s : NULL;
}

static __thread span *hooked __attribute__((tls_model("initial-exec")));

const span *gcspan_hooked(void) { return hooked; }

/* A held span's: shown or not, in a new generation. */
static void show(span *s, bool shown) {
  word_t w, now;
  do {
    w = word_load_acquire(&s->word);
    if (!is_held(w)) return; /* new, in the caller's hands */
    now = word_next(w, SPAN_LENT, (uint32_t)stage_of(w) | GC_HELD | (shown ? GC_SHOWN : 0u), word_count(w));
  } while (!word_cas_full(&s->word, w, now));
}

span *gcspan_show(span *s) {
  span *before = hooked;
  hooked = s;
  show(s, true);
  return before;
}

void gcspan_hide(span *s, span *before) {
  show(s, false);
  hooked = before;
}

void gcspan_hold(span *s) {
  for (unsigned spins = 1;; spins++) {
    word_t w = word_load_acquire(&s->word);
    if (!is_held(w) && word_cas_full(&s->word, w, word_with_stage(w, stage_of(w), true))) return;
    if (spins % 64 == 0)
      os_yield();
    else
      cpu_relax();
  }
}

word_t gcspan_let_go(span *s, gc_stage stage, uint32_t merged) {
  word_t w, now;
  do {
    w = word_load_acquire(&s->word);
    assert_that(is_held(w) || stage_of(w) == GC_NEW);
    now = word_next(w, SPAN_LENT, (uint32_t)stage, count_plus(w, -(int32_t)merged));
  } while (!word_cas_full(&s->word, w, now));
  return now;
}

uint32_t gcspan_merge_freed(span *s) {
  gc_record *r = record_of(s);
  volatile word_t *freed = freeds_of(s), *alloc = allocs_of(s);
  uint32_t n = 0;
  if (word_count(word_load_acquire(&s->word)) == 0) return 0;
  for (uint32_t w = 0; w * 64 < r->blocks; w++) {
    word_t bits_here = word_load_acquire(&freed[w]);
    if (bits_here == 0) continue;
    while (!word_cas_full(&freed[w], bits_here, 0)) bits_here = word_load_acquire(&freed[w]);
    n += (uint32_t)__builtin_popcountll(bits_here);
    word_store_relaxed(&alloc[w], word_load_relaxed(&alloc[w]) & ~bits_here);
  }
  half_store_relaxed(&r->used, r->used - n);
  return n;
}

/* alloc &= mark, or all of it goes. */
static bool apply(span *s, bool marked, word_t *dead) {
  gc_record *r = record_of(s);
  volatile word_t *mark = marks_of(s), *alloc = allocs_of(s);
  word_t any = 0;
  uint32_t used = 0;
  for (uint32_t w = 0; w * 64 < r->blocks; w++) {
    word_t before = word_load_relaxed(&alloc[w]), after = marked ? before & word_load_relaxed(&mark[w]) : 0;
    if (dead) dead[w] = before & ~after;
    any |= before & ~after;
    used += (uint32_t)__builtin_popcountll(after);
    if (after != before) word_store_relaxed(&alloc[w], after);
  }
  half_store_relaxed(&r->used, used);
  return any != 0;
}

bool gcspan_update(span *s, unsigned running, unsigned last, word_t *dead) {
  gc_record *r = record_of(s);
  bool died = false;
  if (!is_swept(r, last)) {
    died = apply(s, half_load_relaxed(marked_in(s)) == last, dead);
    *cursor_of(s) = 0;
    half_store_release(&r->swept, last);
  }
  if (running != 0 && half_load_relaxed(marked_in(s)) != running) {
    volatile word_t *mark = marks_of(s);
    for (uint32_t w = 0; w * 64 < r->blocks; w++) word_store_relaxed(&mark[w], 0);
    half_store_release(marked_in(s), running); /* who sees it sees the marks cleared */
  }
  return died;
}

/* As it is at one moment, if the word does not change meanwhile. */
static bool has(const span *s, uint32_t i, unsigned last, word_t w) {
  const gc_record *r = const_record_of(s);
  if (!bit_get(allocs_of(s), i)) return false;
  if (word_count(w) != 0 && bit_get(freeds_of(s), i)) return false;
  return is_swept(r, last) || (half_load_acquire(marked_in(s)) == last && bit_get(marks_of(s), i));
}

bool gcspan_has(const span *s, uint32_t i, unsigned last) {
  for (;;) {
    word_t w = word_load_acquire(&s->word);
    if (half_load_acquire(&const_record_of(s)->swept) == GC_ALWAYS) return has(s, i, last, w);
    bool found = !is_hidden(w) && has(s, i, last, w);
    atomics_fence_acquire();
    if (!is_hidden(w) && word_generation(word_load_acquire(&s->word)) == word_generation(w)) return found;
    if (word_state(w) != SPAN_LENT) return false; /* released meanwhile */
    cpu_relax();
  }
}
