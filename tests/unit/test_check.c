/*
 * test_check.c - scalloc_check finds each kind of damage, names the span and says what is wrong with it. Every case damages a
 * sound heap by hand, in one place, sees it reported, repairs it and sees the heap sound again.
 */
#include "unit.h"

#include "large.h"
#include "lists.h"
#include "pool.h"
#include "runs.h"
#include "thread.h"

enum { HALF_MB = 1 << 19, PER_SPAN = 4 }; /* four blocks fill a span; it is reusable when two of them are free */

static char *blocks[3 * PER_SPAN];
static span *full, *half, *hot; /* floating, reusable, hot; all of this thread's heap */
static heap *mine;

static void begin(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)4 << 30);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(blocks[i] = scalloc_malloc(HALF_MB));
  full = span_of(blocks[0]);
  half = span_of(blocks[PER_SPAN]);
  hot = span_of(blocks[2 * PER_SPAN]);
  mine = thread_heap_or_null();
  for (size_t i = PER_SPAN; i < PER_SPAN + 2; i++) scalloc_free(blocks[i]);
  scalloc_free(blocks[2 * PER_SPAN]);
  CHECK_INT(span_state_now(full), ==, SPAN_FLOATING);
  CHECK_INT(span_state_now(half), ==, SPAN_REUSABLE);
  CHECK_INT(span_state_now(hot), ==, SPAN_HOT);
  check_heap();
}

/* The heap is damaged, and the message is just this. */
__attribute__((format(printf, 2, 3))) static void check_finds(const span *s, const char *format, ...) {
  char why[200] = "", expected[200];
  int n = snprintf(expected, sizeof expected, "span %u: ", span_index(s));
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(expected + n, sizeof expected - (size_t)n, format, arguments);
  va_end(arguments);
  if (scalloc_check(why, sizeof why)) test_fail(__FILE__, __LINE__, "not found: %s", expected);
  if (strcmp(why, expected) != 0) test_fail(__FILE__, __LINE__, "'%s' where '%s' should be", why, expected);
}

/* Sets a field for as long as it takes to see the message. */
#define DAMAGE(s, field, value, ...)                                                                                           \
  do {                                                                                                                         \
    __typeof__(field) sound_ = field;                                                                                          \
    field = (value);                                                                                                           \
    check_finds(s, __VA_ARGS__);                                                                                               \
    field = sound_;                                                                                                            \
    check_heap();                                                                                                              \
  } while (0)

/* ---- the message ------------------------------------------------------------------------------------------------------- */

static void a_sound_heap_gives_no_message(void) {
  char why[] = "untouched";
  CHECK(scalloc_check(why, sizeof why)); /* before the first use */
  begin();
  CHECK(scalloc_check(why, sizeof why));
  CHECK(scalloc_check(NULL, 0));
  CHECK(strcmp(why, "untouched") == 0);
}

static void the_message_is_cut_to_the_buffer(void) {
  char whole[100], part[100];
  begin();
  hot->block += 8;
  CHECK(!scalloc_check(NULL, 0));
  CHECK(!scalloc_check(whole, sizeof whole));
  for (size_t size = 1; size < sizeof part; size++) {
    size_t kept = strlen(whole) < size ? strlen(whole) : size - 1;
    memset(part, 'x', sizeof part);
    CHECK(!scalloc_check(part, size));
    CHECK(memcmp(part, whole, kept) == 0 && part[kept] == 0);
    CHECK(all_bytes(part + size, sizeof part - size, 'x'));
  }
}

/* ---- the blocks of a span ---------------------------------------------------------------------------------------------- */

static void bounds_out_of_order(void) {
  begin();
  DAMAGE(hot, hot->first, hot->bump + 8, "bounds out of order");
  DAMAGE(hot, hot->bump, hot->limit + 8, "bounds out of order");
  DAMAGE(hot, hot->limit, hot->bump - 8, "bounds out of order");
  DAMAGE(hot, hot->limit, (uint32_t)SPAN_BYTES + PAGE, "bounds out of order");
}

static void a_block_size_that_is_not_the_classes(void) {
  begin();
  DAMAGE(full, full->block, HALF_MB + 8, "block size %u of class %u", HALF_MB + 8, full->class_index);
  DAMAGE(full, full->block, 0, "block size 0 of class %u", full->class_index);
  DAMAGE(full, full->class_index, 3, "block size %u of class 3", HALF_MB);
  DAMAGE(full, full->class_index, CLASSES, "block size %u of class %u", HALF_MB, CLASSES);
}

