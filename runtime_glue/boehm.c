/*
 * boehm.c - heaps of the Boehm bridge: a heap of the glue with two kinds, both freed by hand, whose scanned spans have slices
 * (boehm_scan.c).
 *
 * Every thread that allocates from a heap has a record for it: a mutator, and slices in reserve, so that the hook which gives a
 * new span its slices need not call libgc. All calls of libgc are made before a slow path of the glue, or after it: they may run
 * finalizers, and those may come back here.
 *
 * A record belongs to its thread, which alone looks at it and ends it; destroying the heap only takes its heap away. Records of
 * threads that vanished in a fork are ended by the next slow path of the child.
 */
#include "boehm_parts.h"

#define GC_THREADS
#include <errno.h>
#include <gc/gc.h>
#include <pthread.h>
#include <sched.h>

/* Exported by libgc, declared in a private header of its own; both want its lock. */
extern void GC_CALL GC_incr_bytes_allocd(size_t bytes);
extern void GC_CALL GC_incr_bytes_freed(size_t bytes);

#define PRESSURE_STEP ((word_t)1 << 20)
#define SLOT_MAX ((size_t)1 << 20)   /* larger blocks have spans of their own */
enum { SLICES_MOST = 16384 };        /* of a span: 256 MB in slices of the usual size */
#define SPAN_USUAL ((size_t)1 << 18) /* bytes */

typedef struct boehm_thread {
  volatile word_t heap; /* 0: it was destroyed */
  scalloc_rt_mutator *mutator;
  boehm_reserve reserve;
  bool registered;                     /* libgc knows the thread */
  const void *owner;                   /* &mine of the thread */
  bool gone;                           /* the thread is not in this process any more */
  struct boehm_thread *next;           /* of the thread */
  struct boehm_thread *before, *after; /* of the heap, under `lock` */
} boehm_thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_exit;
thread_word struct { boehm_thread *last, *all; } mine;
static scalloc_boehm_heap *heaps; /* under `lock` */
static volatile word_t orphans;   /* there may be records of threads that are gone */

static volatile word_t held[BOEHM_SORTS]; /* bytes of spans */
static volatile word_t taken, given;      /* and those that libgc has not been told of */

/* ---- hooks of the glue -------------------------------------------------------------------------------------------------- */

static int sort_of(const scalloc_boehm_heap *h, const scalloc_rt_span_info *info) {
  return info->kind == h->kind[BOEHM_SCANNED] ? BOEHM_SCANNED : BOEHM_ATOMIC;
}

/* Pointer-free blocks matter to libgc when its collections may free them. */
static bool matters(int sort) { return sort == BOEHM_SCANNED || boehm_tokens_made(); }

static void span_acquire(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  scalloc_boehm_heap *h = ud;
  int sort = sort_of(h, info);
  size_t bytes = info->block_size * info->blocks;
  word_add_full(&held[sort], bytes);
  if (matters(sort)) word_add_full(&taken, bytes);
  if (sort == BOEHM_SCANNED) *scalloc_rt_cookie(span) = (uintptr_t)boehm_scan_begin(&mine.last->reserve, h->rt, span, info);
}

static bool span_release(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  int sort = sort_of(ud, info);
  size_t bytes = info->block_size * info->blocks;
  (void)why;
  word_add_full(&held[sort], (word_t)0 - bytes);
  if (matters(sort)) word_add_full(&given, bytes);
  boehm_scan_end((boehm_slice *)(*scalloc_rt_cookie(span) & ~BOEHM_LINKED));
  *scalloc_rt_cookie(span) = 0;
  return true;
}

/* ---- threads ------------------------------------------------------------------------------------------------------------ */

static inline bool is_of(const boehm_thread *t, const scalloc_boehm_heap *h) {
  return word_load_relaxed(&t->heap) == (word_t)h;
}

/* Ends a record; under `lock`. */
static void thread_end_locked(boehm_thread *t) {
  scalloc_boehm_heap *h = (scalloc_boehm_heap *)word_load_relaxed(&t->heap);
  if (h != NULL) {
    if (t->before != NULL)
      t->before->after = t->after;
    else
      h->threads = t->after;
    if (t->after != NULL) t->after->before = t->before;
    scalloc_rt_detach(t->mutator);
  }
  boehm_scan_return(t->reserve.first);
  scalloc_free(t);
}

static void thread_end(boehm_thread *t) {
  pthread_mutex_lock(&lock);
  thread_end_locked(t);
  pthread_mutex_unlock(&lock);
}

