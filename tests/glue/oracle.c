/*
 * oracle.c - random operations on two heaps of the glue at a time, against the tables of oracle.h.
 *
 * One thread plays the mutators, the collector and the sweepers of both heaps, so a seed always does the same. Every round makes
 * two heaps with other kinds, sizes, hooks and limits, and destroys them.
 */
#include <signal.h>

#include "oracle.h"

static const char usage[] = "usage: glue_oracle [--seed N] [--seeds N] [--steps N] [--long] [--expect-fault]\n"
                            "  Random operations on heaps of the runtime glue, held against a model of what is allocated.\n"
                            "  --seed N        the first seed (1)\n"
                            "  --seeds N       how many seeds, one after the other (1)\n"
                            "  --steps N       operations for each seed (20000)\n"
                            "  --long          fifty times as many\n"
                            "  --expect-fault  success if one of the seeds finds a fault: for a glue with a fault put in\n"
                            "  --help          this text\n"
                            "Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.\n";

enum { ROUND = 1500, CHILD_SECONDS = 10 };

/* ---- worlds ---------------------------------------------------------------------------------------------------------- */

static size_t some_size(rng *random) {
  static const size_t upper[] = {32, 256, 1024, 8 * KB, 64 * KB, 1 * MB};
  size_t most = upper[rng_below(random, LENGTH(upper))];
  return 1 + rng_below(random, most);
}

static void make_slots(world *w) {
  for (unsigned i = 0; i < SLOTS; i++) {
    slot_model *slot = &w->slot[i];
    bool again;
    do { /* slots are dense: another one each time */
      slot->kind = (int)(i < kinds ? i : rng_below(&w->random, kinds));
      size_t size = some_size(&w->random), rounded = 0;
      slot->number = scalloc_rt_slot(w->heap, slot->kind, size, &slot->rounded);
      CHECK(slot->number <= i && slot->rounded >= size && slot->rounded % 16 == 0);
      CHECK(scalloc_rt_slot(w->heap, slot->kind, size, &rounded) == slot->number && rounded == slot->rounded);
      again = slot->number < i;
    } while (again);
  }
}

static void begin(world *w, uint64_t seed) {
  *w = (world){.random = {seed}, .conf = {.size = sizeof w->conf, .ud = w}};
  hooks_set(w);
  if (rng_percent(&w->random, 40)) w->conf.limit = 2 * MB + rng_below(&w->random, 20 * MB);
  CHECK((w->live = malloc(MOST_LIVE * sizeof w->live[0])) && (w->heap = scalloc_rt_heap_create(&w->conf)));
  for (unsigned k = 0; k < kinds; k++) {
    scalloc_rt_kind_conf conf = {.size = sizeof conf, .flags = kind_flags[k]};
    CHECK_INT(scalloc_rt_kind_new(w->heap, &conf), ==, k);
  }
  make_slots(w);
}

static void check_has_live(world *w, span_model *s) {
  (void)w;
  CHECK(s->live > 0 || s->deferred);
}

static void check_is_put_off(world *w, span_model *s) {
  (void)w;
  CHECK(s->deferred);
}

static void check_ended(world *w, span_model *s) {
  (void)w;
  test_fail(__FILE__, __LINE__, "span %u outlives its heap", s->number);
}

/* Nothing dead is kept after a cycle, and nothing at all after two in which nothing lives. */
static void end(world *w) {
  for (unsigned n = 0; n < MUTATORS; n++) op_detach(w, &w->mutator[n]);
  op_collect(w);
  op_sweep(w, SIZE_MAX);
  each_span_model(w, check_has_live);
  audit(w);
  if (rng_percent(&w->random, 50)) {
    op_end_all(w);
    each_span_model(w, check_is_put_off);
    audit(w);
  }
  for (unsigned n = 0; n < MUTATORS; n += 2) op_attach(w, &w->mutator[n]);
  op_allocate(w, &w->mutator[0], false);
  w->destroying = true;
  scalloc_rt_heap_destroy(w->heap);
  each_span_model(w, check_ended);
  CHECK_INT(w->committed, ==, 0);
  free(w->live);
}

/* ---- seeds ----------------------------------------------------------------------------------------------------------- */

static void run_seed(uint64_t seed, long steps) {
  static world worlds[WORLDS];
  rng random = {seed};
  while (steps > 0) {
    for (unsigned i = 0; i < WORLDS; i++) begin(&worlds[i], rng_next(&random));
    for (long i = 0; i < ROUND && steps > 0; i++, steps--) op_random(&worlds[rng_below(&random, WORLDS)]);
    for (unsigned i = 0; i < WORLDS; i++) end(&worlds[i]);
    check_heap();
  }
}

/* In a process of its own; true if it found a fault, by a check, by the glue's own, or by dying of it. */
static bool finds_fault(uint64_t seed, long steps) {
  int status;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(CHILD_SECONDS); /* a sweep that finds no end: nothing else takes more than a second */
    run_seed(seed, steps);
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) fprintf(stderr, "died of signal %d\n", WTERMSIG(status));
  return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool has(int argc, char **argv, const char *option) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], option) == 0) return true;
  return false;
}

static bool known(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    bool number = strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--seeds") == 0 || strcmp(argv[i], "--steps") == 0;
    char *end_of;
    if (number && (++i == argc || (strtol(argv[i], &end_of, 10) < 1) || *end_of != 0)) return false;
    if (!number && strcmp(argv[i], "--long") != 0 && strcmp(argv[i], "--expect-fault") != 0) return false;
  }
  return true;
}

int main(int argc, char **argv) {
  if (has(argc, argv, "--help")) return fputs(usage, stdout), 0;
  if (!known(argc, argv)) return fputs(usage, stderr), 2;
  long seed = option_number(argc, argv, "--seed", 1), seeds = option_number(argc, argv, "--seeds", 1);
  long steps = option_number(argc, argv, "--steps", 20000) * (has(argc, argv, "--long") ? 50 : 1);
  bool fault = has(argc, argv, "--expect-fault");
  for (long i = 0; i < seeds; i++) {
    if (!fault) {
      printf("seed %ld: ", seed + i);
      fflush(stdout);
      run_seed((uint64_t)(seed + i), steps);
      printf("%ld steps\n", steps);
    } else if (finds_fault((uint64_t)(seed + i), steps)) {
      printf("seed %ld finds it\n", seed + i);
      return 0;
    }
  }
  if (fault) fprintf(stderr, "no fault found in %ld seeds of %ld steps\n", seeds, steps);
  return fault;
}
