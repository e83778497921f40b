/* gclists.c - the lists of a slot: doubly linked by span number, constant time. */
#include "gcheap.h"

/* All under the lock. */
static void append(gcslot *slot, span *s, unsigned which) {
  uint32_t index = span_index(s), tail = slot->tail[which];
  record_of(s)->next = 0;
  record_of(s)->prev = tail;
  if (tail)
    record_of(span_at(tail))->next = index;
  else
    half_store_relaxed(&slot->head[which], index);
  slot->tail[which] = index;
  s->in_list = 1;
}

/* The end of a list says which one it is. */
static void remove_from(gcslot *slot, span *s) {
  uint32_t index = span_index(s), next = record_of(s)->next, prev = record_of(s)->prev;
  if (next) record_of(span_at(next))->prev = prev;
  if (prev) record_of(span_at(prev))->next = next;
  for (unsigned which = 0; which < GC_LISTS; which++) {
    if (!prev && slot->head[which] == index) half_store_relaxed(&slot->head[which], next);
    if (!next && slot->tail[which] == index) slot->tail[which] = prev;
  }
  s->in_list = 0;
}

void list_put(span *s, unsigned which) {
  gcslot *slot = gcslot_of(s);
  lock_take(&slot->lock);
  append(slot, s, which);
  lock_give(&slot->lock);
}

span *list_take(gcslot *slot, unsigned which) {
  span *s = NULL;
  lock_take(&slot->lock);
  if (slot->head[which]) remove_from(slot, s = span_at(slot->head[which]));
  lock_give(&slot->lock);
  return s;
}

bool list_drop(span *s) {
  gcslot *slot = gcslot_of(s);
  lock_take(&slot->lock);
  bool in = s->in_list;
  if (in) remove_from(slot, s);
  lock_give(&slot->lock);
  return in;
}

void list_move(gcslot *slot, span *s, unsigned which, word_t at) {
  lock_take(&slot->lock);
  if (word_generation(word_load_acquire(&s->word)) == word_generation(at) && s->in_list) {
    remove_from(slot, s);
    append(slot, s, which);
  }
  lock_give(&slot->lock);
}

static void splice(gcslot *slot, unsigned from, unsigned to) {
  if (slot->head[from] == 0) return;
  if (slot->tail[to]) {
    record_of(span_at(slot->tail[to]))->next = slot->head[from];
    record_of(span_at(slot->head[from]))->prev = slot->tail[to];
  } else {
    half_store_relaxed(&slot->head[to], slot->head[from]);
  }
  slot->tail[to] = slot->tail[from];
  half_store_relaxed(&slot->head[from], 0);
  slot->tail[from] = 0;
}

void list_all_unswept(gcslot *slot) {
  lock_take(&slot->lock);
  splice(slot, GC_HOLES, GC_UNSWEPT);
  splice(slot, GC_SWEPT, GC_UNSWEPT);
  lock_give(&slot->lock);
}
