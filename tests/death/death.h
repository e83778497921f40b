/*
 * death.h - memory faults, each a tiny program in a process of its own, and what each build of the library does about them.
 *
 * A shape does something wrong with a block that it has told by `target`. A build that stops it ends it with SIGABRT and one
 * line, "scalloc: <what> <address>: <why>", where the address is the target.
 */
#ifndef SCALLOC_TESTS_DEATH_H
#define SCALLOC_TESTS_DEATH_H

#include "../test.h"

#define SMALL 100
#define MEDIUM 200000
#define BIG (3 * MB)

typedef struct shape {
  const char *name;
  const char *says; /* for docs/faults.md */
  void (*run)(void);
  const char *what, *why;             /* in the checked build; NULL: no fault, the process must end well in every build */
  const char *plain_what, *plain_why; /* in the plain build; NULL: not stopped there */
} shape;

typedef struct subject {
  const char *name, *title;
  const shape *shapes;
  size_t count;
} subject;

extern const subject double_frees, pointers, sizes, overflows, late_writes, lua_faults, guards;

/* The address that the line must name. */
void target(const void *address);

/* Hides from the compiler that a pointer is invalid. */
void *hidden(const void *pointer);

/* Runs `act` in a thread, to its end. */
void in_thread(void (*act)(void *), void *context);

/* Allocates and frees so much that whatever waits to be reused is. */
void use_memory(size_t size);

#endif
