/*
 * target.h - another process, looked at from outside: its memory by process_vm_readv, what the system knows of it by /proc. It is
 * not stopped and does not notice, so everything read is a value of some moment.
 */
#ifndef SCALLOC_TARGET_H
#define SCALLOC_TARGET_H

#include <sys/types.h>

#include "signpost.h"

typedef enum {
  TARGET_FOUND,
  TARGET_MISSING,   /* there is no such process, or no longer */
  TARGET_FORBIDDEN, /* it may not be read: of another user, or protected */
  TARGET_ELSEWHERE, /* it does not run on scalloc, or has not allocated yet */
  TARGET_OTHER,     /* its scalloc is another version, with other structures */
} target_result;

typedef struct {
  pid_t pid;
  int pagemap;        /* file descriptor, -1: not to be had */
  char name[64];      /* as in ps: the program and its arguments, as far as there is room; clean */
  uintptr_t at;       /* of the arena_state */
  size_t limit;       /* SCALLOC_LIMIT_BYTES */
  bool tracked;       /* a checked build */
  arena_state arena;  /* as last read */
  size_t page;        /* bytes of a page */
  size_t rss;         /* bytes, of the process as a whole; 0: not known */
  size_t rss_peak;    /* the most it was */
  size_t page_tables; /* bytes */
} target;

/* Looks for the arena of a process. What it opens, target_close closes, whatever the result. */
target_result target_open(target *t, pid_t pid);
void target_close(target *t);

/* Makes the name text: UTF-8, with a ? for what is none and a space for each control character, which a terminal would obey. */
void target_clean_name(target *t);

/* Reads arena and the figures of the system anew. TARGET_FOUND, or that it is gone. */
target_result target_refresh(target *t);

/* Reads memory. False if not all of it could be had. */
bool target_read(const target *t, uintptr_t address, void *to, size_t bytes);

/* Bytes of a range that are in memory; SIZE_MAX: not to be told. */
size_t target_resident(const target *t, uintptr_t address, size_t bytes);

#endif
