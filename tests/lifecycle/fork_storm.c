/*
 * fork_storm.c - forks again and again while threads allocate and free; every child must find the allocator whole.
 *
 *   fork_storm [--rounds N] [--forkers 1|2] [--seed N]     N forks by each forking thread
 *
 * What a child inherits with a known holder: the shelf of the thread that forked, whose lock that thread holds across its forks
 * (blocks, a heap, a Lua state); the table of slots, whose entries are exchanged atomically, so that a block in it belongs to
 * it whatever the other threads were doing; and the private blocks of the forking thread. The rest died with its holders.
 */
#include "life.h"

enum { WORKERS = 4, FORKERS = 2, SLOTS = 300, SHELF = 40, PRIVATE = 30, CHILD_OPS = 150 };

static _Atomic(block *) slots[SLOTS];
static atomic_bool stop;
static atomic_long starting; /* threads that are not past their start */
static atomic_int children;  /* while there are some, the parent's threads leave most of the processor to them */

typedef struct shelf {
  pthread_mutex_t lock;
  block *blocks[SHELF];
  scalloc_heap *heap; /* NULL while somebody uses it */
  block *in_heap;     /* a block of that heap */
#ifdef HAVE_LUA_ALLOC
  lua_State *state; /* NULL while somebody uses it */
#endif
} shelf;
static shelf shelves[FORKERS] = {{.lock = PTHREAD_MUTEX_INITIALIZER}, {.lock = PTHREAD_MUTEX_INITIALIZER}};

typedef struct forker {
  shelf *own;
  long rounds;
  rng random;
  block *kept[PRIVATE]; /* of this thread alone */
} forker;

/* ---- what the threads do --------------------------------------------------------------------------------------------- */

static void use_slot(rng *random) {
  block_free(atomic_exchange(&slots[rng_below(random, SLOTS)], block_new(block_size(random))));
}

static void use_shelf_block(rng *random, shelf *s) {
  block *mine = block_new(block_size(random));
  pthread_mutex_lock(&s->lock);
  block **place = &s->blocks[rng_below(random, SHELF)], *other = *place;
  *place = mine;
  pthread_mutex_unlock(&s->lock);
  block_free(other);
}

/* Takes the heap from the shelf, or makes one; ends it or puts it there. */
static void use_shelf_heap(rng *random, shelf *s) {
  pthread_mutex_lock(&s->lock);
  scalloc_heap *heap = s->heap;
  block *inside = s->in_heap;
  s->heap = NULL;
  s->in_heap = NULL;
  pthread_mutex_unlock(&s->lock);
  if (inside) block_free(inside);
  if (heap == NULL) CHECK(heap = scalloc_heap_new());
  for (int i = 0; i < 40; i++) {
    void *one = scalloc_heap_malloc(heap, rng_log(random, 13));
    CHECK(one != NULL);
    if (i % 2) scalloc_heap_free(heap, one);
  }
  CHECK(inside = (block *)scalloc_heap_malloc(heap, 700));
  inside->size = 700;
  fill(inside + 1, 700 - sizeof *inside);
  pthread_mutex_lock(&s->lock);
  if (s->heap == NULL && rng_percent(random, 80)) {
    s->heap = heap;
    s->in_heap = inside;
    heap = NULL;
  }
  pthread_mutex_unlock(&s->lock);
  scalloc_heap_destroy(heap);
}

#ifdef HAVE_LUA_ALLOC
static void use_shelf_state(rng *random, shelf *s) {
  pthread_mutex_lock(&s->lock);
  lua_State *L = s->state;
  s->state = NULL;
  pthread_mutex_unlock(&s->lock);
  if (L == NULL) {
    CHECK(L = scalloc_lua_newstate(NULL));
    luaL_openlibs(L);
  }
  run_script(L);
  pthread_mutex_lock(&s->lock);
  if (s->state == NULL && rng_percent(random, 80)) {
    s->state = L;
    L = NULL;
  }
  pthread_mutex_unlock(&s->lock);
  if (L) scalloc_lua_close(L, rng_percent(random, 50) ? SCALLOC_LUA_CLOSE_FULL : SCALLOC_LUA_CLOSE_DISCARD);
}
#else
static void use_shelf_state(rng *random, shelf *s) { use_shelf_heap(random, s); }
#endif

