/* lend.c - taking spans out of the core's hands, and back. */
#include "lend.h"

#include <string.h>

#include "large.h"
#include "options.h"
#include "pool.h"
#include "purge.h"
#include "supply.h"
#include "tools.h"

static const lend_borrower *registered;

arena_state lend_register(const lend_borrower *borrower) {
  registered = borrower;
  return arena;
}

const lend_borrower *lend_registered(void) { return registered; }

static span *lend(span *s, word_t owner) {
  word_store_release(&s->owner, owner);
  s->free = NULL;
  for (size_t i = 0; i < sizeof s->lent / sizeof s->lent[0]; i++)
    half_store_relaxed(&s->lent[i], 0); /* a late look is harmless */
  tool_access(span_start(s), (size_t)s->run << SPAN_SHIFT);
  span_set_state(s, SPAN_LENT);
  return s;
}

span *lend_span(uint32_t hint, size_t bytes, word_t owner) {
  span *s = supply_take(hint, bytes);
  if (s == NULL) return NULL;
  if (!purge_charge(s, bytes)) {
    pool_put(s, hint);
    return NULL;
  }
  s->run = 1;
  s->block = SPAN_BYTES; /* not a run, whatever the borrower makes of it */
  s->in_list = 0;
  purge_tick();
  return lend(s, owner);
}

span *lend_run(size_t bytes, size_t alignment, word_t owner, bool *zeroed) {
  span *s = large_take(bytes, alignment, false, zeroed);
  return s ? lend(s, owner) : NULL;
}

size_t lend_most(void) {
  size_t all = (size_t)arena.spans << SPAN_SHIFT, limit = options.limit_bytes;
  return limit != 0 && limit < all ? limit : all;
}

/* Tracked builds: nobody may touch an empty span, whose bytes are zero when it is taken again. */
static void shut(span *s) {
  if (purge_run(span_index(s), 1)) {
    arena_discharge(s->charged);
    s->charged = s->dirty = 0;
  } else {
    memset(span_start(s), 0, s->dirty);
  }
  tool_unused(span_start(s), SPAN_BYTES);
}

void lend_return(span *s, uint32_t hint) {
  word_store_relaxed(&s->owner, 0);
  if (s->run > 1 || s->block == 0) {
    large_release(s);
    return;
  }
  if (TRACKED) shut(s);
  span_set_state(s, SPAN_FREE);
  pool_put(s, hint);
  purge_tick();
}
