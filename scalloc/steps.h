/*
 * steps.h - what a thread has to do after it made a span reusable or free, which the state word lets exactly one thread do.
 */
#ifndef SCALLOC_STEPS_H
#define SCALLOC_STEPS_H

#include "heap.h"

/* `made` is the word that the step left. `user`: the heap of the calling thread, or NULL. */
void steps_follow(heap *user, span *s, span_step step, word_t made);

/* Is the span still in the state that the word `made` gave it? */
always_inline bool same_life(const span *s, word_t made) {
  return word_generation(word_load_acquire(&s->word)) == word_generation(made);
}

#endif
