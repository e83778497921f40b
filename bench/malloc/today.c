/* Today's loads: an interpreter's small objects, messages between threads, threads that come and go over shared blocks, large
 * blocks that grow, a heap that is emptied and filled with other sizes, a server that forks. */
#include "today.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- interpreter: boxed numbers, frames and strings of an expression that is evaluated again and again */

static long in_rounds = 300, in_depth = 10;

const program_option interpreter_options[] = {{"rounds", &in_rounds, 1, 1000000, "evaluations"},
                                              {"depth", &in_depth, 1, 20, "depth of the expression"},
                                              {NULL, NULL, 0, 0, NULL}};

typedef struct {
  uint64_t kind, number;
} boxed;

typedef struct frame {
  struct frame *caller;
  boxed *locals[4];
  char *name;
} frame;

static char *name_of(uint64_t *random, const char *left, const char *right) {
  size_t length = strlen(left) % 24 + strlen(right) % 24 + load_between(random, 1, 16);
  char *name = load_allocate(length + 1);
  memset(name, 'x', length);
  name[length] = '\0';
  return name;
}

static boxed *evaluate(load_thread *thread, frame *caller, long depth) {
  frame *own = load_allocate(sizeof *own);
  *own = (frame){.caller = caller, .name = name_of(&thread->random, caller ? caller->name : "main", "f")};
  boxed *result = load_allocate(sizeof *result);
  *result = (boxed){.kind = 1, .number = (uint64_t)depth};
  thread->operations += 3;
  if (depth > 0) {
    own->locals[0] = evaluate(thread, own, depth - 1);
    own->locals[1] = evaluate(thread, own, depth - 1);
    result->number += own->locals[0]->number + own->locals[1]->number;
    free(own->locals[1]);
    free(own->locals[0]);
  }
  free(own->name);
  free(own);
  return result;
}

void interpreter_work(load_thread *thread) {
  for (long i = 0; i < in_rounds; i++) free(evaluate(thread, NULL, in_depth));
}

/* ---- messages: a ring from each thread to each other; the receiver frees */

enum { RING = 256 };

static long me_messages = 2000000, me_least = 32, me_most = 1024;

const program_option messages_options[] = {{"messages", &me_messages, 1, 1000000000, "sent by all threads together"},
                                           {"least", &me_least, 1, 1 << 20, "bytes of the smallest"},
                                           {"most", &me_most, 1, 1 << 20, "bytes of the largest"},
                                           {NULL, NULL, 0, 0, NULL}};

typedef struct {
  _Alignas(LOAD_APART) volatile size_t sent;     /* the sender's */
  _Alignas(LOAD_APART) volatile size_t received; /* the receiver's */
  _Alignas(LOAD_APART) void *messages[RING];
} ring;

static ring *rings; /* [from * threads + to] */
static volatile unsigned senders;

static void *open_rings(unsigned threads) {
  size_t bytes = threads * threads * sizeof(ring);
  void *memory = aligned_alloc(LOAD_APART, bytes);
  if (!memory) program_fail("rings", errno);
  return memset(memory, 0, bytes);
}

void messages_begin(unsigned threads) {
  rings = open_rings(threads);
  senders = threads;
}

static bool send_message(ring *to, void *message) {
  size_t sent = to->sent;
  if (sent - __atomic_load_n(&to->received, __ATOMIC_ACQUIRE) == RING) return false;
  to->messages[sent % RING] = message;
  __atomic_store_n(&to->sent, sent + 1, __ATOMIC_RELEASE);
  return true;
}

static size_t receive_all(unsigned self) {
  size_t n = 0;
  for (unsigned from = 0; from < load_threads; from++) {
    ring *r = &rings[from * load_threads + self];
    size_t received = r->received, sent = __atomic_load_n(&r->sent, __ATOMIC_ACQUIRE);
    for (; received != sent; received++, n++) free(r->messages[received % RING]);
    __atomic_store_n(&r->received, received, __ATOMIC_RELEASE);
  }
  return n;
}

