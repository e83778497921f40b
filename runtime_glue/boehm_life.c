/*
 * boehm_life.c - weak links from blocks to collected objects, and tokens: collected objects that keep blocks.
 *
 * WEAK LINKS are libgc's disappearing links, which may lie in any memory. libgc would write NULL into a freed block, so the links
 * in a block are ended before it is freed. Which those are is not written down: the heap and the cookie of the span say that
 * there may be some, then each word of the block is asked for.
 *
 * TOKENS are objects of a kind with a disclaim procedure: libgc calls it for a dead token while it sweeps, under its lock. It frees
 * the block there and then, but if weak links may be in it, for which libgc would have to be called, or a fork is under way: such
 * a token stays, in a queue, until somebody comes by without the lock (boehm_settle_tokens). A token is not scanned. Tokens of
 * heaps are plain objects with a finalizer.
 */
#include "boehm_parts.h"

#define GC_THREADS
#include <errno.h>
#include <gc/gc.h>
#include <gc/gc_disclaim.h>
#include <gc/gc_mark.h>
#include <pthread.h>
#include <sched.h>

typedef struct token {
  volatile word_t heap;  /* + 1: an object on a free list has an even word here */
  volatile word_t block; /* 0: cancelled, or freed */
  volatile word_t queued;
  struct token *next; /* in the queue */
} token;

static volatile word_t queue;    /* of tokens: pushed singly, taken as a whole */
static volatile word_t settling; /* threads that free blocks of tokens from the queue */
static volatile word_t made;
static unsigned token_kind;

static scalloc_boehm_heap *heap_of(const token *t) { return (scalloc_boehm_heap *)(word_load_relaxed(&t->heap) & ~(word_t)1); }

/* ---- weak links --------------------------------------------------------------------------------------------------------- */

int scalloc_boehm_weak_link(scalloc_boehm_heap *heap, void **link, void *object) {
  scalloc_rt_ref ref;
  void *base = object ? GC_base(object) : NULL;
  if (base == NULL || (uintptr_t)link % sizeof(void *) != 0 || !scalloc_rt_resolve(heap->rt, link, true, &ref)) {
    errno = EINVAL;
    return -1;
  }
  word_store_relaxed(&heap->linked, 1);
  word_or_full((volatile word_t *)scalloc_rt_cookie(ref.span), BOEHM_LINKED);
  GC_unregister_disappearing_link(link); /* registering may collect, and what it found dead would have its word cleared */
  *link = (void *)GC_HIDE_POINTER(object);
  if (GC_general_register_disappearing_link(link, base) == GC_NO_MEMORY) {
    *link = NULL;
    errno = ENOMEM;
    return -1;
  }
  return 0;
}

static void *GC_CALLBACK reveal(void *link) {
  void *hidden = *(void *volatile *)link;
  return hidden ? GC_REVEAL_POINTER((GC_word)hidden) : NULL;
}

void *scalloc_boehm_weak_get(void **link) { return GC_call_with_alloc_lock(reveal, link); }

void scalloc_boehm_weak_unlink(void **link) {
  GC_unregister_disappearing_link(link);
  *link = NULL;
}

static int unlink_words(void *ud, scalloc_rt_ref ref, void *block, size_t size) {
  (void)ud;
  (void)ref;
  for (void **word = block, **end = word + size / sizeof *word; word < end; word++) GC_unregister_disappearing_link(word);
  return 0;
}

void boehm_unlink_block(scalloc_boehm_heap *heap, void *block) {
  scalloc_rt_ref ref;
  size_t size;
  if (!scalloc_rt_resolve(heap->rt, block, false, &ref)) return; /* the free will tell */
  if ((*(volatile uintptr_t *)scalloc_rt_cookie(ref.span) & BOEHM_LINKED) == 0) return;
  scalloc_rt_block(ref, &size);
  unlink_words(NULL, ref, block, size);
}

static int unlink_span(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  (void)info;
  if ((*scalloc_rt_cookie(span) & BOEHM_LINKED) != 0) scalloc_rt_each_block(span, SCALLOC_RT_ALLOCATED, unlink_words, ud);
  return 0;
}

