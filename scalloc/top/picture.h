/*
 * picture.h - what the heap of another process looks like at a moment: every span, and the sums.
 */
#ifndef SCALLOC_PICTURE_H
#define SCALLOC_PICTURE_H

#include <time.h>

#include "classes.h"
#include "target.h"

/* What a span is, in the words of span.h; free ones by whether there may be pages behind them. */
typedef enum {
  PICTURE_HOT,
  PICTURE_FLOATING,
  PICTURE_REUSABLE,
  PICTURE_NURSERY, /* cells of young Lua heaps */
  PICTURE_LARGE,
  PICTURE_LENT,   /* a garbage-collected runtime's: what is live there cannot be told from outside */
  PICTURE_FREE,   /* free, not purged yet */
  PICTURE_PURGED, /* free, purged or never touched */
  PICTURE_KINDS
} picture_kind;

extern const char *const picture_names[PICTURE_KINDS];

typedef struct {
  size_t spans;  /* of 2 MB */
  size_t blocks; /* live ones */
  size_t room;   /* blocks that the real spans have room for */
  size_t live, committed;
  size_t resident; /* SIZE_MAX: not known */
} picture_sum;

typedef struct {
  uint32_t index;
  unsigned class_index; /* of HOT, FLOATING, REUSABLE */
  picture_kind kind;
  picture_sum sum; /* of this one; `spans` above 1: a run */
} picture_span;

typedef struct {
  picture_sum sum;
  size_t by_kind[PICTURE_REUSABLE + 1]; /* spans */
} picture_class;

typedef struct {
  picture_span *spans; /* in the order of their addresses */
  size_t count, room;
  picture_class classes[CLASSES]; /* class_size(i) bytes each */
  picture_sum kinds[PICTURE_KINDS];
  picture_sum all;
  time_t time;      /* when it was taken */
  bool at_end;      /* by scalloc-run --heap-map, when the program ended */
  const char *file; /* that it was kept in; NULL: it is of the process itself */
} picture;

/*
 * Draws it anew, into what is there from before; zero at first. TARGET_FOUND, or the process is gone. Ends this one without
 * memory.
 */
target_result picture_take(picture *p, target *t);
void picture_free(picture *p);

/* Adds a span that lies behind those that are there, and counts it. Ends this program without memory. */
void picture_keep(picture *p, const picture_span *one);

/* live of committed, in percent. */
double picture_occupancy(const picture_sum *sum);

#endif