static void a_free_list_that_leaves_the_blocks(void) {
  begin();
  void **link = hot->free;
  CHECK(link != NULL && *link == NULL);
  DAMAGE(hot, hot->free, blocks[0], "broken free list");                       /* another span */
  DAMAGE(hot, hot->free, blocks[2 * PER_SPAN] + 16, "broken free list");       /* the inside of a block */
  DAMAGE(hot, hot->free, span_start(hot) + hot->bump - 8, "broken free list"); /* the end of one */
  DAMAGE(hot, *link, (void *)hot->free, "broken free list");                   /* a block freed twice */
  DAMAGE(hot, *link, (void *)(blocks[0] + 8), "broken free list");             /* a block written to after its free */
  DAMAGE(hot, hot->spare, blocks[0], "broken free list");
}

static void a_remote_list_that_is_not_as_long_as_its_count(void) {
  begin();
  void **queued = (void **)(void *)blocks[2 * PER_SPAN + 1];
  uint32_t at = (uint32_t)((size_t)((char *)queued - span_start(hot)) >> GRANULE_SHIFT);
  *queued = NULL;
  hot->word = word_with_list(hot->word, at, 1);
  check_heap(); /* one block is free now */
  DAMAGE(hot, hot->word, word_with_list(hot->word, at, 2), "remote list is not 2 long");
  DAMAGE(hot, hot->word, word_with_list(hot->word, at + 1, 1), "remote list is not 1 long"); /* no block begins there */
  DAMAGE(hot, *queued, (void *)queued, "remote list is not 1 long");                         /* a block freed twice */
  DAMAGE(hot, *queued, (void *)blocks[0], "remote list is not 1 long");
}

static void blocks_that_are_in_no_place_or_in_two(void) {
  begin();
  DAMAGE(full, full->used, 3, "3 used + 0 + 0 free != 4 carved");
  DAMAGE(full, full->used, 5, "5 used + 0 + 0 free != 4 carved");
  DAMAGE(hot, hot->free, NULL, "%u used + 0 + 0 free != 4 carved", hot->used); /* a lost list */
  DAMAGE(hot, hot->spare, hot->free, "%u used + 1 + 1 free != 4 carved", hot->used);
}

/* All four blocks free on the owner's side, one of them on the remote list too. */
static void more_remote_frees_than_used_blocks(void) {
  begin();
  for (int i = 1; i < PER_SPAN; i++) scalloc_free(blocks[2 * PER_SPAN + i]);
  CHECK_INT(hot->used, ==, 0);
  char *last = blocks[2 * PER_SPAN];
  CHECK(*(void **)(void *)last == NULL);
  word_t queued = word_with_list(hot->word, (uint32_t)((size_t)(last - span_start(hot)) >> GRANULE_SHIFT), 1);
  DAMAGE(hot, hot->word, queued, "1 remote frees of 0 used");
}

/* ---- states ------------------------------------------------------------------------------------------------------------ */

static word_t in_state(const span *s, span_state state) { return word_next(s->word, state, word_head(s->word), 0); }

static void a_span_in_use_without_an_owner(void) {
  begin();
  DAMAGE(hot, hot->owner, 0, "in use without an owner");
}

static void a_hot_span_that_is_not_the_heaps(void) {
  begin();
  DAMAGE(full, full->word, in_state(full, SPAN_HOT), "hot, but not its heap's hot span");
  DAMAGE(hot, hot->notify, 1, "hot, but a free would notify at 1");
}

static void a_span_in_a_set_that_is_not_reusable(void) {
  begin();
  DAMAGE(hot, hot->in_list, hot->in_list | 1 << LIST_SET, "hot and in a set");
  DAMAGE(full, full->in_list, full->in_list | 1 << LIST_SET, "floating, but in a set");
  DAMAGE(half, half->in_list, 1 << LIST_ALL, "reusable, but in no set");
}

static void a_span_in_use_that_its_heap_does_not_know(void) {
  begin();
  DAMAGE(full, full->in_list, 0, "in use, but not in its heap's list");
  list_lock(mine);
  list_remove(mine, full, LIST_ALL);
  full->in_list |= 1 << LIST_ALL;
  list_unlock(mine);
  check_finds(span_at(arena_high_water()), "end of table: 2 spans in lists %d, 3 are marked", LIST_ALL);
}

/* The check settles such spans first; these changed behind its back, while it released another. */
static bool emptied;
static void lose_a_block(void *unused) {
  (void)unused;
  CHECK(full < half);
  if (emptied)
    half_store_relaxed(&full->used, 0);
  else
    half_store_relaxed(&full->reusable_below, 5);
}

static void settled_wrongly(const char *message) {
  begin();
  scalloc_heap *other = scalloc_heap_new();
  os_fake_hook(OS_NOW, 1, lose_a_block, NULL);
  half->used = 0; /* empty by its count: the check gives it to the pool */
  full->bump = emptied ? full->first : full->bump;
  full->used = emptied ? 1 : full->used;
  CHECK(other != NULL);
  check_finds(full, "%s", message);
}

