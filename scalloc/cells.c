/*
 * cells.c - who has which cell.
 *
 * Data: the list of nursery spans that have a free cell, and the words of all nursery spans, under one lock. It is held for a
 * few instructions, when a heap begins, grows by a cell or ends, and never while another lock is taken or the OS is asked. A
 * purge takes the cells it works on as if it were a heap.
 */
#include "cells.h"

#include "lock.h"
#include "pool.h"
#include "purge.h"
#include "supply.h"

static spin_lock lock;
static span_link with_room; /* first and last span; linked by LIST_ALL, which no heap's list uses for them */
static volatile unsigned with_room_count;

static void enlist(span *s) {
  uint32_t index = span_index(s);
  s->link[LIST_ALL] = (span_link){.next = 0, .prev = with_room.prev};
  if (with_room.prev)
    span_at(with_room.prev)->link[LIST_ALL].next = index;
  else
    with_room.next = index;
  with_room.prev = index;
  half_store_relaxed(&with_room_count, half_load_relaxed(&with_room_count) + 1);
}

static void unlist(span *s) {
  span_link at = s->link[LIST_ALL];
  if (at.next)
    span_at(at.next)->link[LIST_ALL].prev = at.prev;
  else
    with_room.prev = at.prev;
  if (at.prev)
    span_at(at.prev)->link[LIST_ALL].next = at.next;
  else
    with_room.next = at.next;
  half_store_relaxed(&with_room_count, half_load_relaxed(&with_room_count) - 1);
}

/* Under the lock. A span is listed as long as a cell of it is free. */
static void set_cells(span *s, word_t cells) {
  word_t before = word_load_relaxed(&s->cells);
  word_store_relaxed(&s->cells, cells);
  if (before == CELLS_ALL && cells != CELLS_ALL) enlist(s);
  if (before != CELLS_ALL && cells == CELLS_ALL) unlist(s);
}

/* Under the lock: these cells are free again. True: they were the last, and the span is the caller's, for the pool. */
static bool free_cells(span *s, word_t cells) {
  word_t left = word_load_relaxed(&s->cells) & ~cells, backed = word_load_relaxed(&s->cells_backed);
  set_cells(s, left);
  if (left != 0) return false;
  unlist(s);
  s->dirty = backed ? (uint32_t)((CELLS - (unsigned)__builtin_clzll(backed)) << CELL_SHIFT) : 0;
  span_set_state(s, SPAN_FREE);
  return true;
}

/* An empty span becomes a nursery whose first cell is the caller's. */
static span *open_span(void) {
  span *s = supply_take(0, CELL_BYTES);
  if (s == NULL) return NULL;
  size_t backed = ((s->dirty > s->charged ? s->dirty : s->charged) + CELL_BYTES - 1) >> CELL_SHIFT;
  if (!purge_charge(s, backed << CELL_SHIFT)) {
    pool_put(s, 0);
    return NULL;
  }
  s->block = NURSERY_BLOCK;
  s->in_list = 0;
  s->notify = 0;
  half_store_relaxed(&s->used, 1); /* a plain free of a block in it takes the slow path */
  word_store_relaxed(&s->owner, 0);
  word_store_relaxed(&s->cells_backed, backed == CELLS ? CELLS_ALL : ((word_t)1 << backed) - 1);
  word_store_relaxed(&s->cell_heads, 0);
  word_store_relaxed(&s->cells, CELLS_ALL);
  span_set_state(s, SPAN_HOT);
  lock_take(&lock);
  set_cells(s, 1);
  lock_give(&lock);
  return s;
}

/* A free cell of the first span that has one. */
static char *claim(void) {
  char *cell = NULL;
  lock_take(&lock);
  if (with_room.next != 0) {
    span *s = span_at(with_room.next);
    word_t cells = word_load_relaxed(&s->cells);
    unsigned number = (unsigned)__builtin_ctzll(~cells);
    set_cells(s, cells | (word_t)1 << number);
    cell = cell_at(s, number);
  }
  lock_give(&lock);
  return cell;
}

