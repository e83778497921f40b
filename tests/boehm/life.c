/* Weak links from blocks to collected objects, and tokens: blocks and heaps that live as long as a collected object. */
#include "objects.h"

enum { COUNT = 1000, WORDS = 6 };

static long died;
static scalloc_boehm_heap *heap;

static void *word_of(object *volatile *block) { return (void *)(uintptr_t)block; }

/* ---- weak links ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  object *volatile *holder[COUNT]; /* blocks that hold the objects */
  void **links[COUNT];             /* and blocks that only know them, by their word 2 */
  uint64_t first;
  bool atomic;
} weak_set;

static void *weak_make(void *data) {
  weak_set *w = data;
  w->first = object_ids(COUNT);
  for (size_t i = 0; i < COUNT; i++) {
    w->holder[i] = scalloc_boehm_malloc(heap, sizeof(void *));
    w->links[i] = w->atomic ? scalloc_boehm_malloc_atomic(heap, WORDS * sizeof(void *))
                            : scalloc_boehm_malloc(heap, WORDS * sizeof(void *));
    CHECK(w->holder[i] && w->links[i]);
    object_new(w->holder[i], w->first + i, &died);
    CHECK(scalloc_boehm_weak_link(heap, &w->links[i][2], w->holder[i][0]) == 0);
  }
  return NULL;
}

/* Frees the holders from `from` on, every step-th. */
static void let_go(weak_set *w, size_t from, size_t step) {
  for (size_t i = from; i < COUNT; i += step) {
    object_let_go(w->holder[i][0]);
    scalloc_boehm_free(heap, word_of(w->holder[i]));
  }
}

static void *let_go_of_odd(void *data) {
  let_go(data, 1, 2);
  return NULL;
}

static void *let_go_of_even(void *data) {
  let_go(data, 0, 2);
  return NULL;
}

/* Links of odd ones are NULL, the others lead to their objects. */
static void *look(void *data) {
  weak_set *w = data;
  for (size_t i = 0; i < COUNT; i++) {
    const object *o = scalloc_boehm_weak_get(&w->links[i][2]);
    CHECK(i % 2 == 1 ? o == NULL : o == w->holder[i][0] && object_is_sound(o, w->first + i));
  }
  return NULL;
}

static void weak_links(bool atomic) {
  static weak_set w;
  w.atomic = atomic;
  long expected = died;
  elsewhere(weak_make, &w);
  GC_gcollect();
  CHECK_INT(died, ==, expected);
  elsewhere(let_go_of_odd, &w);
  CHECK(collect_until(&died, expected += COUNT / 2));
  elsewhere(look, &w);
  for (size_t i = 0; i < COUNT; i++) {
    scalloc_boehm_weak_unlink(&w.links[i][2]);
    CHECK(w.links[i][2] == NULL);
    w.links[i][2] = (void *)(i + 1);
  }
  elsewhere(let_go_of_even, &w);
  CHECK(collect_until(&died, expected + COUNT / 2));
  for (size_t i = 0; i < COUNT; i++) {
    CHECK(w.links[i][2] == (void *)(i + 1));
    scalloc_boehm_free(heap, w.links[i]);
  }
}

/* A second link of the same word replaces the first: only the second object matters to it. */
static void *relink(void *data) {
  void **links = data;
  object *volatile a = NULL, *volatile b = NULL;
  object_new(&a, object_ids(1), &died);
  object_new(&b, object_ids(1), &died);
  CHECK(scalloc_boehm_weak_link(heap, &links[0], a) == 0 && scalloc_boehm_weak_link(heap, &links[0], b) == 0);
  CHECK(scalloc_boehm_weak_get(&links[0]) == b);
  object_let_go(a);
  object_let_go(b);
  return NULL;
}

static void weak_relink(void) {
  void **links = scalloc_boehm_malloc(heap, 64);
  long expected = died + 2;
  elsewhere(relink, links);
  CHECK(collect_until(&died, expected) && scalloc_boehm_weak_get(&links[0]) == NULL);
  scalloc_boehm_free(heap, links);
}

/* Relinked just when the first object dies: registering the second may collect. */
static __attribute__((noinline)) void link_a_dying_object(void **link) {
  CHECK(scalloc_boehm_weak_link(heap, link, GC_MALLOC(64)) == 0);
}

static void *relink_dying(void *data) {
  enum { LINKS = 1 << 13 };
  void **kept = GC_MALLOC(LINKS * sizeof *kept);
  (void)data;
  for (size_t i = 0; i < LINKS; i++) {
    void **link = scalloc_boehm_malloc_atomic(heap, 16);
    kept[i] = GC_MALLOC(64);
    link_a_dying_object(link);
    scrub_stack();
    CHECK(scalloc_boehm_weak_link(heap, link, kept[i]) == 0);
    CHECK(scalloc_boehm_weak_get(link) == kept[i]);
  }
  return NULL;
}

