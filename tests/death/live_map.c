/*
 * live_map.c - the live map under interference: whatever another thread does between the look at a word of the map and the
 * change of it, no bit is lost and one of two frees wins. The other thread is played by a hook in the load, so that the
 * moment is always the worst.
 */
#include "atomics.h"

static word_t load_and_interfere(const volatile word_t *word);
#undef word_load_acquire
#define word_load_acquire(p) load_and_interfere(p)
#include "live.h"

#include "../test.h"

static void (*interfere)(void *block); /* called once, after the next load */
static void *block_of_other;

static word_t load_and_interfere(const volatile word_t *word) {
  word_t value = AO_load_acquire(word);
  void (*act)(void *) = interfere;
  interfere = NULL;
  if (act) act(block_of_other);
  return value;
}

static void take(void *block) { CHECK(live_take(block)); }
static void set(void *block) { live_set(block); }

static bool take_while(void *block, void (*act)(void *), void *other) {
  block_of_other = other;
  interfere = act;
  bool taken = live_take(block);
  CHECK(interfere == NULL);
  return taken;
}

int main(void) {
  char *block = scalloc_malloc(100), *neighbour = block + 8; /* in the same word of the map, though no block of its own */
  CHECK(live_word(block) == live_word(neighbour) && live_is(block) && !live_is(neighbour));

  live_set(neighbour);
  CHECK(take_while(block, take, neighbour)); /* both are freed, each by one */
  CHECK(!live_is(block) && !live_is(neighbour));

  live_set(block);
  CHECK(take_while(block, set, neighbour)); /* one freed, one handed out */
  CHECK(!live_is(block) && live_is(neighbour));

  CHECK(!take_while(block, set, neighbour)); /* a second free of it sees that it lost */
  live_set(block);
  CHECK(!take_while(block, take, block)); /* the other free of the same block came first */
  CHECK(!live_is(block) && live_is(neighbour));

  CHECK(live_take(neighbour));
  live_set(block);
  scalloc_free(block);
  return 0;
}