/* Charges a cell that the caller has. */
static bool charge(span *s, word_t bit) {
  if (word_load_relaxed(&s->cells_backed) & bit) return true;
  if (!arena_charge(CELL_BYTES)) {
    purge_all();
    if (!arena_charge(CELL_BYTES)) return false;
  }
  lock_take(&lock);
  s->charged += CELL_BYTES;
  word_store_relaxed(&s->cells_backed, word_load_relaxed(&s->cells_backed) | bit);
  lock_give(&lock);
  return true;
}

char *cells_take(void) {
  char *cell = claim();
  if (cell == NULL) {
    span *s = open_span();
    if (s == NULL) return NULL;
    cell = span_start(s);
  }
  if (charge(span_of_inside(cell), cell_bit(cell))) return cell;
  cells_give(cell);
  return NULL;
}

void cells_mark_head(const char *cell) {
  span *s = span_of_inside(cell);
  lock_take(&lock);
  word_store_release(&s->cell_heads, word_load_relaxed(&s->cell_heads) | cell_bit(cell));
  lock_give(&lock);
}

void cells_give(const char *cell) {
  span *s = span_of_inside(cell);
  uint32_t now = os_now_ms();
  lock_take(&lock);
  word_store_relaxed(&s->cell_heads, word_load_relaxed(&s->cell_heads) & ~cell_bit(cell));
  s->stamp = now;
  bool last = free_cells(s, cell_bit(cell));
  lock_give(&lock);
  if (last) pool_put(s, 0);
}

/* Takes the pages of these cells; gives those whose pages the OS took. */
static word_t purge_set(const span *s, word_t cells) {
  word_t purged = 0;
  while (cells != 0) {
    unsigned first = (unsigned)__builtin_ctzll(cells), count = 1;
    while (first + count < CELLS && cells >> (first + count) & 1) count++;
    word_t run = (count == CELLS ? CELLS_ALL : ((word_t)1 << count) - 1) << first;
    if (purge_part(cell_at(s, first), count * CELL_BYTES)) purged |= run;
    cells &= ~run;
  }
  return purged;
}

/* Looks at the first span of the list, which becomes the last. */
static size_t purge_next(uint32_t now, uint32_t age) {
  word_t idle = 0;
  lock_take(&lock);
  span *s = with_room.next ? span_at(with_room.next) : NULL;
  if (s != NULL) {
    unlist(s);
    enlist(s);
    if (span_is_old(s, now, age)) idle = word_load_relaxed(&s->cells_backed) & ~word_load_relaxed(&s->cells);
    set_cells(s, word_load_relaxed(&s->cells) | idle);
  }
  lock_give(&lock);
  if (idle == 0) return 0;
  word_t purged = purge_set(s, idle);
  size_t bytes = cells_in(purged) * CELL_BYTES;
  arena_discharge(bytes);
  lock_take(&lock);
  word_store_relaxed(&s->cells_backed, word_load_relaxed(&s->cells_backed) & ~purged);
  s->charged -= bytes;
  bool last = free_cells(s, idle);
  lock_give(&lock);
  if (last) pool_put(s, 0);
  return bytes;
}

size_t cells_purge(uint32_t now, uint32_t age) {
  size_t bytes = 0;
  for (size_t n = cells_with_room(); n > 0; n--) bytes += purge_next(now, age);
  return bytes;
}

size_t cells_with_room(void) { return half_load_relaxed(&with_room_count); }

void cells_reset(void) {
  with_room = (span_link){0, 0};
  half_store_relaxed(&with_room_count, 0);
  lock_give(&lock);
}

bool cells_restore(span *s, word_t in_use) {
  word_t backed = word_load_relaxed(&s->cells_backed) | in_use;
  word_store_relaxed(&s->cells_backed, backed);
  s->charged = cells_in(backed) * CELL_BYTES;
  word_store_relaxed(&s->cells, CELLS_ALL);
  set_cells(s, in_use);
  return in_use != 0 || !free_cells(s, 0);
}
