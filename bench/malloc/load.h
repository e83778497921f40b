/* load.h: the frame of the programs of malloc-load.
 *
 * A program is a load on malloc and free with its own options. Threads wait for each other, then each does `work`; the clock runs
 * from there until the last has ended. What a program learns beyond its time it adds to the report. Everything is plain malloc
 * and free: the allocator under test is whichever the process has.
 */
#ifndef LOAD_H
#define LOAD_H

#include "../program.h"

#include <stddef.h>
#include <stdlib.h>

/* Threads share no line of the cache, nor a pair of lines that are fetched together: that would be the load's, not malloc's. */
enum { LOAD_APART = 128 };

typedef struct {
  _Alignas(LOAD_APART) unsigned index; /* of the thread, from 0 */
  uint64_t random;                     /* its own sequence, for program_random */
  uint64_t operations;                 /* work adds what it did: blocks allocated */
  void *own;                           /* the program's */
} load_thread;

typedef struct {
  const char *name, *what;
  const program_option *options;   /* besides --threads; ends with a NULL name */
  void (*begin)(unsigned threads); /* before the clock starts; may be NULL */
  void (*work)(load_thread *thread);
  void (*end)(unsigned threads); /* after the clock has stopped, within the report; may be NULL */
} load_program;

extern const load_program load_programs[]; /* ends with a NULL name */

/* As many as the running program was given. */
extern unsigned load_threads;

/* A block of memory, never NULL, whose first bytes are written: an allocator may not hand out what it cannot back. */
void *load_allocate(size_t size);

/* A number from least to most; the second favours small ones: every power of two is as likely. */
size_t load_between(uint64_t *random, size_t least, size_t most);
size_t load_skewed(uint64_t *random, size_t least, size_t most);

/* Runs f(argument of size `stride` by index) on n new threads and waits for them. */
void load_fork_join(unsigned n, void *(*f)(void *), void *arguments, size_t stride);

/* Bytes resident and of page tables now, from /proc. */
uint64_t load_resident(void);
uint64_t load_page_tables(void);

#endif
