/* Loads made of cycles, after ACDC (Aigner and Kirsch): each cycle allocates about so many bytes in blocks of a range of sizes,
 * each of which lives for some cycles and is then freed, by its thread or by another. */
#include "lifetimes.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LIFE = 16, FIRST_ROOM = 1024, MOST_UNREAD = 1 << 15 };

/* A list of blocks that die together. */
typedef struct {
  void **blocks;
  size_t count, room;
} group;

typedef struct {
  size_t least, most, bytes; /* of a block, skewed to the small; of a cycle */
  unsigned cycles, shortest, longest;
} shape;

static void add(group *g, void *block) {
  if (g->count == g->room) {
    g->room = g->room ? 2 * g->room : FIRST_ROOM;
    g->blocks = realloc(g->blocks, g->room * sizeof *g->blocks);
    if (!g->blocks) program_fail("group", errno);
  }
  g->blocks[g->count++] = block;
}

static void free_all(group *g) {
  for (size_t i = 0; i < g->count; i++) free(g->blocks[i]);
  g->count = 0;
}

static void end(group *g) {
  free_all(g);
  free(g->blocks);
}

/* ---- producer_consumer: a block that dies is freed by another thread with the probability --remote */

static long pc_remote = 50, pc_cycles = 200, pc_kilobytes = 1000, pc_least = 16, pc_most = 512;

const program_option producer_consumer_options[] = {
    {"remote", &pc_remote, 0, 100, "percent of the blocks that another thread frees"},
    {"cycles", &pc_cycles, 1, 1000000, "cycles"},
    {"kilobytes", &pc_kilobytes, 1, 1 << 20, "allocated in a cycle by a thread"},
    {"least", &pc_least, 1, 1 << 20, "bytes of the smallest block"},
    {"most", &pc_most, 1, 1 << 20, "bytes of the largest block"},
    {NULL, NULL, 0, 0, NULL}};

/*
 * What others have left for a thread to free: a few cycles' blocks. Whoever would leave more waits, and reads meanwhile; else the
 * memory that is live would be a matter of which thread runs ahead.
 */
typedef struct {
  _Alignas(LOAD_APART) pthread_mutex_t lock;
  group dying;
  bool closed; /* its reader has ended */
} mailbox;

static mailbox *mailboxes;

void producer_consumer_begin(unsigned threads) {
  mailboxes = aligned_alloc(LOAD_APART, threads * sizeof *mailboxes);
  if (!mailboxes) program_fail("mailboxes", errno);
  memset(mailboxes, 0, threads * sizeof *mailboxes);
  for (unsigned i = 0; i < threads; i++) pthread_mutex_init(&mailboxes[i].lock, NULL);
}

/* The lock is held for an exchange of lists only. */
static void read_mail(mailbox *own, group *spare) {
  pthread_mutex_lock(&own->lock);
  group taken = own->dying;
  own->dying = *spare;
  pthread_mutex_unlock(&own->lock);
  free_all(&taken);
  *spare = taken;
}

/* False: too much is there already. */
static bool send_mail(mailbox *to, group *letters) {
  pthread_mutex_lock(&to->lock);
  bool room = to->dying.count < MOST_UNREAD || to->closed;
  for (size_t i = 0; room && i < letters->count; i++) add(&to->dying, letters->blocks[i]);
  pthread_mutex_unlock(&to->lock);
  if (room) letters->count = 0;
  return room;
}

static void close_mailbox(mailbox *own) {
  pthread_mutex_lock(&own->lock);
  own->closed = true;
  pthread_mutex_unlock(&own->lock);
}

static void die(load_thread *thread, group *dying, group *letters) {
  for (size_t i = 0; i < dying->count; i++) {
    if (load_between(&thread->random, 0, 99) < (size_t)pc_remote)
      add(letters, dying->blocks[i]);
    else
      free(dying->blocks[i]);
  }
  dying->count = 0;
}

static void live_cycles(load_thread *thread, const shape *s, group *alive, void (*on_death)(load_thread *, group *)) {
  for (unsigned cycle = 0; cycle < s->cycles; cycle++) {
    for (size_t bytes = 0; bytes < s->bytes;) {
      size_t size = load_skewed(&thread->random, s->least, s->most);
      size_t life = load_between(&thread->random, s->shortest, s->longest);
      add(&alive[(cycle + life) % MOST_LIFE], load_allocate(size));
      thread->operations++;
      bytes += size;
    }
    on_death(thread, &alive[(cycle + 1) % MOST_LIFE]);
  }
  for (unsigned i = 0; i < MOST_LIFE; i++) end(&alive[i]);
}

/* Blocks for others leave once a cycle, for one other thread after the other. */
static void die_anywhere(load_thread *thread, group *dying) {
  group *own = thread->own; /* letters, spare */
  die(thread, dying, &own[0]);
  mailbox *to =
      &mailboxes[(thread->index + load_between(&thread->random, 1, load_threads > 1 ? load_threads - 1 : 1)) % load_threads];
  while (!send_mail(to, &own[0])) {
    read_mail(&mailboxes[thread->index], &own[1]);
    sched_yield();
  }
  read_mail(&mailboxes[thread->index], &own[1]);
}

