/* own.h - what the programs of this folder share that run on the replacement alone. */
#ifndef SCALLOC_TESTS_PRELOAD_OWN_H
#define SCALLOC_TESTS_PRELOAD_OWN_H

#include "../test.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

/* The arena lies where nothing else of a process does. */
static inline bool is_ours(const void *block) {
  uintptr_t at = (uintptr_t)block;
  return at >= (uintptr_t)1 << 45 && at < (uintptr_t)80 << 40;
}

/* This test means nothing on another malloc. */
static inline void on_scalloc(void) {
  void *block = malloc(100);
  CHECK(is_ours(block));
  free(block);
}

/* The exit status of a child that did nothing but `act`; a signal is -1. */
static inline int status_of(void (*act)(void)) {
  int status = -1;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    act();
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