/* Sends `count` to the receivers from `first` on, in turn. A thread with nowhere to send to reads its own mail meanwhile. */
static void send_all(load_thread *thread, uint64_t count, unsigned first, unsigned receivers) {
  for (uint64_t i = 0; i < count; i++) {
    void *message = load_allocate(load_skewed(&thread->random, (size_t)me_least, (size_t)me_most));
    ring *to = &rings[thread->index * load_threads + first + i % receivers];
    while (!send_message(to, message)) {
      if (receive_all(thread->index) == 0) sched_yield();
    }
    if (i % 64 == 63) receive_all(thread->index);
  }
  thread->operations += count;
  __atomic_sub_fetch(&senders, 1, __ATOMIC_RELEASE);
}

static void receive_until_the_end(unsigned self) {
  for (;;) {
    bool last = __atomic_load_n(&senders, __ATOMIC_ACQUIRE) == 0;
    if (receive_all(self)) continue;
    if (last) return;
    sched_yield();
  }
}

void symmetric_work(load_thread *thread) {
  send_all(thread, (uint64_t)me_messages / load_threads, 0, load_threads);
  receive_until_the_end(thread->index);
}

/* The first half only sends, the second only receives. One thread does both. */
void asymmetric_begin(unsigned threads) {
  rings = open_rings(threads);
  senders = threads > 1 ? threads / 2 : 1;
}

void asymmetric_work(load_thread *thread) {
  unsigned half = load_threads > 1 ? load_threads / 2 : 1;
  if (thread->index < half)
    send_all(thread, (uint64_t)me_messages / half, load_threads > 1 ? half : 0, load_threads > 1 ? load_threads - half : 1);
  receive_until_the_end(thread->index);
}

void messages_end(unsigned threads) {
  (void)threads;
  free(rings);
}

/* ---- stress: short-lived threads allocate sizes of all kinds and exchange blocks through shared places */

enum { PLACES = 1000 };

static long st_rounds = 20, st_blocks = 20000;
static void *volatile places[PLACES];

const program_option stress_options[] = {{"rounds", &st_rounds, 1, 100000, "threads one after another, for each of --threads"},
                                         {"blocks", &st_blocks, 1, 100000000, "allocated by each"},
                                         {NULL, NULL, 0, 0, NULL}};

static size_t any_size(uint64_t *random) {
  size_t dice = load_between(random, 0, 999);
  if (dice == 0) return load_between(random, 64 << 10, 512 << 10);
  if (dice < 20) return load_between(random, 1 << 10, 16 << 10);
  return load_skewed(random, 8, 512);
}

static void *stress_round(void *argument) {
  load_thread *thread = argument;
  enum { OWN = 256 };
  void *own[OWN] = {NULL};
  for (long i = 0; i < st_blocks; i++) {
    void **place = &own[load_between(&thread->random, 0, OWN - 1)];
    free(*place);
    *place = load_allocate(any_size(&thread->random));
    if (i % 10 == 0)
      *place = __atomic_exchange_n(&places[load_between(&thread->random, 0, PLACES - 1)], *place, __ATOMIC_ACQ_REL);
  }
  for (unsigned i = 0; i < OWN; i++) free(own[i]);
  thread->operations += (uint64_t)st_blocks;
  return NULL;
}

void stress_work(load_thread *thread) {
  for (long i = 0; i < st_rounds; i++) load_fork_join(1, stress_round, thread, 0);
}

void stress_end(unsigned threads) {
  (void)threads;
  for (unsigned i = 0; i < PLACES; i++) free(places[i]);
}

/* ---- large: blocks of 100 KB to 25 MB, and buffers that grow by realloc */

static long lg_rounds = 200;

const program_option large_options[] = {{"rounds", &lg_rounds, 1, 1000000, "of one buffer grown and eight blocks"},
                                        {NULL, NULL, 0, 0, NULL}};

static void touch(char *block, size_t from, size_t to) {
  for (size_t at = from; at < to; at += 4096) block[at] = 1;
}