static void an_empty_span_that_is_not_in_the_pool(void) {
  emptied = true;
  settled_wrongly("empty, but not in the pool");
}

static void a_floating_span_with_too_few_live_blocks(void) { settled_wrongly("floating with 4 live, reusable below 5"); }

static void a_span_in_no_known_state(void) {
  begin();
  void *large = scalloc_malloc(5 * MB);
  span *s = span_of(large);
  DAMAGE(full, full->word, in_state(full, SPAN_TAIL), "below the high-water mark, but in state %d", SPAN_TAIL);
  DAMAGE(s, s->word, in_state(s, SPAN_TAIL), "below the high-water mark, but in state %d", SPAN_TAIL);
}

/* ---- large blocks ------------------------------------------------------------------------------------------------------ */

static void a_large_block_that_is_not_its_run(void) {
  begin();
  span *s = span_of(scalloc_malloc(5 * MB)), *tail = span_at(span_index(s) + 1);
  CHECK_INT(s->run, ==, 3);
  check_heap();
  DAMAGE(s, s->large_bytes, 6 * MB + 1, "large block longer than its run");
  DAMAGE(s, s->run, 2, "large block longer than its run");
  DAMAGE(s, s->run, 0, "large block longer than its run");
  DAMAGE(s, s->run, UINT32_MAX, "run longer than the table");
  DAMAGE(s, tail->run_head, span_index(full), "tail 1 leads elsewhere");
  DAMAGE(s, tail[1].word, in_state(tail, SPAN_FREE), "tail 2 leads elsewhere");
  heap *h = scalloc_heap_new();
  span *owned = span_of(scalloc_heap_malloc(h, 3 * MB));
  check_heap();
  list_lock(h);
  list_remove(h, owned, LIST_ALL);
  owned->in_list = 1 << LIST_ALL;
  list_unlock(h);
  check_finds(span_at(arena_high_water()), "end of table: 3 spans in lists %d, 4 are marked", LIST_ALL);
}

/* ---- lists ------------------------------------------------------------------------------------------------------------- */

static void a_list_with_anothers_span(void) {
  begin();
  heap *other = scalloc_heap_new();
  CHECK(scalloc_heap_malloc(other, HALF_MB) != NULL);
  check_heap();
  DAMAGE(full, full->owner, (word_t)other, "in list %d of heap %u", LIST_ALL, mine->id);
}

static void a_list_that_runs_in_a_circle_or_out_of_the_table(void) {
  begin();
  uint32_t first = mine->all.head, second = span_at(first)->link[LIST_ALL].next, end = arena_high_water();
  span *a = span_at(first), *b = span_at(second), *last = span_at(mine->all.tail);
  DAMAGE(a, b->link[LIST_ALL].next, first, "list %d of heap %u is broken", LIST_ALL, mine->id);
  DAMAGE(b, b->link[LIST_ALL].next, second, "list %d of heap %u is broken", LIST_ALL, mine->id);
  DAMAGE(b, b->link[LIST_ALL].prev, 0, "list %d of heap %u is broken", LIST_ALL, mine->id);
  DAMAGE(span_at(end), b->link[LIST_ALL].next, end, "in list %d of heap %u, but never handed out", LIST_ALL, mine->id);
  DAMAGE(b, b->link[LIST_ALL].next, 0, "list %d of heap %u ends early", LIST_ALL, mine->id);
  DAMAGE(last, mine->all.tail, first, "list %d of heap %u ends early", LIST_ALL, mine->id);
}

static void a_set_with_a_span_of_another_kind(void) {
  begin();
  span_list *set = &mine->sets[half->class_index], *other = &mine->sets[3], empty = {0, 0}, with = *set;
  *other = with;
  *set = empty;
  check_finds(half, "in set 3 of heap %u", mine->id);
  *set = with;
  *other = empty;
  check_heap();
  DAMAGE(half, half->in_list, 1 << LIST_ALL, "reusable, but in no set");
  DAMAGE(full, set->head, span_index(full), "list %d of heap %u is broken", LIST_SET, mine->id);
  DAMAGE(span_at(arena_high_water()), *set, empty, "end of table: 0 spans in lists %d, 1 are marked", LIST_SET);
}

static void mail_that_was_lost(void) {
  begin();
  full->in_list |= 1 << LIST_MAIL;
  check_finds(span_at(arena_high_water()), "end of table: 0 spans in lists %d, 1 are marked", LIST_MAIL);
  mine->mail = (span_list){span_index(hot), span_index(hot)};
  check_finds(hot, "list %d of heap %u is broken", LIST_MAIL, mine->id);
}

