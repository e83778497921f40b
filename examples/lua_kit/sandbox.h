/*
 * sandbox.h - runs a script that nobody trusts: in a state of its own, with little memory, little time, and only those functions
 * of the libraries that respect both.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stddef.h>

typedef struct {
  size_t memory;     /* bytes the script may use, libraries included */
  size_t block;      /* bytes of its largest string or table part */
  long instructions; /* of the virtual machine, and units of work in library functions */
  double seconds;    /* of this thread's CPU */
} sandbox_limits;

typedef enum { SANDBOX_DONE, SANDBOX_ERROR, SANDBOX_NO_MEMORY, SANDBOX_NO_TIME } sandbox_end;

typedef struct {
  sandbox_end end;
  char text[200]; /* what the script returned or complained of; cut off */
  size_t peak;    /* bytes */
  long instructions;
  double seconds;
} sandbox_result;

/*
 * Runs the script to its end; leaves nothing behind. No script that we know of takes much more than its limits; those that were
 * tried are in sandbox_main.c. What a library function may take at the worst counts before it begins: patterns with repetitions are
 * for short strings here, and refused on long ones even if they would have been quick.
 */
sandbox_result sandbox_run(const char *script, size_t length, const sandbox_limits *limits);

#endif
