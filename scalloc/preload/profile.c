/*
 * profile.c - which bytes are samples, and what is known of their blocks.
 *
 * The bytes that a thread is handed out are a line on which samples lie at distances of an exponential distribution, `interval` on
 * average (a Poisson process). A block of s bytes has one or more with the probability p = 1 - exp(-s / interval), and if so it
 * stands for 1 / p blocks of its size. So every figure is right on average, whatever the sizes are.
 *
 * Samples are in a hash table, with their site, under one lock. A free looks into `filter` first, which counts the samples of
 * pages: whoever frees a block was given it after it was counted, so what the filter lacks is no sample.
 */
#include "profile.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unwind.h>

#include "exit_file.h"
#include "lock.h"
#include "profile_write.h"
#include "scalloc/scalloc.h"

enum {
  SAMPLES = 1 << 20, /* of them three quarters are used */
  FILTER = 1 << 20,
  FILTER_PAGE_SHIFT = 12,
  SITE_HASHES = 1 << 14,
  INTERVAL_DEFAULT = 1 << 19,
};

typedef struct {
  const void *block;
  size_t size;   /* as asked for */
  uint32_t site; /* number of the stack that asked */
} profile_sample;

static exit_file file;
static bool active;
static double interval;
static profile_data data;       /* under the lock, but for its addresses */
static profile_sample *samples; /* open addressing; block NULL: none */
static volatile unsigned *filter;
static uint32_t *site_heads; /* by hash, number + 1 */
static size_t sample_count;
static spin_lock lock;

/* Where this library begins and its code ends, by the linker: its functions are on top of every stack. */
extern internal const char own_begin[] __asm__("__ehdr_start");
extern internal const char own_end[] __asm__("etext");

thread_word size_t left; /* bytes until the next sample */
thread_word uint64_t random_state;
thread_word bool inside;

/* ---- the table of samples: under the lock ---------------------------------------------------------------------------------- */

static size_t hash_of(const void *block) { return (size_t)(((uint64_t)(uintptr_t)block >> 3) * 0x9e3779b97f4a7c15u >> 44); }
_Static_assert(SAMPLES == 1 << 20, "a hash has 20 bits");

static size_t find(const void *block) {
  size_t at = hash_of(block);
  while (samples[at].block != NULL && samples[at].block != block) at = (at + 1) % SAMPLES;
  return at;
}

/* Blocks of a page share a counter: frees that follow one another mostly look at the same few. */
static volatile unsigned *filter_of(const void *block) { return &filter[((uintptr_t)block >> FILTER_PAGE_SHIFT) % FILTER]; }

static void count_filter(const void *block, unsigned more) {
  volatile unsigned *count = filter_of(block);
  half_store_relaxed(count, half_load_relaxed(count) + more);
}

static bool insert(const profile_sample *sample) {
  if (sample_count >= (size_t)SAMPLES / 4 * 3) return false;
  samples[find(sample->block)] = *sample;
  count_filter(sample->block, 1);
  sample_count++;
  return true;
}

/* Closes the gap: what stands behind it, and was put there for want of this place, moves up. */
static void remove_at(size_t gap) {
  count_filter(samples[gap].block, (unsigned)-1);
  sample_count--;
  for (size_t at = (gap + 1) % SAMPLES; samples[at].block != NULL; at = (at + 1) % SAMPLES) {
    size_t home = hash_of(samples[at].block);
    if ((at - home) % SAMPLES < (at - gap) % SAMPLES) continue;
    samples[gap] = samples[at];
    gap = at;
  }
  samples[gap].block = NULL;
}

/* How many blocks of this size a sample stands for. */
static double weight(size_t size) { return 1 / -expm1(-(double)size / interval); }

static void count_live(const profile_sample *sample, double sign) {
  profile_site *site = &data.sites[sample->site];
  double blocks = sign * weight(sample->size);
  site->live_blocks += blocks;
  site->live_bytes += blocks * (double)sample->size;
}

/* ---- stacks ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
  uintptr_t frames[PROFILE_DEPTH];
  uint32_t depth;
} stack_trace;

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *trace) {
  stack_trace *to = trace;
  uintptr_t at = _Unwind_GetIP(context);
  if (at == 0) return _URC_END_OF_STACK;
  if (to->depth == 0 && at - (uintptr_t)own_begin < (uintptr_t)own_end - (uintptr_t)own_begin) return _URC_NO_REASON;
  to->frames[to->depth++] = at;
  return to->depth == PROFILE_DEPTH ? _URC_END_OF_STACK : _URC_NO_REASON;
}

/* The number of a stack, under the lock; the first, which stands for all others, if there is no room for it. */
static uint32_t site_of(const stack_trace *trace) {
  uint64_t hash = trace->depth;
  for (uint32_t i = 0; i < trace->depth; i++) hash = (hash ^ trace->frames[i]) * 0x100000001b3u;
  uint32_t *head = &site_heads[hash >> 7 & (SITE_HASHES - 1)];
  for (uint32_t i = *head; i != 0; i = data.sites[i - 1].next) {
    const profile_site *site = &data.sites[i - 1];
    if (site->depth == trace->depth && memcmp(site->frames, trace->frames, trace->depth * sizeof *trace->frames) == 0)
      return i - 1;
  }
  if (data.site_count == PROFILE_SITES) return 0;
  profile_site *site = &data.sites[data.site_count];
  site->depth = trace->depth;
  memcpy(site->frames, trace->frames, trace->depth * sizeof *trace->frames);
  site->next = *head;
  *head = ++data.site_count;
  return data.site_count - 1;
}

