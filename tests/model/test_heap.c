/*
 * test_heap.c - heaps that come and go: threads exit, spans are adopted, heaps are ended or handed over, while others free.
 */
#include "cells.h"
#include "lists.h"
#include "purge.h"
#include "world.h"

static heap *a, *b, *c, *u, *e, *y;
static span *first;
static unsigned blocks, in_class;

static void begin(heap_kind kind, unsigned n) {
  world_begin();
  b = heap_create(HEAP_THREAD);
  c = heap_create(HEAP_THREAD);
  e = heap_create(HEAP_EXCLUSIVE);
  u = heap_create(HEAP_USER);
  a = kind == HEAP_USER ? u : heap_create(kind);
  in_class = world_class(n);
  first = world_span(a, n, &blocks);
}

static void hot_2(void) { begin(HEAP_THREAD, 2); }
static void hot_3(void) { begin(HEAP_THREAD, 3); }
static void floating_2(void) {
  hot_2();
  world_cool(a, first);
}
static void floating_3(void) {
  hot_3();
  world_cool(a, first);
}
static void reusable_3(void) {
  floating_3();
  world_free(a, 0);
}
static void retired_2(void) {
  floating_2();
  heap_retire(a);
}
static void retired_3(void) {
  floating_3();
  heap_retire(a);
}
/* A reusable span among the orphans. */
static void orphan_3(void) {
  reusable_3();
  heap_retire(a);
}
/* A young heap besides, in its cell. */
static void floating_2_and_young(void) {
  floating_2();
  y = heap_create_young();
}
static void user_hot_2(void) { begin(HEAP_USER, 2); }
static void user_hot_3(void) { begin(HEAP_USER, 3); }
static void user_floating_2(void) {
  user_hot_2();
  world_cool(u, first);
}
static void user_floating_3(void) {
  user_hot_3();
  world_cool(u, first);
}

/* ---- acts ------------------------------------------------------------------------------------------------------------- */

static void a_exits(void) { heap_retire(a); }
static void a_frees_0_and_exits(void) {
  world_free(a, 0);
  heap_retire(a);
}
static void a_frees_1_and_exits(void) {
  world_free(a, 1);
  heap_retire(a);
}
static void b_frees_2(void) { world_free(b, 2); }
static void a_allocates_and_exits(void) {
  world_alloc(a, in_class);
  heap_retire(a);
}
static void thread_begins_and_allocates(void) { world_alloc(heap_create(HEAP_THREAD), in_class); }
static void b_frees_0(void) { world_free(b, 0); }
static void b_frees_1(void) { world_free(b, 1); }
static void b_frees_01(void) {
  world_free(b, 0);
  world_free(b, 1);
}
static void b_frees_12(void) {
  world_free(b, 1);
  world_free(b, 2);
}
static void c_frees_1(void) { world_free(c, 1); }
static void c_frees_2(void) { world_free(c, 2); }
static void nobody_frees_1(void) { world_free(NULL, 1); }
static void b_allocates(void) { world_alloc(b, in_class); }
static void c_allocates(void) { world_alloc(c, in_class); }
static void e_allocates(void) { world_alloc(e, in_class); }
static void b_frees_0_and_exits(void) {
  world_free(b, 0);
  heap_retire(b);
}
static void y_allocates_and_ends(void) {
  world_alloc(y, in_class);
  world_end(y);
}
/* Whoever has the cell then writes where the lock would have been. */
static void y_ends_and_its_cell_is_another_s(void) {
  world_alloc(y, in_class);
  world_end(y);
  if (cells_take() != (char *)y) model_fail("another cell");
  word_store_release(&y->lock, 1);
}
static void is_still_written(void) {
  if (y->lock != 1) model_fail("a heap that has ended was locked and opened");
}
static void settle_all(void) { heap_settle_all(c); }
static void purge(void) { purge_all(); }

