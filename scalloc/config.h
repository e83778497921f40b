/* config.h - the constants of the design, each derived or held by an assertion beside it. */
#ifndef SCALLOC_CONFIG_H
#define SCALLOC_CONFIG_H

#include "platform.h"

/* Builds of the benchmark that each leave out one idea, to show what it gives (bench/README.md): values of SCALLOC_ABLATION. */
enum {
  ABLATE_STACKS = 1, /* the pool has one stack, not p */
  ABLATE_GROWTH,     /* a real span is the whole virtual span from the start */
  ABLATE_EIGHTS,     /* no classes of 8, 24, 40, 56 bytes */
  ABLATE_RETURN,     /* a span that a free empties is returned to the pool by a later malloc only */
  ABLATE_YOUNG,      /* Lua states do not begin in cells */
};
#define ABLATED(idea) (SCALLOC_ABLATION == ABLATE_##idea)

enum {
  SPAN_SHIFT = 21,                        /* a virtual span is 2 MB */
  SLOT_SHIFT = 7,                         /* its slot in the span table: two cache lines */
  GRANULE_SHIFT = 3,                      /* offsets in the state word count 8-byte granules */
  PAGE = 4096,                            /* unit of colouring and of linking fresh blocks; the OS page may be larger */
  REAL_SPAN_MIN = 1 << 16,                /* a real span starts with 64 KB and doubles as its class grows */
  REAL_SPAN_MIN_BLOCKS = 32,              /* ... but with room for at least so many blocks */
  POOL_STACKS = ABLATED(STACKS) ? 1 : 64, /* upper bound of p, the stacks of one pool slot: one summary word */
  /* The arena is opened 1 GB at a time; for tools that look at all that is open, 32 MB; ... */
  OPEN_STEP_SPANS = TRACK_ASAN || TRACK_VALGRIND ? 16 : 512,
  OPEN_STEP_SPANS_SMALL = TRACK_ASAN || TRACK_VALGRIND ? 16 : 32, /* ... 64 MB where the OS refuses that */
};

#define GRANULE ((size_t)1 << GRANULE_SHIFT)
#define SPAN_BYTES ((size_t)1 << SPAN_SHIFT)
#define SLOT_BYTES ((size_t)1 << SLOT_SHIFT)
#define LARGE_MIN ((size_t)1 << 20)     /* blocks above this are runs of spans */
#define GROWING_MIN ((size_t)1 << 17)   /* blocks that grow past this move to a run at once, where they can grow on */
#define GROWING_ARENA ((size_t)1 << 36) /* ... in arenas of at least this size: it costs address space */
#define ARENA_BYTES_MAX ((size_t)1 << (TRACKED ? 42 : 45)) /* tracked builds have side zones of half as much */
#define ARENA_BYTES_MIN ((size_t)1 << 26)
#define ARENA_BYTES_TSAN ((size_t)1 << 38)
#define ARENA_BYTES_VALGRIND ((size_t)1 << 36)

/* Tracked builds only. */
enum {
  TRACK_TAIL = 8,              /* bytes behind every block, at least, that nobody may write */
  GUARD_SAMPLE_DEFAULT = 1000, /* one in so many blocks ends at a closed page */
  QUARANTINE_MAX = 256,        /* freed blocks that a heap holds back, at most ... */
  QUARANTINE_DEFAULT = 64,     /* ... and unless told otherwise; */
  QUARANTINE_BLOCK = 1 << 16,  /* none above this size, */
  QUARANTINE_BYTES = 1 << 20,  /* and no more than this together */
};

#define REUSE_THRESHOLD_DEFAULT 25 /* percent of a span's blocks that must be free before it is reused; docs/decisions.md */
#define PURGE_DELAY_MS_DEFAULT 500
#define SPAN_WORTH_A_PURGE (1 << 16) /* carved bytes from which a hot span is given up once it is empty, if a thread purges */

_Static_assert((ARENA_BYTES_MAX >> SPAN_SHIFT) <= (size_t)1 << 24, "a span index has 24 bits");
_Static_assert(LARGE_MIN * 2 <= SPAN_BYTES, "every class has at least two blocks in a span");

#endif
