/*
 * fork_steps.c - forks while another thread stands between two instructions of the allocator, one after the other, through
 * whole operations. Each child holds the heap to its invariants and takes over what the other thread left.
 *
 *   fork_steps [--stride N] [--offset N] [--scene N]     every Nth instruction; 1 = each
 */
#include "nursery.h"
#include "options.h"
#include "thread.h"
#include "walk.h"

#include "life.h"

#include "fork_scenes.h"
#include "stepper.h"

#include <sys/mman.h>

static long stride, offset;

/* ---- what a child does ----------------------------------------------------------------------------------------------- */

/* What may still be charged, and what all spans say is charged: together the limit, to the byte. */
static void check_charges(void) {
  size_t left = 0, charged = 0;
  for (size_t step = (size_t)1 << 40; step > 0; step /= 2)
    if (arena_charge(step)) left += step;
  arena_discharge(left);
  for (uint32_t i = 1; i < arena_high_water(); i += walk_step(span_at(i))) charged += span_at(i)->charged;
  CHECK_INT(left + charged, ==, options.limit_bytes);
}

/* The heaps of vanished threads wait for new ones, as after an exit; that of this thread does not. Returns how many wait. */
static uint32_t check_retired(void) {
  uint32_t waiting = 0;
  for (uint32_t id = 1; id <= heap_count(); id++) {
    const heap *h = heap_at(id);
    if (h->kind != HEAP_THREAD || h->status == HEAP_UNUSED) continue;
    CHECK((h->status == HEAP_LIVE) == (h == thread_heap_or_null()));
    waiting += h->status == HEAP_RETIRED;
  }
  return waiting;
}

/* What scalloc_check settles by itself before it looks: no span is less than what its counts say. */
static void check_settled(void) {
  for (uint32_t i = 1; i < arena_high_water(); i += walk_step(span_at(i))) {
    const span *s = span_at(i);
    const heap *h = owner_heap(s->owner);
    span_state state = span_state_now(s);
    if ((state != SPAN_FLOATING && state != SPAN_REUSABLE) || h->kind == HEAP_EXCLUSIVE) continue;
    uint32_t count = s->used - word_count(s->word);
    CHECK_INT(count, >, 0);
    CHECK(state == SPAN_REUSABLE || count >= s->reusable_below);
  }
}

/* Pages of an empty span that are said to be clean are zero. Only resident ones are looked at: the others are. */
static void check_clean(void) {
  static unsigned char resident[SPAN_BYTES / PAGE];
  for (uint32_t i = 1; i < arena_high_water(); i += walk_step(span_at(i))) {
    const span *s = span_at(i);
    if (span_state_now(s) != SPAN_FREE) continue;
    CHECK(mincore(span_start(s), SPAN_BYTES, resident) == 0);
    for (size_t page = (s->dirty + PAGE - 1) / PAGE; page < SPAN_BYTES / PAGE; page++)
      CHECK(!(resident[page] & 1) || all_bytes(span_start(s) + page * PAGE, PAGE, 0));
  }
}

enum { STEP = 8, MOST = 1024, SIZES = MOST / STEP, COPIES = 1 };

/* A block of a heap, or of this thread's; young heaps go by exact sizes. */
static void *take_from(heap *h, size_t size) {
  if (h == NULL) return scalloc_malloc(size);
  return heap_is_young(h) ? heap_allocate_class(h, class_of(size)) : scalloc_heap_malloc(h, size);
}

static void give_back(heap *h, void *one, size_t size) {
  if (h == NULL)
    scalloc_free(one);
  else if (span_is_nursery(span_of(one)))
    nursery_free(h, one, size);
  else
    scalloc_heap_free(h, one);
}

/* Blocks of every size that has an entry of its own in the table of hot spans; all at once, so that none can be two. */
static void fill_every_size(heap *h) {
  void *blocks[SIZES][COPIES];
  for (size_t i = 0; i < SIZES; i++)
    for (size_t k = 0; k < COPIES; k++) {
      size_t size = (i + 1) * STEP;
      CHECK(blocks[i][k] = take_from(h, size));
      fill(blocks[i][k], size);
    }
  for (size_t i = 0; i < SIZES; i++)
    for (size_t k = 0; k < COPIES; k++) {
      CHECK(intact(blocks[i][k], (i + 1) * STEP));
      give_back(h, blocks[i][k], (i + 1) * STEP);
    }
}

