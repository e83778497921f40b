/*
 * lua_limit.c - what happens where a growth meets an event: limits, the soft limit, budgets, injected failures, refusals.
 *
 * Data: the account of a heap, which its user alone touches. Every change of what counts ends in lua_limit_place(), which puts the mark
 * to the nearest event and keeps use and peak. While something concerns every growth (a failure to be injected, a refusal that
 * may be retried) the mark is 0: no growth fits below it.
 *
 * A refusal is no error yet: Lua collects garbage and asks again with the same arguments. So a refused request is kept; if the
 * next growth is the same one, there has been an emergency collection, and if that is refused too, or another one comes, the
 * request has failed for good.
 */
#include <errno.h>

#include "lua_extra.h"
#include "lua_kit.h"

static size_t nearer(size_t a, size_t b) { return a < b ? a : b; }

/* Who sums up a group sees either both words of before or both of after. */
static void move_mark(lua_account *account, ptrdiff_t mark, ptrdiff_t used) {
  lua_extra *e = account->extra;
  word_t moves = e ? e->moves : 0;
  if (e) word_store_relaxed(&e->moves, moves + 1);
  account_set_mark(account, mark); /* a release: never seen before the count is odd */
  word_store_release((volatile word_t *)&account->left, (word_t)(mark - used));
  if (e) word_store_release(&e->moves, moves + 2);
}

void lua_limit_place(heap *h) {
  lua_account *account = lua_heap_account(h);
  lua_account_peak(account);
  ptrdiff_t used = account->mark - account->left, peak = account->mark - account->least;
  size_t mark = nearer(account->ceiling, PTRDIFF_MAX);
  account->most = SIZE_MAX;
  if (account->armed) {
    mark = nearer(mark, nearer(account->soft, account->hard));
    account->most = account->max_block;
  }
  if (account->extra && account->extra->group) mark = nearer(mark, account->extra->quota);
  if (account->growths >= 0 || account->refused || account->most < DIRECT_MAX) mark = 0;
  move_mark(account, (ptrdiff_t)mark, used);
  account->least = account->mark - peak;
}

static size_t or_none(size_t limit) { return limit ? limit : SIZE_MAX; }

void lua_limit_init(heap *h, const scalloc_lua_config *config) {
  lua_account *account = lua_heap_account(h);
  *account = (lua_account){.max_block = or_none(config->max_block),
                           .ceiling = SIZE_MAX,
                           .growths = -1,
                           .on_pressure = config->on_pressure,
                           .userdata = config->userdata,
                           .name = config->name};
  lua_limit_set(h, config->soft_limit, config->hard_limit);
}

void lua_limit_set(heap *h, size_t soft, size_t hard) {
  lua_account *account = lua_heap_account(h);
  account->soft = or_none(soft);
  account->hard = or_none(hard);
  account->above = false;
  lua_limit_place(h);
}

/* ---- a growth ---------------------------------------------------------------------------------------------------------- */

static bool is_request(const lua_account *account, lua_request r) {
  const lua_request *kept = &account->request;
  return account->refused && kept->block == r.block && kept->osize == r.osize && kept->nsize == r.nsize;
}

/* What became of the request that was refused last, now that another growth has come. */
static void settle(lua_account *account, lua_request r, bool met) {
  bool retried = is_request(account, r);
  if (retried) account->emergencies++;
  if (account->refused && !(retried && met)) account->failures++;
  account->refused = !met && !retried;
  account->request = r;
}

void lua_limit_refuse(heap *h, lua_request r) {
  lua_account *account = lua_heap_account(h);
  account->refusals++;
  settle(account, r, false);
  lua_limit_place(h);
  errno = ENOMEM;
}

/* The limits that hold now, for a growth to `used` bytes. */
static bool within(const lua_account *account, size_t nsize, size_t used) {
  if (account->growths == 0 || used > account->ceiling) return false;
  return !account->armed || (nsize <= account->max_block && used <= account->hard);
}

bool lua_limit_admit(heap *h, lua_request r) {
  lua_account *account = lua_heap_account(h);
  size_t used = lua_account_used(account) + lua_request_growth(r);
  bool admitted = r.nsize <= PTRDIFF_MAX && within(account, r.nsize, used);
  const lua_extra *e = account->extra;
  if (admitted && e && e->group && used > e->quota) admitted = lua_group_more(h, used, account->armed == 0);
  if (!admitted) lua_limit_refuse(h, r);
  return admitted;
}

/* Has this growth taken use above the soft limit, for the first time since it was at or below it? */
static void press(heap *h, size_t used, size_t growth) {
  lua_account *account = lua_heap_account(h);
  bool was_above = account->above && used - growth > account->soft;
  account->above = used > account->soft;
  if (!account->above || was_above || account->calling) return;
  account->pressures++;
  if (!account->on_pressure) return;
  account->calling = true;
  account->on_pressure(account->userdata, lua_heap_handle(h), used, account->soft);
  account->calling = false;
}

void lua_limit_admitted(heap *h, lua_request r, size_t growth) {
  lua_account *account = lua_heap_account(h);
  if (account->growths > 0) account->growths--;
  if (account->refused) {
    settle(account, r, true);
    lua_limit_place(h);
  }
  if (account->armed) press(h, lua_account_used(account), growth);
}

/* ---- what is asked of a heap ------------------------------------------------------------------------------------------- */

void scalloc_lua_arm(scalloc_lua_heap *lua_heap) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  if (lua_heap_account(h)->armed++ == 0) lua_heap_account(h)->above = false;
  lua_limit_place(h);
  lua_heap_leave(h);
}

void scalloc_lua_disarm(scalloc_lua_heap *lua_heap) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  if (lua_heap_account(h)->armed > 0) lua_heap_account(h)->armed--;
  lua_limit_place(h);
  if (lua_heap_account(h)->armed == 0) lua_group_give(h, 0);
  lua_heap_leave(h);
}

void scalloc_lua_limit(scalloc_lua_heap *lua_heap, size_t soft, size_t hard) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  lua_limit_set(h, soft, hard);
  lua_heap_leave(h);
}

void scalloc_lua_fail_after(scalloc_lua_heap *lua_heap, long growths) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  lua_heap_account(h)->growths = growths < 0 ? -1 : growths;
  lua_limit_place(h);
  lua_heap_leave(h);
}

size_t scalloc_lua_used(const scalloc_lua_heap *lua_heap) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  size_t used = lua_account_used(lua_heap_account(h));
  lua_heap_leave(h);
  return used;
}

size_t lua_limit_peak(heap *h, bool reset) {
  lua_account *account = lua_heap_account(h);
  lua_account_peak(account);
  size_t peak = (size_t)(account->mark - account->least);
  if (reset) account->least = account->left;
  return peak;
}

size_t scalloc_lua_peak(scalloc_lua_heap *lua_heap, bool reset) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  size_t peak = lua_limit_peak(h, reset);
  lua_heap_leave(h);
  return peak;
}
