/*
 * gcheap.c - making and ending heaps; kinds and slots; spans taken from the core and given back.
 *
 * Heap structures are used again, never given back, so an owner word may be followed.
 */
#include "gcheap.h"

#include <errno.h>
#include <string.h>

#include "mutator.h"
#include "quiet.h"
#include "view.h"

arena_state arena;

static spin_lock heaps_lock;
static gcheap *heaps;
static volatile word_t unused; /* heaps, by `next` */
static uint32_t heaps_made;
static volatile word_t ready;

static void *refuse(int error) {
  errno = error;
  return NULL;
}

gcheap *gcheap_first(void) { return heaps; }

void gcheap_each(void (*visit)(gcheap *h)) {
  for (gcheap *h = heaps; h; h = h->next) visit(h);
}

void gcheap_after_fork(void) {
  lock_give(&heaps_lock);
  bits_after_fork();
}

/* The first heap: the arena, the tables beside it, what the core wants to know of lent spans, forks. */
static bool begin(void) {
  if (!arena_init()) return false;
  if (word_load_acquire(&ready)) return true;
  lock_take(&heaps_lock);
  if (arena.base == 0) arena = lend_register(&view_borrower);
  lock_give(&heaps_lock);
  if (!bits_init() || !quiet_init()) return false;
  word_store_release(&ready, 1);
  return true;
}

