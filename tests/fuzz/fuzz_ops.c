/*
 * fuzz_ops.c - the fuzz target: bytes become operations on every public call, on three threads, held to a shadow model.
 *
 * An operation begins with a byte: the low six bits say what to do (the table at the end), the high two on which thread, 3 being
 * the thread of the operation before. Its arguments follow. What an input has not got reads as 0, so every input is valid and
 * every prefix of an input does the same as the input does up to there. Blocks are named by their place in the model.
 *
 * An input ends with everything freed, every heap destroyed and every thread but the first ended. The heap is then checked as a
 * whole: each span must have come back and given its pages back.
 *
 * Options of the allocator come from the environment. By default empty spans are purged on demand only, so that what an input
 * does never depends on the clock.
 */
#include "blocks.h"
#include "crew.h"
#include "input.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- questions -------------------------------------------------------------------------------------------------------- */

static void op_look(void) {
  size_t number = take_block(), offset = take_wide();
  if (model.count == 0) return;
  const block *b = &model.blocks[number];
  model_verify(b);
  model_find(b, offset % 4 == 0 ? b->usable - 1 : offset % 4 == 1 ? 0 : offset * b->usable / 65536);
  afford(b->size < VAST ? b->size : MB);
}

static void op_audit(void) {
  for (size_t i = 0; i < model.count && afford(model.blocks[i].pattern); i++) {
    model_verify(&model.blocks[i]);
    model_find(&model.blocks[i], i * 997);
  }
  model_stats();
  model_lua();
  check_heap();
  afford(MB);
}

static void op_check(void) {
  check_heap();
  CHECK(scalloc_check(NULL, 0));
  afford(MB / 2);
}

static void op_stats(void) {
  char cut[32];
  memset(cut, 'x', sizeof cut);
  size_t length = scalloc_stats_json(cut, 16);
  CHECK(length > 16 && strlen(cut) == 15 && cut[16] == 'x');
  CHECK_INT(scalloc_stats_json(NULL, 0), ==, length);
  model_stats();
  afford(MB / 4);
}

static void op_purge(void) {
  long long committed = stats_now().committed, gone = (long long)scalloc_purge();
  model_stats();
  CHECK_INT(model.latest.committed + gone, <=, committed);
  afford(MB);
}

static void op_peak(void) {
  unsigned i = take() % LUA_HEAPS;
#ifdef HAVE_LUA_ALLOC
  if (model.lua[i] == NULL) return;
  CHECK_INT(scalloc_lua_peak(model.lua[i], true), ==, model.accounts[i].peak);
  model.accounts[i].peak = model.accounts[i].used;
#endif
  CHECK(lua_call(i, take() % 2, NULL, 5, 0) == NULL);
  model_lua();
}

/* Nothing, and what is not ours. */
static void op_foreign(void) {
  static int here;
  scalloc_block found;
  int there = 0;
  scalloc_free(NULL);
  scalloc_free_sized(NULL, take());
  scalloc_heap_free(heap_in_use(take() % HEAPS), NULL);
  scalloc_heap_destroy(NULL);
  CHECK(scalloc_usable_size(NULL) == 0 && scalloc_usable_size(&here) == 0 && scalloc_usable_size(&there) == 0);
  CHECK(!scalloc_find(NULL, &found) && !scalloc_find(&here, &found) && !scalloc_find(&there, &found));
  CHECK(scalloc_good_size(SIZE_MAX) == 0 && scalloc_good_size((size_t)PTRDIFF_MAX + 1) == 0);
  errno = 0;
  CHECK(!scalloc_option_set("SCALLOC_LIMIT_BYTES", 0) && errno == EINVAL); /* too late */
}

static void op_drop(void) {
  unsigned which = take();
  if (which % 2)
    drop_lua(which / 2 % LUA_HEAPS);
  else
    drop_heap(which / 2 % HEAPS);
}

/* ---- an input --------------------------------------------------------------------------------------------------------- */

typedef struct operation {
  unsigned below; /* the first code that is the next operation's */
  crew_job job;
} operation;

static const operation operations[] = {
    {10, op_new},         {17, op_new_many}, {26, op_free},  {33, op_free_many}, {40, op_resize},
    {43, op_resize_many}, {45, op_stretch},  {48, op_look},  {50, op_drop},      {52, op_purge},
    {53, op_stats},       {54, op_check},    {55, op_audit}, {56, op_peak},      {57, op_foreign},
};
enum { END_OF_THREAD = 57, FAREWELL = 61 }; /* codes below the next one, and up to 63 */

static crew_job job_of(unsigned code) {
  for (size_t i = 0; i < LENGTH(operations); i++)
    if (code < operations[i].below) return operations[i].job;
  return NULL;
}

/* An operation inside the exit of a thread, when the allocator has already taken the thread's heap back. */
static void farewell(void) {
  crew_job job = job_of(take() % END_OF_THREAD);
  job();
}

static unsigned thread; /* of the operation before */

static void step(void) {
  unsigned b = take(), code = b & 63;
  if (b >> 6 < CREW) thread = b >> 6;
  if (code < END_OF_THREAD)
    crew_run(thread, job_of(code));
  else
    crew_end(thread ? thread : 1, code < FAREWELL ? NULL : farewell);
}

static void end_threads(void) {
  for (unsigned k = 1; k < CREW; k++) crew_end(k, NULL);
}

static void end_input(size_t size) {
  if (size % 2) end_threads(); /* before their blocks are freed, or after */
  crew_run((unsigned)size / 2 % CREW, give_everything);
  model_lua();
  end_threads();
  for (unsigned i = 0; i < HEAPS; i++) drop_heap(i);
  for (unsigned i = 0; i < LUA_HEAPS; i++) drop_lua(i);
  model_nothing_left();
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  if (!getenv("SCALLOC_PURGE_DELAY_MS")) CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  if (!getenv("SCALLOC_ARENA_BYTES")) CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", 1L << 38));
  model_open();
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  input_begin(data, size);
  thread = 0;
  while (input_goes_on()) step();
  end_input(size);
  return 0;
}