static void u_frees_0_waits_and_ends(void) {
  world_free(u, 0);
  model_await(0);
  world_end(u);
}
static void u_waits_and_ends(void) {
  model_await(0);
  world_end(u);
}
static void b_frees_1_and_signals(void) {
  world_free(b, 1);
  model_signal(0);
}
static void u_allocates_and_hands_over(void) {
  world_free(u, 0);
  model_signal(0);
}
static void u_taken_over(void) {
  model_await(0);
  world_free(u, 1);
  world_alloc(u, in_class);
}

static const scenario scenarios[] = {
    {"exit against a free", floating_2, {a_exits, b_frees_0}, world_check, false},
    {"exit against two frees", floating_2, {a_exits, b_frees_0, c_frees_1}, world_check, true},
    {"exit with a hot span against two frees", hot_2, {a_exits, b_frees_0, c_frees_1}, world_check, true},
    {"exit with a hot span against a free", hot_2, {a_exits, b_frees_0}, world_check, false},
    {"exit of 3 with a reusable span against the last frees", reusable_3, {a_exits, b_frees_12}, world_check, false},
    {"exit of 3, last free of its own, against two frees",
     floating_3,
     {a_frees_0_and_exits, b_frees_1, c_frees_2},
     world_check,
     true},
    {"exit after a free, against the last free", reusable_3, {a_frees_1_and_exits, b_frees_2}, world_check, false},
    {"exit with a reusable span against the last frees", reusable_3, {a_exits, b_frees_1, c_frees_2}, world_check, true},
    {"exit with a reusable span, next thread, last frees",
     reusable_3,
     {a_exits, thread_begins_and_allocates, b_frees_12},
     world_check,
     true},
    {"exit after exhaustion against frees", hot_2, {a_allocates_and_exits, b_frees_01}, world_check, false},
    {"adoption by a free against the last free", retired_2, {b_frees_0, c_frees_1}, world_check, false},
    {"adoption by a free against a free without heap", retired_2, {b_frees_0, nobody_frees_1}, world_check, false},
    {"adoption of 3 by frees of two", retired_3, {b_frees_0, c_frees_1}, world_check, false},
    {"adoption of 3 by frees, the adopter exits", retired_3, {b_frees_0_and_exits, c_frees_1}, world_check, false},
    {"adoption of 3 against frees and an allocation", retired_3, {b_frees_0, c_frees_1, c_allocates}, world_check, false},
    {"orphan taken against the last frees", orphan_3, {c_allocates, b_frees_12}, world_check, false},
    {"orphan taken by two", orphan_3, {c_allocates, b_allocates}, world_check, false},
    {"orphan taken against two last frees", orphan_3, {thread_begins_and_allocates, b_frees_1, c_frees_2}, world_check, true},
    {"end of a heap against settling",
     user_floating_2,
     {u_frees_0_waits_and_ends, b_frees_1_and_signals, settle_all},
     world_check,
     false},
    {"end of a heap with a hot span against a purge",
     user_hot_2,
     {u_waits_and_ends, b_frees_1_and_signals, purge},
     world_check,
     false},
    {"heap handed over while another frees",
     user_floating_3,
     {u_allocates_and_hands_over, u_taken_over, c_frees_2},
     world_check,
     false},
    {"hot heap handed over while another frees",
     user_hot_3,
     {u_allocates_and_hands_over, u_taken_over, c_frees_2},
     world_check,
     false},
    {"late mail to a span of an exclusive heap", floating_2, {e_allocates, b_frees_0, c_frees_1}, world_check, false},
    {"late mail to the cell of a heap that has ended",
     floating_2_and_young,
     {y_ends_and_its_cell_is_another_s, b_frees_0, c_frees_1},
     is_still_written,
     false},
    {"settling against the end of a young heap",
     floating_2_and_young,
     {y_allocates_and_ends, settle_all, b_frees_0},
     world_check,
     false},
};

int main(int argc, char **argv) { return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios); }