static void *live_in_its_place(void *argument) {
  fill_every_size(NULL);
  void *big = scalloc_malloc(BIG);
  CHECK(big != NULL);
  fill(big, BIG);
  fill_every_size(NULL);
  CHECK(intact(big, BIG));
  scalloc_free(big);
  return argument;
}

static void check_and_release_kept(void) {
  for (size_t i = 0; i < KEPT; i++) CHECK(kept[i] == NULL || intact(kept[i], BIG));
  release(kept, 0, KEPT);
}

static void check_young(void) {
  for (size_t i = 0; i < YOUNG; i++) CHECK(young[i] == NULL || intact(young[i], young_size(i)));
}

static void take_over(void *context) {
  pthread_t thread;
  (void)context;
  check_settled();
  check_clean();
  check_heap();
  check_charges();
  uint32_t waiting = check_retired(), heaps = heap_count();
  if (at_limit) {
    check_and_release_kept();
    scalloc_purge(); /* an empty span stays charged with the pages it has */
  }
  CHECK(pthread_create(&thread, NULL, live_in_its_place, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK(waiting == 0 || heap_count() == heaps); /* the thread had one of those */
  fill_every_size(NULL);
  check_and_release_kept();
  unsigned char *zeros = scalloc_calloc(5, MB / 4);
  CHECK(zeros && all_bytes(zeros, 5 * MB / 4, 0));
  scalloc_free(zeros);
  if (its_heap) {
    fill_every_size(its_heap);
    check_young();
    if (its_heap->kind == HEAP_USER) scalloc_heap_destroy(its_heap);
  }
  scalloc_purge();
  check_heap();
  check_charges();
}

static pid_t running; /* the last child; the next one is made meanwhile */
static long running_at;

static void reap_running(void) {
  char what[64];
  snprintf(what, sizeof what, "fork at instruction %ld", running_at);
  if (running) reap(running, what);
  running = 0;
}

static void look(long instruction) {
  pid_t next = fork_child_to(take_over, NULL);
  reap_running();
  running = next;
  running_at = instruction;
}

/* ---- the run --------------------------------------------------------------------------------------------------------- */

static pthread_key_t after_scalloc; /* made later than the library's, so its destructor runs later */

static void end_of_exit(void *value) {
  (void)value;
  stepper_end();
}

static void *play(void *argument) {
  const struct scene *s = argument;
  s->before();
  CHECK(!s->exits || pthread_setspecific(after_scalloc, &stage) == 0);
  stepper_on();
  s->act();
  if (!s->exits) stepper_end();
  return NULL;
}

static void run_scene(void *context) {
  const struct scene *s = context;
  double start = now();
  alarm(0);
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", ARENA) && scalloc_option_set("SCALLOC_LIMIT_BYTES", LIMIT));
  s->prepare();
  long count = stepper_run(play, (void *)(uintptr_t)s, stride, offset, look);
  reap_running();
  CHECK_INT(count, >, 20);
  scalloc_purge();
  check_heap();
  check_charges();
  printf("%6ld instructions, %5.1f s  %s\n", count, now() - start, s->name);
  fflush(stdout);
}

int main(int argc, char **argv) {
  long only = option_number(argc, argv, "--scene", -1);
  stride = option_number(argc, argv, "--stride", 23);
  offset = option_number(argc, argv, "--offset", 0);
  CHECK(stride > 0 && offset >= 0);
  if (!CAN_STEP) return skip("needs the trap flag of x86-64, and no TSan");
  CHECK(pthread_key_create(&after_scalloc, end_of_exit) == 0);
  for (size_t i = 0; i < LENGTH(scenes); i++)
    if (only < 0 || (size_t)only == i) {
      int status;
      pid_t pid = fork_child_to(run_scene, (void *)(uintptr_t)&scenes[i]);
      CHECK(waitpid(pid, &status, 0) == pid);
      if (status != 0) test_fail(__FILE__, __LINE__, "scene %zu, %s: status %#x", i, scenes[i].name, (unsigned)status);
    }
  return 0;
}