/* Who settles tokens either sees the heap closed, or is waited for here. Tokens that die under libgc's lock are kept off by it. */
void boehm_life_close(scalloc_boehm_heap *heap) {
  boehm_settle_tokens();
  word_or_full(&heap->closed, 1);
  while (word_load_acquire(&settling) != 0) sched_yield();
  if (word_load_relaxed(&heap->linked) != 0) scalloc_rt_each_span(heap->rt, SCALLOC_RT_ANY, unlink_span, NULL);
}

void boehm_life_after_fork(void) { word_store_relaxed(&settling, 0); }

/* ---- tokens ------------------------------------------------------------------------------------------------------------- */

bool boehm_tokens_made(void) { return word_load_relaxed(&made) != 0; }

static void enqueue(token *t) {
  word_t first;
  word_store_relaxed(&t->queued, 1);
  do {
    first = word_load_relaxed(&queue);
    t->next = (token *)first;
  } while (!word_cas_full(&queue, first, (word_t)t));
}

/* In libgc's sweep. Not 0: the token stays for now. */
static int GC_CALLBACK disclaim(void *object) {
  token *t = object;
  if ((word_load_relaxed(&t->heap) & 1) == 0) return 0;
  if (word_load_acquire(&t->queued) != 0) return 1;
  scalloc_boehm_heap *h = heap_of(t);
  word_t block = word_load_relaxed(&t->block);
  if (block != 0 && word_load_relaxed(&h->closed) == 0) {
    if (word_load_relaxed(&h->linked) != 0 || !boehm_glue_enter()) {
      enqueue(t);
      return 1;
    }
    scalloc_rt_free(NULL, (void *)block);
    boehm_glue_leave();
  }
  word_store_relaxed(&t->heap, 0);
  boehm_heap_unref(h);
  return 0;
}

void boehm_settle_tokens(void) {
  word_t first;
  if (likely(word_load_relaxed(&queue) == 0)) return;
  word_add_full(&settling, 1);
  do first = word_load_acquire(&queue);
  while (!word_cas_full(&queue, first, 0));
  for (token *t = (token *)first, *next; t != NULL; t = next) {
    next = t->next;
    if (word_load_relaxed(&heap_of(t)->closed) == 0) scalloc_boehm_free(heap_of(t), (void *)word_load_relaxed(&t->block));
    word_store_relaxed(&t->block, 0);
    word_store_release(&t->queued, 0); /* the next sweep takes it */
  }
  word_add_full(&settling, (word_t)-1);
}

static void open_tokens(void) {
  token_kind = GC_new_kind(GC_new_free_list(), GC_DS_LENGTH, 0, 1);
  GC_register_disclaim_proc((int)token_kind, disclaim, 0);
}

void *scalloc_boehm_token_new(scalloc_boehm_heap *heap, void *block) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_tokens);
  boehm_settle_tokens();
  token *t = GC_generic_malloc(sizeof *t - 1, (int)token_kind);
  if (t == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  word_add_full(&heap->references, 1);
  word_store_relaxed(&made, 1);
  word_store_relaxed(&t->block, (word_t)block);
  word_store_release(&t->heap, (word_t)heap | 1);
  return t;
}

/* libgc's kind 0 is that of pointer-free objects, so no token of a block has it. */
void scalloc_boehm_token_cancel(void *object) {
  token *t = object;
  if (token_kind != 0 && GC_get_kind_and_size(object, NULL) == (int)token_kind)
    word_store_relaxed(&t->block, 0);
  else
    GC_register_finalizer_no_order(object, NULL, NULL, NULL, NULL);
}

/* ---- tokens of heaps ---------------------------------------------------------------------------------------------------- */

static void GC_CALLBACK destroy_heap(void *object, void *heap) {
  (void)object;
  scalloc_boehm_heap_destroy(heap);
}

void *scalloc_boehm_heap_token(scalloc_boehm_heap *heap) {
  void *t = GC_malloc_atomic(1);
  if (t == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  word_store_relaxed(&made, 1);
  GC_register_finalizer_no_order(t, destroy_heap, heap, NULL, NULL);
  return t;
}