/* ---- samples --------------------------------------------------------------------------------------------------------------- */

/* Bytes to the next sample. */
static size_t distance(void) {
  if (random_state == 0) random_state = (os_secret() ^ (uint64_t)(uintptr_t)&random_state) | 1;
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  double uniform = ((double)(random_state >> 11) + 0.5) * 0x1p-53;
  return (size_t)(-log(uniform) * interval) + 1;
}

static never_inline void take_sample(const void *block, size_t size) {
  stack_trace trace = {.depth = 0};
  profile_sample one = {.block = block, .size = size};
  int saved = errno;
  inside = true; /* whatever is allocated from here on is none of the program's */
  left = distance();
  _Unwind_Backtrace(on_frame, &trace);
  double blocks = weight(size);
  lock_take(&lock);
  one.site = site_of(&trace);
  data.sites[one.site].blocks += blocks;
  data.sites[one.site].bytes += blocks * (double)size;
  if (insert(&one))
    count_live(&one, 1);
  else
    data.lost++;
  lock_give(&lock);
  inside = false;
  errno = saved;
}

void profile_took(const void *block, size_t size) {
  if (!active || inside) return;
  if (size == 0) size = 1;
  if (random_state == 0) left = distance();
  if (likely(size < left))
    left -= size;
  else
    take_sample(block, size);
}

/* Takes the sample of a block out of the table. False: it is none. */
static bool lift(const void *block, profile_sample *out) {
  if (!active || half_load_relaxed(filter_of(block)) == 0) return false;
  lock_take(&lock);
  size_t at = find(block);
  bool found = samples[at].block != NULL;
  if (found) {
    *out = samples[at];
    remove_at(at);
  }
  lock_give(&lock);
  return found;
}

static void drop(const profile_sample *sample) {
  lock_take(&lock);
  count_live(sample, -1);
  lock_give(&lock);
}

static void restore(const profile_sample *sample) {
  lock_take(&lock);
  if (!insert(sample)) count_live(sample, -1);
  lock_give(&lock);
}

void profile_gave(const void *block) {
  profile_sample sample;
  if (lift(block, &sample)) drop(&sample);
}

/* Meanwhile it is no sample, since another thread may be given its memory. */
void *profile_realloc(void *block, size_t size) {
  profile_sample sample;
  bool sampled = lift(block, &sample);
  void *result = scalloc_realloc(block, size);
  if (sampled && (result != NULL || size == 0))
    drop(&sample);
  else if (sampled)
    restore(&sample);
  return profile_block(result, size);
}

/* ---- begin and end --------------------------------------------------------------------------------------------------------- */

static void *zeroed(size_t bytes) {
  void *memory = os_reserve(NULL, bytes);
  return memory && os_open(memory, bytes) ? memory : NULL;
}

/* No fork comes while the tables are in the middle of a change. */
static void before_fork(void) {
  inside = true;
  lock_take(&lock);
}

static void after_fork(void) {
  lock_give(&lock);
  inside = false;
}

void profile_begin(void) {
  const char *text = os_environment("SCALLOC_PROFILE_INTERVAL");
  if (!exit_file_begin(&file, "SCALLOC_PROFILE")) return;
  size_t given = 0;
  for (; text && *text >= '0' && *text <= '9' && given < SIZE_MAX / 100; text++) given = given * 10 + (size_t)(*text - '0');
  interval = given > 0 ? (double)given : INTERVAL_DEFAULT;
  samples = zeroed(SAMPLES * sizeof *samples);
  filter = zeroed(FILTER * sizeof *filter);
  data.sites = zeroed(PROFILE_SITES * sizeof *data.sites);
  site_heads = zeroed(SITE_HASHES * sizeof *site_heads);
  pthread_atfork(before_fork, after_fork, after_fork);
  data.site_count = 1; /* number 0 */
  active = samples && filter && data.sites && site_heads;
}

__attribute__((destructor)) static void write_at_exit(void) {
  static char path[EXIT_PATH_MAX];
  if (!active || !exit_file_is_due(&file)) return;
  exit_file_path(&file, path);
  inside = true;
  lock_take(&lock);
  profile_write(path, &data);
  lock_give(&lock);
}