static never_inline void end_orphans(void) {
  pthread_mutex_lock(&lock);
  word_store_relaxed(&orphans, 0);
  for (scalloc_boehm_heap *h = heaps; h != NULL; h = h->next)
    for (boehm_thread *t = h->threads, *after; t != NULL; t = after) {
      after = t->after;
      if (t->gone) thread_end_locked(t);
    }
  pthread_mutex_unlock(&lock);
}

static void thread_exit(void *unused) {
  (void)unused;
  boehm_thread *all = mine.all;
  mine.all = mine.last = NULL;
  while (all != NULL) {
    boehm_thread *next = all->next;
    thread_end(all);
    all = next;
  }
}

/* The calling thread's record for a heap, or NULL. Ends those of destroyed heaps. */
static boehm_thread *thread_find(const scalloc_boehm_heap *h) {
  if (mine.last != NULL && is_of(mine.last, h)) return mine.last;
  mine.last = NULL;
  for (boehm_thread **link = &mine.all, *t; (t = *link) != NULL;) {
    if (word_load_relaxed(&t->heap) == 0) {
      *link = t->next;
      thread_end(t);
    } else if (is_of(t, h)) {
      return mine.last = t;
    } else {
      link = &t->next;
    }
  }
  return NULL;
}

static boehm_thread *thread_new(scalloc_boehm_heap *h) {
  boehm_thread *t = scalloc_calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->owner = &mine;
  t->mutator = scalloc_rt_attach(h->rt, t);
  if (t->mutator == NULL || pthread_setspecific(at_exit, &mine) != 0) {
    scalloc_rt_detach(t->mutator);
    scalloc_free(t);
    errno = ENOMEM;
    return NULL;
  }
  pthread_mutex_lock(&lock);
  word_store_relaxed(&t->heap, (word_t)h);
  t->after = h->threads;
  if (t->after != NULL) t->after->before = t;
  h->threads = t;
  pthread_mutex_unlock(&lock);
  t->next = mine.all;
  return mine.all = mine.last = t;
}

static inline boehm_thread *thread_of(scalloc_boehm_heap *h) {
  boehm_thread *t = mine.last;
  if (likely(t != NULL && is_of(t, h))) return t;
  t = thread_find(h);
  return t != NULL ? t : thread_new(h);
}

/* ---- pressure ----------------------------------------------------------------------------------------------------------- */

static word_t take_all(volatile word_t *count) {
  word_t n;
  do n = word_load_relaxed(count);
  while (!word_cas_full(count, n, 0));
  return n;
}

static word_t ours(void) {
  word_t bytes = word_load_relaxed(&held[BOEHM_SCANNED]);
  return boehm_tokens_made() ? bytes + word_load_relaxed(&held[BOEHM_ATOMIC]) : bytes;
}

/*
 * libgc collects when what was allocated since the last time is a certain part of its heap. With ours beside it, it is to be that
 * part of both: so it is told of our bytes when they have come to this. Told of them at once it would collect every few MB, and
 * read all scanned blocks each time, however many there are. What was freed counts against what was allocated as in libgc, whose
 * heap does not shrink either at each free: `level` is how large ours is taken to be, and falls by a quarter per collection.
 */
static bool is_due(void) {
  static volatile word_t collections, level;
  word_t in = word_load_relaxed(&taken), out = word_load_relaxed(&given), size = ours(), done = GC_get_gc_no();
  word_t usual = word_load_relaxed(&level);
  if (done != word_load_relaxed(&collections)) { /* one has been since */
    word_store_relaxed(&collections, done);
    word_store_relaxed(&level, size > usual - usual / 4 ? size : usual - usual / 4);
    take_all(&taken);
    take_all(&given);
    return false;
  }
  word_t grown = in > out ? in - out : 0, before = size > grown ? size - grown : 0;
  if (before < usual) before = usual;
  if (grown < in / 8) grown = in / 8;
  return grown >= PRESSURE_STEP && grown >= (GC_get_heap_size() + before) / GC_get_free_space_divisor();
}

static void *GC_CALLBACK tell_locked(void *unused) {
  (void)unused;
  GC_incr_bytes_allocd(take_all(&taken));
  GC_incr_bytes_freed(take_all(&given));
  return NULL;
}

/* Tells libgc what has come together, and lets it collect if it finds that time has come. */
static never_inline void tell(void) {
  GC_call_with_alloc_lock(tell_locked, NULL);
  if (GC_thread_is_registered()) GC_collect_a_little(); /* by another thread libgc would abort */
}

/* ---- allocation --------------------------------------------------------------------------------------------------------- */