static void grow_and_shrink(rng *random) {
  size_t size = 1 + rng_below(random, 2000);
  unsigned char *one = (unsigned char *)scalloc_malloc(size), *moved;
  for (int i = 0; i < 8; i++) {
    size_t next = i < 6 ? size * 4 : size / 8 + 1;
    if (next > 3 * MB) next = 3 * MB;
    CHECK(one != NULL);
    fill(one, size);
    CHECK(moved = (unsigned char *)scalloc_realloc(one, next));
    CHECK(intact_prefix(moved, size < next ? size : next, one, size));
    one = moved;
    size = next;
  }
  scalloc_free(one);
}

static void *short_life(void *argument) {
  rng random = {(uintptr_t)argument};
  for (int i = 0; i < 20; i++) use_slot(&random);
  return NULL;
}

static void use_short_thread(rng *random) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, short_life, (void *)(uintptr_t)rng_next(random)) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

static void do_one_thing(rng *random, shelf *s) {
  size_t kind = rng_below(random, 1000);
  if (kind < 5)
    use_lua();
  else if (kind < 10)
    use_shelf_state(random, s);
  else if (kind < 20 && FORKS_WITH_ENDING_THREADS)
    use_short_thread(random);
  else if (kind < 25)
    scalloc_purge();
  else if (kind < 50)
    grow_and_shrink(random);
  else if (kind < 80)
    use_shelf_heap(random, s);
  else if (kind < 160)
    use_shelf_block(random, s);
  else
    use_slot(random);
}

static void *work(void *argument) {
  rng random = {(uintptr_t)argument};
  do_one_thing(&random, &shelves[0]);
  atomic_fetch_sub(&starting, 1);
  while (!atomic_load(&stop)) {
    do_one_thing(&random, &shelves[rng_below(&random, FORKERS)]);
    if (atomic_load(&children) > 0) nanosleep(&(struct timespec){0, 200000}, NULL);
  }
  return NULL;
}

/* ---- the child ------------------------------------------------------------------------------------------------------- */

static void empty_slots(void) {
  for (size_t i = 0; i < SLOTS; i++) block_free(atomic_exchange(&slots[i], NULL));
}

/* Uses what lies on the shelf, then frees it. */
static void empty_shelf(rng *random, shelf *s) {
  for (size_t i = 0; i < SHELF; i++) {
    block_free(s->blocks[i]);
    s->blocks[i] = NULL;
  }
  if (s->heap) {
    for (int i = 0; i < 50; i++) CHECK(scalloc_heap_malloc(s->heap, rng_log(random, 13)) != NULL);
    block_free(s->in_heap);
    scalloc_heap_destroy(s->heap);
    s->heap = NULL;
    s->in_heap = NULL;
  }
#ifdef HAVE_LUA_ALLOC
  if (s->state) {
    run_script(s->state);
    scalloc_lua_close(s->state, (scalloc_lua_close_mode)rng_below(random, 3));
    s->state = NULL;
  }
#endif
}

static void empty_kept(forker *me) {
  for (size_t i = 0; i < PRIVATE; i++) {
    block_free(me->kept[i]);
    me->kept[i] = NULL;
  }
}

static void take_over(forker *me) {
  empty_shelf(&me->random, me->own);
  empty_kept(me);
  empty_slots();
}

static void *work_briefly(void *argument) {
  rng random = {(uintptr_t)argument};
  for (int i = 0; i < CHILD_OPS; i++) use_slot(&random);
  return NULL;
}

