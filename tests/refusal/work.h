/*
 * work.h - one life of a program: every way to get, resize and give back memory, in several heaps, two threads, a Lua state and
 * the child of a fork, on an operating system that may refuse at any moment.
 *
 * Whatever comes is filled with a pattern and held to it; NULL is right only with ENOMEM and where work_terms excuses it.
 */
#ifndef SCALLOC_TESTS_WORK_H
#define SCALLOC_TESTS_WORK_H

#include "../test.h"

/* Set before the work; all may stay NULL. */
typedef struct work_terms {
  void (*before)(void);  /* called before every operation that may be refused */
  bool (*excused)(void); /* is NULL, or a Lua state without memory, right? NULL: never */
  void (*lua)(void);     /* the life of a Lua state, where there is Lua (work_lua) */
  size_t largest;        /* bytes of the largest block that is asked for */
  size_t heaps;          /* first-class heaps that are made, up to 480 */
  bool in_turns;         /* no two threads at once, so that all is the same in every run */
} work_terms;

extern work_terms work;

/* True if something came; NULL must be excused. For operations between work_begin and this. */
void work_begin(void);
bool work_came(const void *result);

/* The whole life; nothing is live at its end. Returns how many operations got nothing. */
size_t work_all(void);

/* A Lua state made, used and closed; for work_terms.lua. Links with Lua. */
void work_lua(void);

#endif
