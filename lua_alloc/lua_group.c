/*
 * lua_group.c - one limit over many heaps.
 *
 * Data: the group, of which threads share one word, the bytes that its heaps have reserved. A heap reserves quota in steps and
 * uses it up without looking at that word; the end of the quota is an event of its account (lua_limit.c).
 *
 * The sum of the quotas never exceeds the limit, but for what disarmed heaps use; so the limit is never passed. A growth may be
 * refused although there is memory, if other heaps hold quota that they do not use. That is kept small:
 *
 *   - a step is an eighth of what the heap uses, and no more than its share of an eighth of what is left; 4 KB to 1 MB;
 *   - after a refusal every other heap gives back what it does not use, the next time it comes here or refills a class;
 *   - heaps give back when they are disarmed, trimmed or ended, and when a collection has freed a lot of them.
 *
 * What remains is the quota of heaps that nobody is running: taking it from them would need an atomic operation in each call.
 *
 * The list of heaps, for the sum, stands under one lock for all groups. Every change of it is one store to a `next`, so that the
 * child of a fork finds it whole and only has to open the lock.
 */
#include <errno.h>
#include <pthread.h>

#include "lua_extra.h"

enum { STEP_MIN = 4096, STEP_MAX = 1 << 20, SHARE = 8 };

struct scalloc_lua_group {
  size_t hard;                /* SIZE_MAX: none */
  volatile word_t references; /* heaps, and the program's own */
  lua_extra *volatile first;
  volatile word_t reserved aligned_to(CACHE_LINE); /* the sum of the quotas */
  volatile word_t refusals;
  volatile word_t heaps;
};

static spin_lock lists_lock;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_lists(void) { lock_give(&lists_lock); }
static void set_up(void) { pthread_atfork(NULL, NULL, open_lists); }

/* ---- groups ---------------------------------------------------------------------------------------------------------------- */

scalloc_lua_group *scalloc_lua_group_new(size_t hard) {
  scalloc_lua_group *group = scalloc_aligned_alloc(_Alignof(scalloc_lua_group), sizeof *group);
  if (group == NULL) return NULL;
  pthread_once(&once, set_up);
  *group = (scalloc_lua_group){.hard = hard ? hard : SIZE_MAX, .references = 1};
  return group;
}

static void drop(scalloc_lua_group *group) {
  if (word_add_full(&group->references, (word_t)-1) == 1) scalloc_free(group);
}

void scalloc_lua_group_free(scalloc_lua_group *group) {
  if (group) drop(group);
}

static size_t at_most(size_t a, size_t b) { return a < b ? a : b; }

/* Read by another thread: mark and left of the same moment. In the child of a fork that came meanwhile a mark may move forever. */
static size_t used_by(const lua_extra *e) {
  lua_account *account = lua_heap_account(e->self);
  word_t before, used;
  int tries = 1000;
  do {
    before = word_load_acquire(&e->moves);
    used = word_load_acquire((volatile word_t *)&account->mark);
    used -= word_load_acquire((volatile word_t *)&account->left);
  } while ((before % 2 != 0 || word_load_relaxed(&e->moves) != before) && --tries > 0);
  return used;
}

size_t scalloc_lua_group_used(const scalloc_lua_group *group) {
  size_t sum = 0;
  lock_take(&lists_lock);
  for (const lua_extra *e = group->first; e != NULL; e = e->next) sum += used_by(e);
  lock_give(&lists_lock);
  return at_most(sum, word_load_acquire(&group->reserved)); /* one may have freed what another has got since */
}

/* ---- their heaps ------------------------------------------------------------------------------------------------------------ */

void lua_group_join(heap *h, scalloc_lua_group *group) {
  lua_extra *e = lua_heap_account(h)->extra;
  word_add_full(&group->references, 1);
  word_add_full(&group->heaps, 1);
  e->group = group;
  e->self = h;
  lock_take(&lists_lock);
  e->next = group->first;
  e->place = (lua_extra **)(uintptr_t)&group->first;
  group->first = e;
  if (e->next) e->next->place = (lua_extra **)(uintptr_t)&e->next; /* after it is true: who trusts it looks whether it is */
  lock_give(&lists_lock);
}

static void unlink_extra(lua_extra *e) {
  lua_extra *volatile *place = e->place;
  if (*place != e) /* a fork came between two stores of another thread */
    for (place = &e->group->first; *place != e;) place = &(*place)->next;
  if (e->next) e->next->place = (lua_extra **)(uintptr_t)place;
  *place = e->next;
}

void lua_group_leave(heap *h) {
  lua_extra *e = lua_heap_account(h)->extra;
  scalloc_lua_group *group = e->group;
  if (group == NULL) return;
  lock_take(&lists_lock);
  unlink_extra(e);
  lock_give(&lists_lock);
  word_add_full(&group->reserved, (word_t)0 - e->quota);
  word_add_full(&group->heaps, (word_t)-1);
  e->group = NULL;
  drop(group);
}

/* ---- quota ------------------------------------------------------------------------------------------------------------------ */

static size_t step_for(const scalloc_lua_group *group, size_t used, size_t remaining) {
  size_t heaps = word_load_relaxed(&group->heaps);
  size_t step = at_most(used / SHARE, remaining / SHARE / (heaps ? heaps : 1));
  return step < STEP_MIN ? STEP_MIN : at_most(step, STEP_MAX);
}

bool lua_group_more(heap *h, size_t used, bool forced) {
  lua_extra *e = lua_heap_account(h)->extra;
  scalloc_lua_group *group = e->group;
  size_t need = used - e->quota, more;
  word_t reserved;
  do {
    reserved = word_load_acquire(&group->reserved);
    size_t remaining = reserved < group->hard ? group->hard - reserved : 0;
    if (need > remaining && !forced) {
      word_add_full(&group->refusals, 1);
      return false;
    }
    more = need > remaining ? need : at_most(remaining, need + step_for(group, used, remaining));
  } while (!word_cas_full(&group->reserved, reserved, reserved + more));
  e->quota += more;
  lua_limit_place(h);
  return true;
}

void lua_group_give(heap *h, size_t keep) {
  lua_extra *e = lua_heap_account(h)->extra;
  if (e == NULL || e->group == NULL) return;
  size_t used = lua_account_used(lua_heap_account(h));
  if (e->quota < used || e->quota - used <= keep) return;
  size_t idle = e->quota - used - keep;
  e->quota -= idle;
  word_add_full(&e->group->reserved, (word_t)0 - idle);
  lua_limit_place(h);
}

void lua_group_look(heap *h) {
  lua_extra *e = lua_heap_account(h)->extra;
  if (e->group == NULL) return;
  word_t refusals = word_load_relaxed(&e->group->refusals);
  size_t used = lua_account_used(lua_heap_account(h));
  if (refusals != e->refusals) {
    e->refusals = refusals;
    lua_group_give(h, 0);
  } else if (e->quota > used + used / SHARE + STEP_MAX) {
    lua_group_give(h, used / SHARE);
  }
}