static pid_t fork_with_shelf(forker *me) {
  pthread_mutex_lock(&me->own->lock);
  pid_t pid = fork();
  pthread_mutex_unlock(&me->own->lock);
  CHECK(pid >= 0);
  if (pid == 0) child_begin();
  return pid;
}

/* The child's own threads, and in their midst its own child. */
static void fork_in_the_midst_of_own_threads(forker *me) {
  pthread_t threads[2];
  for (size_t i = 0; i < LENGTH(threads); i++)
    CHECK(pthread_create(&threads[i], NULL, work_briefly, (void *)(uintptr_t)rng_next(&me->random)) == 0);
  pid_t pid = fork_with_shelf(me);
  if (pid == 0) {
    take_over(me);
    use_all_sizes();
    use_heaps();
    check_heap();
    _exit(0);
  }
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
  reap(pid, "grandchild");
}

static void see_that_it_is_sound(forker *me) {
  (void)me;
  check_heap();
}
static void use_sizes_and_lua(forker *me) {
  (void)me;
  use_all_sizes();
  use_lua();
}

/* Every part may be the first thing that the child does. */
static void live_as_child(forker *me) {
  static void (*const parts[])(forker *) = {take_over, use_sizes_and_lua, fork_in_the_midst_of_own_threads,
                                            see_that_it_is_sound};
  size_t first = rng_below(&me->random, LENGTH(parts));
  for (size_t i = 0; i < LENGTH(parts); i++) parts[(first + i) % LENGTH(parts)](me);
  take_over(me);
  scalloc_purge();
  use_everything_alone();
  _exit(0);
}

/* ---- the parent ------------------------------------------------------------------------------------------------------ */

static void *fork_again_and_again(void *argument) {
  forker *me = (forker *)argument;
  atomic_fetch_sub(&starting, 1);
  while (atomic_load(&starting) > 0) sleep_ms(1);
  for (long i = 0; i < me->rounds; i++) {
    char what[64];
    for (int k = 0; k < 5; k++) {
      block **place = &me->kept[rng_below(&me->random, PRIVATE)];
      block_free(*place);
      *place = block_new(block_size(&me->random));
    }
    rng child_random = {rng_next(&me->random)};
    nanosleep(&(struct timespec){0, (long)rng_below(&me->random, 500000)}, NULL);
    pid_t pid = fork_with_shelf(me);
    if (pid == 0) {
      me->random = child_random;
      live_as_child(me);
    }
    atomic_fetch_add(&children, 1);
    snprintf(what, sizeof what, "fork %ld by thread %td", i, me->own - shelves);
    reap(pid, what);
    atomic_fetch_sub(&children, 1);
  }
  return NULL;
}

int main(int argc, char **argv) {
  long rounds = option_number(argc, argv, "--rounds", 200), count = option_number(argc, argv, "--forkers", 1);
  uintptr_t seed = (uintptr_t)option_number(argc, argv, "--seed", 1);
  pthread_t workers[WORKERS], threads[FORKERS];
  static forker forkers[FORKERS];
  if (!FORKS_WITH_THREADS) return skip("TSan lets no child of a process with several threads start a thread");
  CHECK(rounds > 0 && count >= 1 && count <= FORKERS);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  double start = now();
  atomic_store(&starting, WORKERS + count);
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_create(&workers[i], NULL, work, (void *)(seed * 100 + i)) == 0);
  for (size_t i = 0; i < FORKERS; i++) forkers[i] = (forker){.own = &shelves[i], .rounds = rounds, .random = {seed * 7 + i}};
  for (long i = 1; i < count; i++) CHECK(pthread_create(&threads[i], NULL, fork_again_and_again, &forkers[i]) == 0);
  fork_again_and_again(&forkers[0]);
  for (long i = 1; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  atomic_store(&stop, true);
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_join(workers[i], NULL) == 0);
  for (size_t i = 0; i < FORKERS; i++) take_over(&forkers[i]);
  check_all_returned(before);
  printf("%ld forks by each of %ld threads in %.1f s\n", rounds, count, now() - start);
  return 0;
}