static void weak_refusals(void) {
  void **block = scalloc_boehm_malloc(heap, 64), *collected = GC_MALLOC(32), *outside = NULL;
  void *volatile unaligned = (char *)block + 4;
  int local;
  errno = 0;
  CHECK(scalloc_boehm_weak_link(heap, unaligned, collected) == -1 && errno == EINVAL);
  CHECK(scalloc_boehm_weak_link(heap, &outside, collected) == -1 && errno == EINVAL);
  CHECK(scalloc_boehm_weak_link(heap, block, &local) == -1 && scalloc_boehm_weak_link(heap, block, NULL) == -1);
  scalloc_boehm_free(heap, block);
  errno = 0;
  CHECK(scalloc_boehm_weak_link(heap, block, collected) == -1 && errno == EINVAL);
}

/* Memory that had links is used for other things when their objects die: libgc leaves it alone. */
static void weak_memory_is_left_alone(bool destroy) {
  static weak_set w;
  static unsigned char *others[8 * COUNT];
  scalloc_boehm_heap *outer = heap, *links = destroy ? scalloc_boehm_heap_new() : heap;
  long expected = died + COUNT;
  elsewhere(weak_make, &w);
  for (size_t i = 0; i < COUNT && destroy; i++) {
    void **link = scalloc_boehm_malloc(links, WORDS * sizeof *link);
    CHECK(scalloc_boehm_weak_link(links, &link[3], w.holder[i][0]) == 0);
  }
  for (size_t i = 0; i < COUNT; i++) scalloc_boehm_free(heap, w.links[i]);
  if (destroy) scalloc_boehm_heap_destroy(links), links = scalloc_boehm_heap_new();
  for (size_t i = 0; i < LENGTH(others); i++) {
    others[i] = scalloc_boehm_malloc(i % 2 ? links : outer, WORDS * sizeof(void *));
    CHECK(others[i] != NULL);
    memset(others[i], 0x77, WORDS * sizeof(void *));
  }
  elsewhere(let_go_of_odd, &w);
  elsewhere(let_go_of_even, &w);
  CHECK(collect_until(&died, expected));
  for (size_t i = 0; i < LENGTH(others); i++) {
    CHECK(all_bytes(others[i], WORDS * sizeof(void *), 0x77));
    scalloc_boehm_free(i % 2 ? links : outer, others[i]);
  }
  if (destroy) scalloc_boehm_heap_destroy(links);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------------------- */

static void *tokens[COUNT]; /* static: libgc looks here */

typedef struct {
  bool links; /* with a weak link in each block */
  bool atomic;
} token_test;

/* Each block holds an object, so that one sees when it is freed. */
static void *tokens_make(void *data) {
  const token_test *t = data;
  for (size_t i = 0; i < COUNT; i++) {
    object *volatile *block = scalloc_boehm_malloc(heap, WORDS * sizeof(void *));
    CHECK(block != NULL);
    object_new(block, object_ids(1), &died);
    object_let_go(block[0]);
    void **words = word_of(block);
    if (t->links) CHECK(scalloc_boehm_weak_link(heap, &words[1], block[0]) == 0);
    tokens[i] = scalloc_boehm_token_new(heap, words);
    CHECK(tokens[i] != NULL);
  }
  return NULL;
}

/* libgc sweeps lazily: making tokens goes through the memory of dead ones. Those made here stand for nothing. */
static void *sweep_tokens(void *unused) {
  void *block = scalloc_boehm_malloc_atomic(heap, 1);
  for (size_t i = 0; i < 2 * (size_t)COUNT; i++) scalloc_boehm_token_cancel(scalloc_boehm_token_new(heap, block));
  scalloc_boehm_free(heap, block);
  return unused;
}

static bool tokens_until(long count) {
  for (int i = 0; i < 20 && objects_count(&died) < count; i++) {
    scrub_stack();
    GC_gcollect();
    elsewhere(sweep_tokens, NULL);
  }
  return collect_until(&died, count);
}

static void token_lives(token_test t) {
  long expected = died;
  elsewhere(tokens_make, &t);
  for (int i = 0; i < 3; i++) GC_gcollect(), elsewhere(sweep_tokens, NULL);
  CHECK_INT(died, ==, expected);
  for (size_t i = 0; i < COUNT; i += 2) tokens[i] = NULL;
  CHECK(tokens_until(expected += COUNT / 2));
  for (size_t i = 1; i < COUNT; i += 2) {
    if (i % 4 == 1) scalloc_boehm_token_cancel(tokens[i]);
    tokens[i] = NULL;
  }
  CHECK(tokens_until(expected + COUNT / 4));
  for (int i = 0; i < 3; i++) GC_gcollect(), elsewhere(sweep_tokens, NULL);
  CHECK_INT(died, ==, expected + COUNT / 4); /* what was cancelled stays */
}

/* A block with a link goes by its token; what comes in its place is left alone when the object of the link dies. */
static void *token_makes(void *data) {
  weak_set *w = data;
  weak_make(w);
  for (size_t i = 0; i < COUNT; i++) CHECK((tokens[i] = scalloc_boehm_token_new(heap, w->links[i])) != NULL);
  return NULL;
}

static void token_of_linked_block(void) {
  static weak_set w;
  static unsigned char *others[4 * COUNT];
  long expected = died + COUNT;
  elsewhere(token_makes, &w);
  memset(tokens, 0, sizeof tokens);
  for (int i = 0; i < 5; i++) scrub_stack(), GC_gcollect(), elsewhere(sweep_tokens, NULL);
  size_t again = 0;
  for (size_t i = 0; i < LENGTH(others); i++) {
    CHECK((others[i] = scalloc_boehm_malloc(heap, WORDS * sizeof(void *))) != NULL);
    memset(others[i], 0x77, WORDS * sizeof(void *));
    for (size_t k = 0; k < COUNT; k++) again += (void *)w.links[k] == (void *)others[i];
  }
  CHECK_INT(again, >, COUNT * 9 / 10); /* they were freed */
  elsewhere(let_go_of_odd, &w);
  elsewhere(let_go_of_even, &w);
  CHECK(collect_until(&died, expected));
  for (size_t i = 0; i < LENGTH(others); i++) {
    CHECK(all_bytes(others[i], WORDS * sizeof(void *), 0x77));
    scalloc_boehm_free(heap, others[i]);
  }
}

static void *heap_token_make(void *data) {
  scalloc_boehm_heap *own = scalloc_boehm_heap_new();
  *(void **)data = scalloc_boehm_heap_token(own);
  for (int i = 0; i < 100; i++) {
    object *volatile *block = scalloc_boehm_malloc(own, (size_t)i * 100);
    object_new(block, object_ids(1), &died);
    object_let_go(block[0]);
  }
  return NULL;
}

static void heap_tokens(void) {
  long expected = died;
  for (size_t i = 0; i < 10; i++) elsewhere(heap_token_make, &tokens[i]);
  GC_gcollect();
  CHECK_INT(died, ==, expected);
  for (size_t i = 0; i < 5; i++) tokens[i] = NULL;
  CHECK(collect_until(&died, expected + 500));
  for (size_t i = 5; i < 10; i++) tokens[i] = NULL;
  CHECK(collect_until(&died, expected + 1000));
}

/* Tokens outlive the heap of their blocks, harmlessly. */
static void *collect_thrice(void *unused) {
  for (int i = 0; i < 3; i++) GC_gcollect(), GC_invoke_finalizers();
  return unused;
}

/* The heap outlives a token that was cancelled. Collects before it is destroyed by hand. */
static void *heap_token_cancelled(void *data) {
  scalloc_boehm_heap *own = scalloc_boehm_heap_new();
  *(scalloc_boehm_heap **)data = own;
  object *volatile *block = scalloc_boehm_malloc(own, 100);
  uint64_t id = object_new(block, object_ids(1), &died);
  scalloc_boehm_token_cancel(scalloc_boehm_heap_token(own));
  elsewhere(collect_thrice, NULL);
  CHECK(object_is_sound(block[0], id));
  object_let_go(block[0]);
  return NULL;
}

static void heap_token_cancels(void) {
  scalloc_boehm_heap *own;
  long expected = died;
  elsewhere(heap_token_cancelled, &own);
  CHECK_INT(died, ==, expected);
  scalloc_boehm_heap_destroy(own);
  CHECK(collect_until(&died, expected + 1));
}

static void tokens_of_destroyed_heap(void) {
  scalloc_boehm_heap *outer = heap;
  long expected = died + COUNT;
  heap = scalloc_boehm_heap_new();
  elsewhere(tokens_make, &(token_test){.links = true});
  scalloc_boehm_heap_destroy(heap);
  heap = outer;
  CHECK(collect_until(&died, expected));
  memset(tokens, 0, sizeof tokens);
  for (int i = 0; i < 3; i++) GC_gcollect(), elsewhere(sweep_tokens, NULL);
  check_heap();
}

/* Far more than the limit allows, of which libgc knows that it is garbage. */
static int limited(void) {
  for (int i = 0; i < 2000; i++) {
    void *block = scalloc_boehm_malloc_atomic(heap, 100000);
    CHECK(block != NULL);
    CHECK(scalloc_boehm_token_new(heap, block) != NULL);
  }
  return 0;
}

int main(int argc, char **argv) {
  (void)argv;
  GC_INIT();
  heap = scalloc_boehm_heap_new();
  CHECK(heap != NULL);
  if (argc > 1) return limited();
  weak_refusals();
  weak_links(false);
  weak_links(true);
  weak_relink();
  elsewhere(relink_dying, NULL);
  weak_memory_is_left_alone(false);
  weak_memory_is_left_alone(true);
  scalloc_boehm_heap_destroy(heap); /* it had links, the next one has not */
  heap = scalloc_boehm_heap_new();
  token_lives((token_test){.links = false});
  token_lives((token_test){.links = true});
  token_of_linked_block();
  heap_tokens();
  heap_token_cancels();
  tokens_of_destroyed_heap();
  CHECK_INT(objects_wrong, ==, 0);
  scalloc_boehm_heap_destroy(heap);
  char *environment[] = {(char *)(uintptr_t) "SCALLOC_LIMIT_BYTES=40000000", NULL};
  run_self_ok("limited", environment, 0);
  return 0;
}
