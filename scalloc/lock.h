/*
 * lock.h - a spin lock for critical sections of a few instructions that neither call the OS nor take another lock, except
 * where a lock order is written beside it. Yields the processor to a holder that was preempted.
 */
#ifndef SCALLOC_LOCK_H
#define SCALLOC_LOCK_H

#include "atomics.h"
#include "os.h"

typedef volatile word_t spin_lock;

always_inline void lock_take(spin_lock *lock) {
  for (unsigned spins = 1; word_load_relaxed(lock) != 0 || !word_cas_full(lock, 0, 1); spins++) {
    if (spins % 64 == 0)
      os_yield();
    else
      cpu_relax();
  }
}

always_inline void lock_give(spin_lock *lock) { word_store_release(lock, 0); }

#endif
