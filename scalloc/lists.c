/* lists.c - doubly linked lists of span indices; every operation is constant time. */
#include "lists.h"

#include "cells.h"

/* The locks of young heaps, whose structures are given back, lie elsewhere: several heaps have the same. */
enum { YOUNG_LOCKS = 256 };
static spin_lock young_locks[YOUNG_LOCKS];

static spin_lock *lock_of(heap *h) {
  return heap_is_young(h) ? &young_locks[((uintptr_t)h - arena.base) >> CELL_SHIFT & (YOUNG_LOCKS - 1)] : &h->lock;
}

void list_lock(heap *h) { lock_take(lock_of(h)); }
void list_unlock(heap *h) { lock_give(lock_of(h)); }

void heap_reset_locks(void) {
  for (unsigned i = 0; i < YOUNG_LOCKS; i++) lock_give(&young_locks[i]);
}

static span_list *list_of(heap *h, span *s, unsigned which) {
  return which == LIST_ALL ? &h->all : which == LIST_MAIL ? &h->mail : &h->sets[s->class_index];
}

void list_append(heap *h, span *s, unsigned which) {
  span_list *list = list_of(h, s, which);
  uint32_t index = span_index(s);
  assert_that(!(s->in_list >> which & 1));
  s->link[which] = (span_link){.next = 0, .prev = list->tail};
  if (list->tail)
    span_at(list->tail)->link[which].next = index;
  else
    half_store_relaxed(&list->head, index);
  list->tail = index;
  s->in_list |= (uint8_t)(1u << which);
}

void list_remove(heap *h, span *s, unsigned which) {
  span_list *list = list_of(h, s, which);
  span_link at = s->link[which];
  if (!(s->in_list >> which & 1)) return;
  if (at.next)
    span_at(at.next)->link[which].prev = at.prev;
  else
    list->tail = at.prev;
  if (at.prev)
    span_at(at.prev)->link[which].next = at.next;
  else
    half_store_relaxed(&list->head, at.next);
  s->in_list &= (uint8_t) ~(1u << which);
}

heap *list_lock_owner(span *s) {
  for (;;) {
    heap *h = owner_heap(word_load_acquire(&s->owner));
    if (h == NULL) return NULL;
    list_lock(h);
    if (owner_heap(word_load_acquire(&s->owner)) == h) return h;
    list_unlock(h);
  }
}

void heap_link(heap *h, span *s) {
  list_lock(h);
  list_append(h, s, LIST_ALL);
  list_unlock(h);
}

void heap_unlink(heap *h, span *s) {
  list_lock(h);
  list_remove(h, s, LIST_ALL);
  list_unlock(h);
}

void list_change_owner(span *s, heap *from, heap *to) {
  word_t owner;
  for (unsigned which = 0; which < LISTS; which++) list_remove(from, s, which);
  do owner = word_load_acquire(&s->owner);
  while (!word_cas_full(&s->owner, owner, (word_t)to | OWNER_SHARED));
}