/* A zeroed heap structure. */
static gcheap *make(void) {
  gcheap *h;
  lock_take(&heaps_lock);
  do h = (gcheap *)word_load_acquire(&unused);
  while (h && !word_cas_full(&unused, (word_t)h, (word_t)h->next)); /* others only put */
  lock_give(&heaps_lock);
  if (h == NULL) return bits_structure((sizeof *h + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
  memset(h->slot, 0, h->slots * sizeof h->slot[0]); /* what was not used is zero */
  memset(&h->slot[GC_LARGE_SLOT], 0, 2 * sizeof h->slot[0]);
  memset(h, 0, offsetof(gcheap, slot));
  return h;
}

void gcheap_lock_list(gcheap *h) {
  for (;;) {
    lock_take(&h->lock);
    if (word_load_acquire(&h->turning) == 0) return;
    lock_give(&h->lock);
    os_yield();
  }
}

scalloc_rt_heap *scalloc_rt_heap_create(const scalloc_rt_heap_conf *conf) {
  scalloc_rt_heap_conf c = {.size = sizeof c};
  if (conf && conf->size != sizeof c) return refuse(EINVAL);
  if (conf) c = *conf;
  quiet_enter(NULL);
  gcheap *h = begin() ? make() : NULL;
  if (h == NULL) return quiet_leave(NULL), refuse(ENOMEM);
  h->hooks = c.hooks;
  h->ud = c.ud;
  h->limit = c.limit;
  h->eager = c.hooks.span_swept != NULL;
  h->last = h->number = 1;
  lock_take(&heaps_lock);
  h->id = ++heaps_made;
  h->next = heaps;
  heaps = h;
  lock_give(&heaps_lock);
  quiet_leave(NULL);
  return h;
}

/* ---- kinds and slots -------------------------------------------------------------------------------------------------- */

int scalloc_rt_kind_new(scalloc_rt_heap *h, const scalloc_rt_kind_conf *conf) {
  scalloc_rt_kind_conf c = {.size = sizeof c};
  bool sound = conf == NULL || conf->size == sizeof c;
  if (conf && sound) c = *conf;
  if (c.align == 0) c.align = 16;
  if (!sound || (c.align & (c.align - 1)) != 0 || c.align > PAGE || c.flags > 127) return refuse(EINVAL), -1;
  quiet_enter(NULL);
  lock_take(&h->lock);
  unsigned n = h->kinds;
  if (n < SCALLOC_RT_KINDS) {
    h->kind[n] = (gckind){.flags = c.flags, .align = (uint32_t)c.align, .layout = c.layout, .name = c.name};
    if (c.flags & SCALLOC_RT_DISCLAIM) h->eager = true;
    half_store_release(&h->kinds, n + 1);
  }
  lock_give(&h->lock);
  quiet_leave(NULL);
  return n < SCALLOC_RT_KINDS ? (int)n : (refuse(ENOMEM), -1);
}

static bool is_kind(const gcheap *h, int kind) { return kind >= 0 && (unsigned)kind < half_load_acquire(&h->kinds); }

unsigned scalloc_rt_kind_flags(const scalloc_rt_heap *h, int kind) { return is_kind(h, kind) ? h->kind[kind].flags : 0; }

const uint64_t *scalloc_rt_kind_layout(const scalloc_rt_heap *h, int kind) {
  return is_kind(h, kind) ? h->kind[kind].layout : NULL;
}

/* How many blocks of a class a real span has; a colour (classes.h) leaves room. */
static uint32_t blocks_of_class(unsigned c) {
  size_t size = class_size(c), most = GC_SPAN_MOST / size, room = (SPAN_BYTES - REAL_SPAN_MIN) / size;
  if (most > GC_BLOCKS) most = GC_BLOCKS;
  if (most < GC_BLOCKS_LEAST) most = GC_BLOCKS_LEAST;
  if (room < 2) room = 2;
  return (uint32_t)(most < room ? most : room);
}

static void define_slot(gcslot *slot, unsigned c, int kind) {
  uint64_t granules = class_size(c) >> GRANULE_SHIFT;
  slot->block = (uint32_t)class_size(c);
  slot->blocks = (uint16_t)blocks_of_class(c);
  slot->class_index = (uint8_t)c;
  slot->kind = (uint8_t)kind;
  slot->reciprocal = (((uint64_t)1 << RECIPROCAL_SHIFT) + granules - 1) / granules;
}

/* The slot of a class, + 1, made if need be; 0: there are too many. */
static unsigned slot_of_class(gcheap *h, int kind, unsigned c) {
  volatile unsigned *of = &h->kind[kind].slot_of_class[c];
  unsigned n = half_load_acquire(of);
  if (n != 0) return n;
  quiet_enter(NULL);
  lock_take(&h->lock);
  n = half_load_acquire(of);
  if (n == 0 && h->slots < SCALLOC_RT_SLOTS) {
    n = h->slots + 1;
    define_slot(&h->slot[n - 1], c, kind);
    half_store_release(&h->slots, n);
    half_store_release(of, n);
  }
  lock_give(&h->lock);
  quiet_leave(NULL);
  return n;
}

unsigned scalloc_rt_slot(scalloc_rt_heap *h, int kind, size_t size, size_t *rounded) {
  if (!is_kind(h, kind) || size > LARGE_MIN) return refuse(EINVAL), SCALLOC_RT_NO_SLOT;
  size_t align = h->kind[kind].align, bytes = size == 0 ? align : (size + align - 1) & ~(align - 1);
  /* Blocks lie at multiples of the power of two in their size, and the class of a multiple of one is a multiple again. */
  unsigned c = align >= 16 ? class_of_malloc(bytes) : class_of(bytes), n = slot_of_class(h, kind, c);
  if (n == 0) return refuse(ENOMEM), SCALLOC_RT_NO_SLOT;
  if (rounded) *rounded = class_size(c);
  return n - 1;
}

/* ---- spans -------------------------------------------------------------------------------------------------------------- */

void gcheap_info(const gcheap *h, const span *s, scalloc_rt_span_info *info) {
  *info = (scalloc_rt_span_info){.start = block_at(s, 0),
                                 .block_size = is_large(s) ? s->large_bytes : s->block,
                                 .blocks = const_record_of(s)->blocks,
                                 .kind = kind_in(h, s),
                                 .large = is_large(s)};
}

static size_t bytes_of(const span *s) { return is_large(s) ? s->large_bytes : (size_t)s->block * const_record_of(s)->blocks; }

static size_t whole_pages(size_t bytes) { return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1); }

/* Counts memory against the heap's limit. */
static bool charge(gcheap *h, size_t bytes) {
  word_t before;
  do {
    before = word_load_relaxed(&h->bytes);
    if (h->limit != 0 && (before > h->limit || bytes > h->limit - before)) return false; /* nobody else is refused for it */
  } while (!word_cas_full(&h->bytes, before, before + bytes));
  return true;
}

static void clear_bits(span *s) {
  uint32_t words = (record_of(s)->blocks + 63u) / 64;
  for (uint32_t w = 0; w < words; w++) {
    word_store_relaxed(&allocs_of(s)[w], 0);
    word_store_relaxed(&freeds_of(s)[w], 0);
  }
}

/* Back to the core, without asking anybody. */
static void give_back(span *s, bool committed) {
  gcheap *h = gcheap_of(s);
  size_t bytes = bytes_of(s);
  if (committed && h->hooks.decommit) {
    span *before = gcspan_show(s);
    h->hooks.decommit(h->ud, block_at(s, 0), whole_pages(bytes));
    gcspan_hide(s, before);
  }
  word_add_full(&h->bytes, (word_t)0 - bytes);
  word_add_full(&gcslot_of(s)->spans, (word_t)0 - 1);
  half_store_relaxed(marked_in(s), GC_ALWAYS); /* its next owner counts cycles from 1 as well */
  lend_return(s, h->id);
}

/* Tells the hooks of a new span. NULL: commit refused. */
static span *announce(gcheap *h, span *s) {
  scalloc_rt_span_info info;
  span *before = gcspan_show(s);
  bool refused = h->hooks.commit && h->hooks.commit(h->ud, block_at(s, 0), whole_pages(bytes_of(s))) != 0;
  gcheap_info(h, s, &info);
  if (!refused && h->hooks.span_acquire) h->hooks.span_acquire(h->ud, span_index(s), &info);
  gcspan_hide(s, before);
  if (refused) give_back(s, false);
  return refused ? NULL : s;
}

/* Its record and bits, for the caller, who alone knows of it. */
static void begin_life(gcheap *h, span *s, unsigned slot, uint32_t blocks, uint32_t first, unsigned flags) {
  gc_record *r = record_of(s);
  scalloc_rt_marks *marking = marking_of(s);
  r->slot = (uint16_t)slot;
  r->blocks = (uint16_t)blocks;
  half_store_relaxed(&r->first, first);
  marking->cookie = 0;
  marking->first = first;
  marking->reciprocal = h->slot[slot].reciprocal;
  half_store_relaxed(marked_in(s), GC_ALWAYS);
  clear_bits(s); /* until `swept` is set, nothing is allocated here */
  half_store_release(&r->swept, flags & SCALLOC_RT_UNCOLLECTABLE ? GC_ALWAYS : half_load_acquire(&h->last));
}

/* The first spans of a slot are small, so that a slot with few blocks takes little of a limit; the later ones large, since each
   span costs a page table whatever it holds. */
static uint32_t blocks_of_next(const gcslot *slot) {
  word_t spans = word_load_relaxed(&slot->spans);
  uint32_t blocks = slot->blocks >> (spans < GC_SMALL_SPANS ? 2 : spans < (word_t)2 * GC_SMALL_SPANS ? 1 : 0);
  uint32_t least = slot->blocks < GC_BLOCKS_LEAST ? slot->blocks : GC_BLOCKS_LEAST;
  return blocks > least ? blocks : least;
}

span *gcheap_acquire(gcheap *h, unsigned slot, enum scalloc_rt_why *why) {
  gcslot *of = &h->slot[slot];
  uint32_t blocks = blocks_of_next(of);
  size_t bytes = (size_t)of->block * blocks;
  *why = SCALLOC_RT_LIMIT;
  if (!charge(h, bytes)) return NULL;
  *why = SCALLOC_RT_NO_MEMORY;
  span *s = lend_span(h->id, bytes, (word_t)h);
  if (s == NULL || !bits_open(span_index(s))) {
    if (s) lend_return(s, h->id);
    word_add_full(&h->bytes, (word_t)0 - bytes);
    return NULL;
  }
  s->block = of->block;
  word_add_full(&of->spans, 1);
  begin_life(h, s, slot, blocks, (uint32_t)class_first_offset(of->class_index, span_index(s)), h->kind[of->kind].flags);
  return announce(h, s);
}

static unsigned large_slot(const gcheap *h, int kind) {
  return GC_LARGE_SLOT + (h->kind[kind].flags & SCALLOC_RT_UNCOLLECTABLE ? 1u : 0u);
}

span *gcheap_acquire_run(gcheap *h, int kind, size_t size, enum scalloc_rt_why *why) {
  bool zeroed, zero = h->kind[kind].flags & SCALLOC_RT_ZERO;
  size_t bytes = whole_pages(size);
  *why = SCALLOC_RT_LIMIT;
  if (size > PTRDIFF_MAX || !charge(h, bytes)) return NULL;
  *why = SCALLOC_RT_NO_MEMORY;
  span *s = lend_run(bytes, PAGE, (word_t)h, &zeroed);
  if (s == NULL || !bits_open(span_index(s) + s->run - 1) || !bits_open(span_index(s))) {
    if (s) lend_return(s, h->id);
    word_add_full(&h->bytes, (word_t)0 - bytes);
    return NULL;
  }
  word_add_full(&h->slot[large_slot(h, kind)].spans, 1);
  begin_life(h, s, large_slot(h, kind), 1, 0, h->kind[kind].flags);
  s->limit = (uint32_t)kind;
  if ((s = announce(h, s)) != NULL && zero && !zeroed) memset(span_start(s), 0, bytes);
  return s;
}

/* Nothing lives in it, whatever the hook has to say yet. */
static void put_off(span *s) {
  clear_bits(s);
  half_store_relaxed(&record_of(s)->used, 0);
  list_put(s, GC_PUT_OFF);
  gcspan_let_go(s, GC_DEFERRED, word_count(word_load_acquire(&s->word)));
}

void gcheap_release(span *s, enum scalloc_rt_why why) {
  gcheap *h = gcheap_of(s);
  scalloc_rt_span_info info;
  bool now = true;
  if (h->hooks.span_release) {
    span *before = gcspan_show(s);
    gcheap_info(h, s, &info);
    now = h->hooks.span_release(h->ud, span_index(s), &info, why);
    gcspan_hide(s, before);
  }
  if (now || why == SCALLOC_RT_DESTROY)
    gcheap_release_now(s);
  else
    put_off(s);
}

void gcheap_release_now(span *s) {
  word_add_full(&gcheap_of(s)->released, 1);
  give_back(s, true);
}

/* Holds a span that was put off. False: the hook told of it before it returned, and has still to return. */
static bool hold_put_off(span *s) {
  word_t w = s ? word_load_acquire(&s->word) : 0;
  if (s == NULL || word_state(w) != SPAN_LENT || (!is_held(w) && stage_of(w) != GC_DEFERRED))
    os_panic("invalid span", s ? span_start(s) : NULL, "its release was not put off");
  return !is_held(w) && word_cas_full(&s->word, w, word_with_stage(w, GC_DEFERRED, true));
}

/* A hook is not waited for within a region: it may fork. */
void scalloc_rt_span_release(scalloc_rt_span number) {
  span *s = number > 0 && number < word_load_acquire(&bits.reach) ? span_at(number) : NULL;
  for (quiet_enter(NULL); !hold_put_off(s); quiet_enter(NULL)) {
    quiet_leave(NULL);
    os_yield();
  }
  list_drop(s);
  gcheap_release_now(s);
  quiet_leave(NULL);
}

/* ---- the end of a heap ---------------------------------------------------------------------------------------------------- */

static void end_spans(gcslot *slot) {
  for (unsigned which = 0; which < GC_LISTS; which++)
    for (span *s; (s = list_take(slot, which)) != NULL;) gcheap_release(s, SCALLOC_RT_DESTROY);
}

static void unlink_heap(gcheap *h) {
  lock_take(&heaps_lock);
  for (gcheap **at = &heaps; *at; at = &(*at)->next)
    if (*at == h) {
      *at = h->next;
      break;
    }
  lock_give(&heaps_lock);
}

/* In no region: nothing is held meanwhile. */
static void free_structure(gcheap *h) {
  word_t first;
  do h->next = (gcheap *)(first = word_load_relaxed(&unused));
  while (!word_cas_full(&unused, first, (word_t)h));
}

void scalloc_rt_heap_destroy(scalloc_rt_heap *h) {
  gcmutator *ended = NULL;
  if (h == NULL) return;
  quiet_enter(NULL);
  for (gcmutator *m; (m = h->mutators) != NULL; ended = m) {
    mutator_end(m);
    m->next = ended;
  }
  for (unsigned i = 0; i < half_load_acquire(&h->slots); i++) end_spans(&h->slot[i]);
  end_spans(&h->slot[GC_LARGE_SLOT]);
  end_spans(&h->slot[GC_LARGE_SLOT + 1]);
  unlink_heap(h);
  quiet_leave(NULL); /* perhaps a stop that was put off for one of its mutators */
  for (gcmutator *m = ended; m != NULL; m = ended) {
    ended = m->next;
    mutator_free(m);
  }
  free_structure(h);
}