void large_work(load_thread *thread) {
  enum { LEAST = 100 << 10, MOST = 25 << 20, KEPT = 4 };
  void *kept[KEPT] = {NULL};
  for (long round = 0; round < lg_rounds; round++) {
    size_t size = 64 << 10;
    char *buffer = load_allocate(size);
    for (size_t limit = load_skewed(&thread->random, LEAST, MOST); size < limit; size += size / 2) {
      buffer = realloc(buffer, size + size / 2);
      if (!buffer) program_fail("large", errno);
      touch(buffer, size, size + size / 2);
      thread->operations++;
    }
    free(buffer);
    for (unsigned i = 0; i < 8; i++) {
      void **place = &kept[load_between(&thread->random, 0, KEPT - 1)];
      size = load_skewed(&thread->random, LEAST, MOST);
      free(*place);
      *place = load_allocate(size);
      touch(*place, 0, size / 8);
    }
    thread->operations += 9;
  }
  for (unsigned i = 0; i < KEPT; i++) free(kept[i]);
}

/* ---- refill: a heap is filled with one size, all but a few blocks are freed, the next size comes: what is kept of the old? */

static long re_phases = 12, re_megabytes = 32, re_leak = 2;
static uint64_t resident_peak, resident_end;

const program_option refill_options[] = {{"phases", &re_phases, 1, 1000, "sizes one after another"},
                                         {"megabytes", &re_megabytes, 1, 1 << 20, "of each size"},
                                         {"leak", &re_leak, 0, 100, "percent of the blocks that stay for good"},
                                         {NULL, NULL, 0, 0, NULL}};

void refill_work(load_thread *thread) {
  for (long phase = 0; phase < re_phases; phase++) {
    size_t size = load_skewed(&thread->random, 16, 8192), n = ((size_t)re_megabytes << 20) / size;
    void **blocks = load_allocate(n * sizeof *blocks);
    for (size_t i = 0; i < n; i++) {
      blocks[i] = load_allocate(size);
      memset(blocks[i], 1, size);
    }
    uint64_t now = load_resident() + load_page_tables();
    if (thread->index == 0 && now > resident_peak) resident_peak = now;
    for (size_t i = 0; i < n; i++) {
      if (load_between(&thread->random, 0, 99) >= (size_t)re_leak) free(blocks[i]);
    }
    free(blocks);
    thread->operations += n;
  }
}

void refill_end(unsigned threads) {
  (void)threads;
  resident_end = load_resident() + load_page_tables();
  report_count("resident_peak_bytes", resident_peak);
  report_count("resident_end_bytes", resident_end);
}

/* ---- forks: a server with a live heap forks a worker for every request */

static long fo_forks = 200, fo_blocks = 100000, fo_request = 2000;

const program_option forks_options[] = {{"forks", &fo_forks, 1, 1000000, "requests"},
                                        {"blocks", &fo_blocks, 1, 100000000, "live blocks of the server"},
                                        {"request", &fo_request, 1, 100000000, "blocks allocated for a request"},
                                        {NULL, NULL, 0, 0, NULL}};

static void serve(uint64_t *random, void **blocks) {
  for (long i = 0; i < fo_request; i++) {
    void **place = &blocks[load_between(random, 0, (size_t)fo_blocks - 1)];
    free(*place);
    *place = load_allocate(load_skewed(random, 16, 1024));
  }
}

void forks_work(load_thread *thread) {
  void **blocks = load_allocate((size_t)fo_blocks * sizeof *blocks);
  for (long i = 0; i < fo_blocks; i++) blocks[i] = load_allocate(load_skewed(&thread->random, 16, 1024));
  for (long i = 0; i < fo_forks; i++) {
    pid_t pid = fork();
    if (pid < 0) program_fail("fork", errno);
    if (pid == 0) {
      serve(&thread->random, blocks);
      _exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) program_fail("a worker failed", 0);
    serve(&thread->random, blocks);
  }
  for (long i = 0; i < fo_blocks; i++) free(blocks[i]);
  free(blocks);
  thread->operations += (uint64_t)(fo_blocks + 2 * fo_forks * fo_request);
}
