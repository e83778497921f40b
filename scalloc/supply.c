/* supply.c - the order in which empty spans are looked for: backed ones first, then address space that was in use, then fresh. */
#include "supply.h"

#include "pool.h"
#include "purge.h"
#include "runs.h"

/* One span out of the free runs, as an ordinary empty one. */
static span *take_single_run(void) {
  uint32_t index = runs_take_single();
  if (index == 0) return NULL;
  span *s = span_at(index);
  s->dirty = s->run_clean ? 0 : (uint32_t)(s->run_dirty < SPAN_BYTES ? s->run_dirty : SPAN_BYTES);
  span_set_state(s, SPAN_FREE);
  return s;
}

static span *take_fresh(void) {
  uint32_t index = arena_take(1);
  if (index == 0) return NULL;
  span_set_state(span_at(index), SPAN_FREE);
  return span_at(index);
}

span *supply_take(uint32_t hint, size_t bytes) {
  span *s = pool_take(hint, bytes);
  if (!s) s = take_single_run();
  if (!s) s = take_fresh();
  if (!s) {
    purge_all(); /* warm runs become clean ones, which can be cut */
    s = take_single_run();
  }
  return s;
}
