/*
 * lua_shared.c - forks and the locks of SHARED heaps.
 *
 * Any thread may be within such a heap when another one forks. Its lock would stay closed in the child, and its pool and counts
 * cut off in the middle. So a fork waits for these locks, which are held for a call each, and both sides open them afterwards.
 * Who comes to such a lock meanwhile lets the fork go first, or two busy threads might keep it from both. It does not wait for
 * ever: who forks may hold a lock itself (a visitor of a walk), or be waited for by who holds it. The child opens every lock,
 * whether the fork got it or not; what was not got was most likely a long walk, which changes nothing.
 *
 * Data: the list of the kits with SHARED, under its own lock, which is taken before those of the kits.
 */
#include <pthread.h>
#include <time.h>

#include "lua_kit.h"

enum { PATIENCE = 1000 }; /* milliseconds for all of them */

static spin_lock list_lock;
static lua_kit *first;
volatile word_t lua_shared_fork_waits;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static long long milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* As lock_take. */
static bool take_before(spin_lock *lock, long long deadline) {
  for (unsigned spins = 1; word_load_relaxed(lock) != 0 || !word_cas_full(lock, 0, 1); spins++) {
    cpu_relax();
    if (spins % 64 != 0) continue;
    if (milliseconds() > deadline) return false;
    os_yield();
  }
  return true;
}

static void before_fork(void) {
  lock_take(&list_lock);
  long long deadline = milliseconds() + PATIENCE;
  word_store_release(&lua_shared_fork_waits, 1);
  for (lua_kit *kit = first; kit != NULL; kit = kit->next) kit->held_for_fork = take_before(&kit->lock, deadline);
  word_store_release(&lua_shared_fork_waits, 0);
}

static void after_fork(bool in_child) {
  for (lua_kit *kit = first; kit != NULL; kit = kit->next)
    if (kit->held_for_fork || in_child) lock_give(&kit->lock);
  lock_give(&list_lock);
}

static void in_parent(void) { after_fork(false); }
static void in_child(void) { after_fork(true); }
static void set_up(void) { pthread_atfork(before_fork, in_parent, in_child); }

void lua_shared_add(lua_kit *kit) {
  pthread_once(&once, set_up);
  lock_take(&list_lock);
  kit->next = first;
  kit->place = &first;
  if (first) first->place = &kit->next;
  first = kit;
  lock_give(&list_lock);
}

void lua_shared_remove(lua_kit *kit) {
  if (kit->place == NULL) return;
  lock_take(&list_lock);
  if (kit->next) kit->next->place = kit->place;
  *kit->place = kit->next;
  lock_give(&list_lock);
}
