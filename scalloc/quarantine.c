/*
 * quarantine.c - a ring of blocks in the heap structure.
 *
 * A block that waits still counts as used in its span, which therefore stays what it is. It may be a block of another thread's
 * heap, but of no other heap that can end: a heap that ends gives its spans away, whoever holds their blocks back.
 */
#include "quarantine.h"

#if TRACKED
#include "canary.h"
#include "options.h"
#include "os.h"
#include "tools.h"
#include "track.h"

static void release_oldest(heap *user) {
  quarantine *held = &user->held;
  char *block = held->blocks[held->first];
  span *s = span_of_inside(block);
  held->first = (held->first + 1) % QUARANTINE_MAX;
  held->count--;
  held->bytes -= s->block;
  track_verify_free(block, s->block);
  heap_free_any(user, block);
}

bool quarantine_put(heap *user, span *s, void *block) {
  heap *owner = owner_heap(word_load_relaxed(&s->owner));
  if (user == NULL || options.quarantine == 0 || s->block > QUARANTINE_BLOCK) return false;
  if (owner != user && owner->kind != HEAP_THREAD && owner->kind != HEAP_ORPHANS) return false;
  quarantine *held = &user->held;
  while (held->count > 0 && (held->count >= options.quarantine || held->bytes + s->block > QUARANTINE_BYTES))
    release_oldest(user);
  held->blocks[(held->first + held->count) % QUARANTINE_MAX] = block;
  held->bytes += s->block;
  held->count++;
  return true;
}

bool quarantine_flush(heap *user) {
  bool any = user->held.count > 0;
  tool_pause();
  while (user->held.count > 0) release_oldest(user);
  tool_resume();
  return any;
}
#endif