/* What has to be done with libgc before the glue may look for memory: `slices` are ready when this returns true. */
static never_inline bool prepare(boehm_thread *t, size_t slices) {
  if (word_load_relaxed(&orphans) != 0) end_orphans();
  boehm_settle_tokens();
  if (word_load_relaxed(&taken) >= PRESSURE_STEP && is_due()) tell();
  if (slices == 0) return true;
  if (!t->registered && !(t->registered = GC_thread_is_registered() != 0)) {
    errno = EPERM;
    return false;
  }
  return boehm_scan_reserve(&t->reserve, slices);
}

static unsigned slot_ask(scalloc_boehm_heap *h, int sort, size_t size, size_t *rounded) {
  unsigned slot = scalloc_rt_slot(h->rt, h->kind[sort], size, rounded);
  if (slot != SCALLOC_RT_NO_SLOT && size <= BOEHM_SMALL)
    word_store_relaxed(&h->slot[sort][(size + BOEHM_STEP - 1) / BOEHM_STEP], (word_t)*rounded << 32 | (slot + 1));
  return slot;
}

/* What a new span with blocks of this size needs at most. A span of the glue is 256 KB, or eight blocks. Where it is more than so
   many slices hold, they are larger: a size that is refused in the end costs no more than SLICES_MOST of them. */
static size_t slices_for(size_t size) {
  size_t bytes = size > SLOT_MAX ? size : 8 * size, n = (bytes > SPAN_USUAL ? bytes : SPAN_USUAL) / BOEHM_SLICE_BYTES + 1;
  return n < SLICES_MOST ? n : SLICES_MOST;
}

/* Finalizers that run in here may allocate from the same heap, so a hole may be there again: the glue looks first. */
static never_inline void *allocate_slow(scalloc_boehm_heap *h, int sort, unsigned slot, size_t size) {
  boehm_thread *t = thread_of(h);
  if (t == NULL) return NULL;
  if (!prepare(t, sort == BOEHM_SCANNED ? slices_for(size) : 0)) return NULL;
  mine.last = t; /* the hook takes slices from it */
  if (slot == SCALLOC_RT_NO_SLOT) return scalloc_rt_alloc_large(t->mutator, h->kind[sort], size);
  return scalloc_rt_alloc(t->mutator, slot, size);
}

/* The same once more, after a collection that may free blocks of dead tokens. */
static never_inline void *allocate_again(scalloc_boehm_heap *h, int sort, unsigned slot, size_t size) {
  void *block = allocate_slow(h, sort, slot, size);
  if (block != NULL || errno != ENOMEM || !boehm_tokens_made() || !GC_thread_is_registered()) return block;
  GC_gcollect();
  return allocate_slow(h, sort, slot, size);
}

static never_inline void *allocate_other(scalloc_boehm_heap *h, int sort, size_t size) {
  size_t rounded;
  unsigned slot = size > SLOT_MAX ? SCALLOC_RT_NO_SLOT : slot_ask(h, sort, size, &rounded);
  if (slot == SCALLOC_RT_NO_SLOT) {
    if (size <= allocated_most()) return allocate_again(h, sort, slot, size); /* else: no slices, no collection for it */
    errno = ENOMEM;
    return NULL;
  }
  const boehm_thread *t = thread_of(h);
  if (t == NULL) return NULL;
  const scalloc_rt_hole *hole = &t->mutator->hole[slot];
  if (hole->lim - hole->cur < rounded) return allocate_again(h, sort, slot, rounded);
  return scalloc_rt_alloc(t->mutator, slot, rounded);
}

void *boehm_allocate(scalloc_boehm_heap *h, int sort, size_t size) {
  if (size == 0) size = 1;
  word_t known = size <= BOEHM_SMALL ? word_load_relaxed(&h->slot[sort][(size + BOEHM_STEP - 1) / BOEHM_STEP]) : 0;
  const boehm_thread *t = mine.last;
  if (unlikely(known == 0 || t == NULL || !is_of(t, h))) return allocate_other(h, sort, size);
  unsigned slot = (unsigned)known - 1;
  size_t rounded = known >> 32;
  const scalloc_rt_hole *hole = &t->mutator->hole[slot];
  if (unlikely(hole->lim - hole->cur < rounded)) return allocate_again(h, sort, slot, rounded);
  return scalloc_rt_alloc(t->mutator, slot, rounded);
}

void *scalloc_boehm_malloc(scalloc_boehm_heap *heap, size_t size) { return boehm_allocate(heap, BOEHM_SCANNED, size); }

void *scalloc_boehm_malloc_atomic(scalloc_boehm_heap *heap, size_t size) { return boehm_allocate(heap, BOEHM_ATOMIC, size); }