static void the_orphans_are_held_to_the_same(void) {
  begin();
  heap_retire(heap_create(HEAP_THREAD));
  span_list *set = &heap_orphans()->sets[half->class_index];
  DAMAGE(half, set->head, span_index(half), "in list %d of heap 0", LIST_SET);
}

static void a_hot_entry_that_leads_elsewhere(void) {
  begin();
  CHECK(scalloc_malloc(500) != NULL && scalloc_malloc(16) != NULL);
  unsigned c = class_of(500), slot = heap_hot_slot(c), big = heap_hot_slot(hot->class_index);
  span *of_500 = mine->hot[slot];
  check_heap();
  DAMAGE(of_500, mine->hot[slot - 1], &heap_no_span, "hot for entry %u of heap %u alone", slot - 1, mine->id);
  DAMAGE(of_500, mine->hot[slot + 1], of_500, "hot for entry %u of heap %u alone", slot + 1, mine->id);
  DAMAGE(mine->hot[2], mine->hot[0], &heap_no_span, "hot for entry 0 of heap %u alone", mine->id);
  DAMAGE(of_500, mine->hot[big + 1], of_500, "hot span of class %u in heap %u is another", hot->class_index + 1, mine->id);
  DAMAGE(full, mine->hot[big + 1], full, "hot span of class %u in heap %u is another", hot->class_index + 1, mine->id);
}

static void one_span_hot_in_two_heaps(void) {
  begin();
  heap *other = scalloc_heap_new();
  unsigned slot = heap_hot_slot(hot->class_index);
  DAMAGE(hot, other->hot[slot], hot, "hot span of class %u in heap %u is another", hot->class_index, other->id);
}

/* ---- the pool and the runs --------------------------------------------------------------------------------------------- */

static void an_empty_span_that_the_pool_lost(void) {
  begin();
  scalloc_heap *h = scalloc_heap_new();
  CHECK(scalloc_heap_malloc(h, 100) != NULL);
  scalloc_heap_destroy(h);
  check_heap();
  span *s = pool_take(0, 1);
  CHECK(s != NULL);
  check_finds(span_at(arena_high_water()), "end of table: 0 spans in the pool, 1 are free");
  pool_put(s, 0);
  check_heap();
  half_store_relaxed(&s->pool_next, span_index(s)); /* a stack in a circle */
  CHECK(!scalloc_check(NULL, 0));
}

static void a_run_whose_ends_do_not_agree(void) {
  begin();
  span *s = span_of(scalloc_malloc(5 * MB));
  scalloc_free(span_start(s));
  CHECK_INT(runs_spans(), ==, 3);
  check_heap();
  DAMAGE(s, s->run, 2, "free run without an end");
  DAMAGE(s, s->run, 1000, "run longer than the table");
  DAMAGE(s, s->run, 0, "run longer than the table");
  DAMAGE(s, s[2].word, in_state(s + 2, SPAN_FREE), "free run without an end");
  DAMAGE(s, s[2].run_head, span_index(full), "free run without an end");
  DAMAGE(s, s[2].run_clean, 1, "free run without an end");
  DAMAGE(s, s->run_head, span_index(full), "free run without an end");
}

static void a_run_that_is_not_counted(void) {
  begin();
  span *s = span_of(scalloc_malloc(5 * MB));
  scalloc_free(span_start(s));
  runs_reset();
  check_finds(span_at(arena_high_water()), "end of table: 3 spans in runs, 0 are counted");
}

UNIT_MAIN(CASE(a_sound_heap_gives_no_message), CASE(the_message_is_cut_to_the_buffer), CASE(bounds_out_of_order),
          CASE(a_block_size_that_is_not_the_classes), CASE(a_free_list_that_leaves_the_blocks),
          CASE(a_remote_list_that_is_not_as_long_as_its_count), CASE(blocks_that_are_in_no_place_or_in_two),
          CASE(more_remote_frees_than_used_blocks), CASE(a_span_in_use_without_an_owner),
          CASE(a_hot_span_that_is_not_the_heaps), CASE(a_span_in_a_set_that_is_not_reusable),
          CASE(a_span_in_use_that_its_heap_does_not_know), CASE(an_empty_span_that_is_not_in_the_pool),
          CASE(a_floating_span_with_too_few_live_blocks), CASE(a_span_in_no_known_state),
          CASE(a_large_block_that_is_not_its_run), CASE(a_list_with_anothers_span),
          CASE(a_list_that_runs_in_a_circle_or_out_of_the_table), CASE(a_set_with_a_span_of_another_kind),
          CASE(mail_that_was_lost), CASE(the_orphans_are_held_to_the_same), CASE(a_hot_entry_that_leads_elsewhere),
          CASE(one_span_hot_in_two_heaps), CASE(an_empty_span_that_the_pool_lost), CASE(a_run_whose_ends_do_not_agree),
          CASE(a_run_that_is_not_counted))
