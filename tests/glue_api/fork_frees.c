/*
 * fork_frees.c - forks while another thread stands between any two instructions of a free by hand, of a small block of an
 * UNCOLLECTABLE kind: that one is in no region, a fork does not wait for it. In the child the free has been done or it has not;
 * when the rest is freed, the span is empty and goes back.
 */
#include "glue_api.h"

#include "../lifecycle/stepper.h"

#include <limits.h>

enum { BLOCKS = 40 };

static world w;
static scalloc_rt_mutator *stepped; /* the other thread's */
static void *blocks[BLOCKS];
static size_t count;
static long forks, undone, from; /* no fork before instruction `from` */
static long freed_at;            /* the first instruction at which the block is seen to be freed */
static bool merging;             /* the bits of frees are taken out just before the fork */

/* In a region forks wait for the thread, so it must leave it. */
static bool in_a_region(void) { return scalloc_rt_defer_stop(stepped); }

static void check_that_it_goes_back(void) {
  check_heap();
  for (size_t i = 0; i < count; i++)
    if (i > 0 || is_live(w.heap, blocks[i])) scalloc_rt_free(i % 2 ? w.mutator : NULL, blocks[i]);
  scalloc_rt_retire(w.mutator);
  scalloc_rt_detach(stepped);
  sweep_all(w.heap);
  glue_stats s = glue_now(w.heap);
  CHECK_INT(s.live, ==, 0);
  CHECK_INT(glue_spans(s), ==, 0);
  CHECK_INT(s.committed, ==, 0);
  check_heap();
  CHECK(world_alloc(&w));
}

static void look(long instruction) {
  if (freed_at == 0 && !is_live(w.heap, blocks[0])) freed_at = instruction;
  if (instruction < from) return;
  if (merging) {
    scalloc_rt_retire(w.mutator);
    scalloc_rt_free(w.mutator, world_alloc(&w));
  }
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    check_that_it_goes_back();
    _exit(0);
  }
  child_end(pid, instruction);
  forks++;
  undone += is_live(w.heap, blocks[0]);
}

static void *free_stepwise(void *m) {
  stepper_on();
  scalloc_rt_free(m, blocks[0]);
  stepper_end();
  return NULL;
}

enum { RETIRED = 1, OTHERS = 2, STEPPED = 4 };

static void *attach_and_free(void *argument) {
  unsigned how = *(unsigned *)argument;
  CHECK(stepped = scalloc_rt_attach(w.heap, NULL));
  for (size_t i = 0; i < count && how & STEPPED; i++) CHECK(blocks[i] = scalloc_rt_alloc(stepped, w.slot, w.size));
  return free_stepwise(how & STEPPED ? stepped : NULL);
}

/* Frees one block, and looks at every stride-th instruction. */
static void run(unsigned how, long stride, long offset) {
  count = how & OTHERS ? BLOCKS : 1;
  w = world_new(NULL, SCALLOC_RT_UNCOLLECTABLE, 700);
  for (size_t i = 0; i < count && !(how & STEPPED); i++) blocks[i] = world_alloc(&w);
  if (how & RETIRED) scalloc_rt_retire(w.mutator);
  stepper_run(attach_and_free, &how, stride, offset, look);
  check_that_it_goes_back();
  world_end(&w);
}

/* Instructions that it takes at most to count what is freed. */
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__)
enum { EARLIER = 100 };
#else
enum { EARLIER = 400 };
#endif

/* Where is it freed? Then again, with forks from a little earlier on. Returns the instruction. */
static long find(unsigned how) {
  from = LONG_MAX;
  freed_at = 0;
  run(how, 1, 0);
  CHECK_INT(freed_at, >, 0);
  from = freed_at - EARLIER;
  return freed_at;
}

static void report(const char *what) {
  printf("  %s: %ld forks, %ld before the free\n", what, forks, undone);
  CHECK(undone > 0 && forks > undone + 2);
  forks = undone = 0;
}

static void between_any_two_instructions(void) {
  static const struct {
    const char *what;
    unsigned how;
  } scenes[] = {{"the last block of a retired span", RETIRED},
                {"one of many", RETIRED | OTHERS},
                {"the last of a hot span", 0},
                {"in the stepped thread's own hot span", OTHERS | STEPPED},
                {"one of many of a hot span", OTHERS}};
  if (!CAN_STEP) exit(SKIP_CODE);
  long stride = scale < 100 ? 100 / scale : 1;
  stepper_must_go_on = in_a_region;
  for (size_t i = 0; i < LENGTH(scenes); i++) {
    find(scenes[i].how);
    run(scenes[i].how, stride, 0);
    report(scenes[i].what);
  }
  /* Merged before it is counted. One look at each run: a thread that looks at the span begins anew whenever the span changes. */
  long at = find(OTHERS);
  from = 0;
  merging = true;
  for (long i = at - EARLIER; i < at + 10; i += stride) run(OTHERS, 2 * at, 2 * at - i);
  report("merged meanwhile");
  check_ends();
}

PARTS_MAIN(PART(between_any_two_instructions))