void scalloc_boehm_free(scalloc_boehm_heap *heap, void *block) {
  if (block == NULL) return;
  if (unlikely(word_load_relaxed(&heap->linked) != 0)) boehm_unlink_block(heap, block);
  const boehm_thread *t = thread_find(heap);
  scalloc_rt_free(t != NULL ? t->mutator : NULL, block);
}

/* ---- heaps -------------------------------------------------------------------------------------------------------------- */

static volatile word_t forking, inside; /* threads that prepare forks; that call the glue under libgc's lock */

bool boehm_glue_enter(void) {
  word_add_full(&inside, 1);
  if (likely(word_load_relaxed(&forking) == 0)) return true;
  boehm_glue_leave();
  return false;
}

void boehm_glue_leave(void) { word_add_full(&inside, (word_t)-1); }

/* In the usual order libgc's lock is ours by now, and nobody is inside. */
static void at_fork_prepare(void) {
  word_add_full(&forking, 1);
  while (word_load_acquire(&inside) != 0) sched_yield();
  pthread_mutex_lock(&lock);
}

static void at_fork_parent(void) {
  pthread_mutex_unlock(&lock);
  word_add_full(&forking, (word_t)-1);
}

static void at_fork_child(void) {
  for (scalloc_boehm_heap *h = heaps; h != NULL; h = h->next)
    for (boehm_thread *t = h->threads; t != NULL; t = t->after) t->gone = t->owner != &mine;
  word_store_relaxed(&orphans, 1);
  boehm_life_after_fork();
  pthread_mutex_unlock(&lock);
  word_store_relaxed(&inside, 0); /* a thread that is not here any more may have just looked in */
  word_store_relaxed(&forking, 0);
}

/* Before libgc is started, so that at a fork its lock is taken before ours. */
__attribute__((constructor)) static void register_fork(void) { pthread_atfork(at_fork_prepare, at_fork_parent, at_fork_child); }

static void make_key(void) { pthread_key_create(&at_exit, thread_exit); }

static void list_heap(scalloc_boehm_heap *h, bool in) {
  pthread_mutex_lock(&lock);
  if (in) {
    h->next = heaps;
    heaps = h;
  } else {
    scalloc_boehm_heap **link = &heaps;
    while (*link != h) link = &(*link)->next;
    *link = h->next;
    for (boehm_thread *t = h->threads; t != NULL; t = t->after) word_store_relaxed(&t->heap, 0);
  }
  pthread_mutex_unlock(&lock);
}

scalloc_boehm_heap *scalloc_boehm_heap_new(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  boehm_scan_open();
  pthread_once(&once, make_key);
  scalloc_boehm_heap *h = scalloc_calloc(1, sizeof *h);
  if (h == NULL) return NULL;
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .ud = h};
  conf.hooks.span_acquire = span_acquire;
  conf.hooks.span_release = span_release;
  scalloc_rt_kind_conf kind = {.size = sizeof kind, .name = "scanned"};
  kind.flags = SCALLOC_RT_UNCOLLECTABLE | SCALLOC_RT_CONSERVATIVE | SCALLOC_RT_ZERO;
  h->rt = scalloc_rt_heap_create(&conf);
  if (h->rt != NULL) {
    h->kind[BOEHM_SCANNED] = scalloc_rt_kind_new(h->rt, &kind);
    kind.name = "atomic";
    kind.flags = SCALLOC_RT_UNCOLLECTABLE | SCALLOC_RT_NOSCAN;
    h->kind[BOEHM_ATOMIC] = scalloc_rt_kind_new(h->rt, &kind);
    h->references = 1;
    list_heap(h, true);
    return h;
  }
  scalloc_free(h);
  return NULL;
}

void boehm_heap_unref(scalloc_boehm_heap *h) {
  if (word_add_full(&h->references, (word_t)-1) == 1) scalloc_free(h);
}

/* Under libgc's lock nobody marks, and no token frees a block. Not NULL: not now. */
static void *GC_CALLBACK destroy_locked(void *heap) {
  if (!boehm_glue_enter()) return heap;
  scalloc_rt_heap_destroy(heap);
  boehm_glue_leave();
  return NULL;
}

void scalloc_boehm_heap_destroy(scalloc_boehm_heap *heap) {
  if (heap == NULL) return;
  if (word_load_relaxed(&orphans) != 0) end_orphans();
  boehm_life_close(heap);
  list_heap(heap, false);
  while (GC_call_with_alloc_lock(destroy_locked, heap->rt) != NULL) sched_yield();
  boehm_heap_unref(heap);
}
