/*
 * oracle.h - a second opinion on what is allocated: the test's own table of every block that a heap of the glue handed out,
 * kept by the rules of runtime_glue.h alone. What the heap says and does is held against it.
 *
 *   shadow.c   the tables: spans by address, blocks in them, their lives
 *   hooks.c    the hooks of the heaps; each checks that it is called for what it says, once, and in the right order
 *   ops.c      the random operations, and what each must answer
 *   audit.c    the whole heap against the tables: walks, statistics, holes, contents
 *   oracle.c   rounds, seeds, the search for a fault that was put in
 */
#ifndef SCALLOC_TESTS_ORACLE_H
#define SCALLOC_TESTS_ORACLE_H

#include "../test.h"
#include <scalloc/runtime_glue.h>

enum { WORLDS = 2, MUTATORS = 4, SLOTS = 14, STALE = 512, MOST_LIVE = 1 << 16, BATCH = 400 };

/* GONE: no block there, or not one that anybody may still hear of. DOOMED: found dead by a cycle, not told or reused yet. */
typedef enum { GONE, LIVE, DOOMED, FREED } life;
typedef enum { UNKNOWN, NO, YES } verdict;

typedef struct {
  unsigned char life, marked; /* in the running cycle */
  unsigned char last;         /* a verdict: marked in the last complete one? */
  unsigned char asked;        /* its disclaim hook said that it may go */
  uint32_t place;             /* of a live one, in world.live */
} block_model;

typedef struct world world;

typedef struct {
  world *of;
  scalloc_rt_span number;
  scalloc_rt_span_info info;
  bool deferred;
  uint32_t live;
  uintptr_t cookie;
  block_model *block;
  unsigned seen, state, blocks_seen; /* by the audit under way */
} span_model;

typedef struct {
  span_model *span;
  uint32_t i;
} block_at;

typedef struct {
  scalloc_rt_mutator *handle; /* NULL: detached */
  size_t since;               /* bytes handed out since the last call of the pressure hook */
  scalloc_rt_span fresh;      /* the large block it got last, if there was no slow path or retire since; 0: none */
  bool old[SLOTS];            /* this slot's hole is from before the running cycle */
} mutator_model;

/* One call of alloc or alloc_many under way: what it wrote so far is allocated, and a root for the pressure hook. */
typedef struct {
  mutator_model *by; /* NULL: none */
  unsigned slot;
  void **out;
  size_t n, done;
  uintptr_t old_cur, old_lim; /* the hole at the call, if from before the cycle; else empty */
  uintptr_t lim;              /* of the hole at the call */
  int64_t budget;             /* at the call, or after the last call of the pressure hook within */
  size_t wanted;              /* a large block of so many bytes */
  bool refused;               /* the pressure hook was asked because of a limit or for lack of memory */
} call_model;

typedef struct {
  int kind;
  unsigned flags, number;
  size_t rounded;
} slot_model;

struct world {
  scalloc_rt_heap *heap;
  scalloc_rt_heap_conf conf;
  rng random;
  slot_model slot[SLOTS];
  mutator_model mutator[MUTATORS];
  call_model call;
  block_at *live;
  size_t lives;
  uintptr_t stale[STALE]; /* addresses that were blocks once */
  size_t stales;
  /* the cycle */
  bool running;
  unsigned mercy;       /* percent of blocks, or of spans, that are meant to live */
  bool mercy_for_spans; /* the coin is thrown per span */
  uint64_t cycle_seed;
  /* how this world is made */
  unsigned percent_put_off, percent_refused;
  /* what the hooks saw */
  bool destroying, in_pressure;
  uintptr_t committed_start; /* commit was called, span_acquire not yet */
  size_t committed_bytes, committed, cycles, released;
  unsigned audits;
};

/* ---- shadow.c ---- */

extern const unsigned kind_flags[];
extern const unsigned kinds;

bool tells(const world *w);                     /* does span_swept hear of every death? */
bool asks(const world *w, const span_model *s); /* does disclaim? */
bool is_collectable(const span_model *s);

span_model *span_by_address(uintptr_t address); /* of either world, put off or not; NULL: none */
span_model *span_by_number(const world *w, scalloc_rt_span number);
void each_span_model(world *w, void (*visit)(world *w, span_model *s)); /* which may end it */
span_model *span_new(world *w, scalloc_rt_span number, const scalloc_rt_span_info *info);
void span_end(span_model *s);

void *address_of(const span_model *s, uint32_t i);
size_t size_of(const span_model *s);

/* What resolve must say. */
bool expected(const world *w, uintptr_t address, bool interior, block_at *out);

void block_born(world *w, uintptr_t address, int kind, size_t size, bool marked);
void block_died(world *w, span_model *s, uint32_t i, life how); /* LIVE -> how */
void block_kept(span_model *s, uint32_t i);                     /* DOOMED -> LIVE: its disclaim hook wants it */

/* What was handed out so far by the call under way. */
void call_absorb(world *w);

/* ---- hooks.c ---- */

void hooks_set(world *w);

/* ---- ops.c ---- */

void op_random(world *w);
void op_attach(world *w, mutator_model *m);
void op_collect(world *w); /* a whole cycle, or the rest of the running one */
void op_release_put_off(world *w);
void op_end_all(world *w); /* frees by hand what no cycle frees, and lets the rest die; no mutator is attached */
void op_allocate(world *w, mutator_model *m, bool small);
void op_sweep(world *w, size_t most);
void op_retire(world *w, mutator_model *m);
void op_detach(world *w, mutator_model *m);

/* ---- audit.c ---- */

void audit(world *w);
void audit_hole(const world *w, const mutator_model *m, unsigned slot);
size_t audit_spans_in(const world *w, unsigned states); /* how many each_span visits */
unsigned audit_state(const world *w, const span_model *s);

#endif