void producer_consumer_work(load_thread *thread) {
  group alive[MOST_LIFE] = {{0}}, own[2] = {{0}};
  const shape s = {.least = (size_t)pc_least,
                   .most = (size_t)pc_most,
                   .bytes = (size_t)pc_kilobytes * 1024,
                   .cycles = (unsigned)pc_cycles,
                   .shortest = 1,
                   .longest = 5};
  thread->own = own;
  live_cycles(thread, &s, alive, die_anywhere);
  close_mailbox(&mailboxes[thread->index]);
  end(&own[0]);
  end(&own[1]);
}

void producer_consumer_end(unsigned threads) {
  for (unsigned i = 0; i < threads; i++) end(&mailboxes[i].dying);
  free(mailboxes);
}

/* ---- sizes: one range of sizes after the other, each block dies in the cycle after its own */

static long si_from = 4, si_to = 22, si_cycles = 10, si_blocks = 1024;

const program_option sizes_options[] = {{"from", &si_from, 3, 24, "log 2 of the smallest size"},
                                        {"to", &si_to, 4, 25, "log 2 of the largest size"},
                                        {"cycles", &si_cycles, 1, 1000000, "cycles of each range"},
                                        {"blocks", &si_blocks, 1, 1 << 20, "of the smallest size that a cycle's bytes come to"},
                                        {NULL, NULL, 0, 0, NULL}};

enum { MOST_BYTES = 64 << 20 }; /* of one cycle: large ranges have fewer blocks */

static double range_seconds[32]; /* by log 2; of thread 0 */

static void die_here(load_thread *thread, group *dying) {
  (void)thread;
  free_all(dying);
}

void sizes_work(load_thread *thread) {
  for (long x = si_from; x + 2 <= si_to; x += 2) {
    group alive[MOST_LIFE] = {{0}};
    size_t bytes = (size_t)si_blocks << x;
    const shape s = {.least = (size_t)1 << x,
                     .most = (size_t)1 << (x + 2),
                     .bytes = bytes < MOST_BYTES ? bytes : MOST_BYTES,
                     .cycles = (unsigned)(bytes < MOST_BYTES ? si_cycles * 10 : si_cycles),
                     .shortest = 1,
                     .longest = 1};
    double began = program_now();
    live_cycles(thread, &s, alive, die_here);
    if (thread->index == 0) range_seconds[x] = program_now() - began;
  }
}

void sizes_end(unsigned threads) {
  (void)threads;
  for (long x = si_from; x + 2 <= si_to; x += 2) {
    char key[32];
    snprintf(key, sizeof key, "seconds_from_2_to_%ld", x);
    report_number(key, range_seconds[x]);
  }
}

/* ---- locality: what it costs to visit blocks, in the order of their allocation or in no order */

typedef struct item {
  struct item *next;
  uint64_t value;
} item;

static long lo_in_order = 100, lo_blocks = 400000, lo_visits = 20;
static double visit_seconds;

const program_option locality_options[] = {{"in-order", &lo_in_order, 0, 100, "percent of the visits in order of allocation"},
                                           {"blocks", &lo_blocks, 64, 100000000, "live blocks of 16 to 32 bytes"},
                                           {"visits", &lo_visits, 1, 1000000, "of all blocks"},
                                           {NULL, NULL, 0, 0, NULL}};

static void link_items(load_thread *thread, item **items, size_t n) {
  for (size_t i = 0; i < n; i++) {
    size_t to = (i + 1) % n;
    if (load_between(&thread->random, 0, 99) >= (size_t)lo_in_order) to = load_between(&thread->random, 0, n - 1);
    items[i]->next = items[to];
  }
}

/* The heap is in use when it comes to that: what is visited was allocated among blocks that came and went. */
void locality_work(load_thread *thread) {
  size_t n = (size_t)lo_blocks;
  item **items = load_allocate(n * sizeof *items);
  void *passing[64] = {NULL};
  for (size_t i = 0; i < n; i++) {
    void **place = &passing[load_between(&thread->random, 0, 63)];
    free(*place);
    *place = load_allocate(load_between(&thread->random, 16, 32));
    items[i] = load_allocate(load_between(&thread->random, 16, 32));
    items[i]->value = i;
  }
  link_items(thread, items, n);
  double began = program_now();
  uint64_t sum = 0;
  for (long visit = 0; visit < lo_visits; visit++) {
    item *at = items[0];
    for (size_t i = 0; i < n; i++, at = at->next) sum += at->value++;
  }
  if (thread->index == 0) visit_seconds = program_now() - began;
  if (sum == 1) program_fail("locality", 0); /* so that the visits are not left out */
  for (size_t i = 0; i < n; i++) free(items[i]);
  for (size_t i = 0; i < 64; i++) free(passing[i]);
  free(items);
  thread->operations += 2 * n;
}

void locality_end(unsigned threads) {
  (void)threads;
  report_number("visit_seconds", visit_seconds);
}
