/*
 * stack.h - a lock-free stack of indices (R. K. Treiber, 1986) in one 64-bit word: 32-bit index of the top, 32-bit tag.
 *
 * Links live in memory that is never unmapped, so a popper may read the link of a node that has just been taken by another;
 * its CAS then fails on the tag, which every push and pop advances. Nothing is dereferenced but the link.
 */
#ifndef SCALLOC_STACK_H
#define SCALLOC_STACK_H

#include "atomics.h"

typedef volatile word_t stack;                            /* 0 = empty, tag 0 */
typedef volatile unsigned *(*stack_link)(uint32_t index); /* where a node keeps the index below it */

always_inline uint32_t stack_top(word_t head) { return (uint32_t)head; }
always_inline word_t stack_head(word_t before, uint32_t top) { return ((before >> 32) + 1) << 32 | top; }

/* Pushes a chain that is linked from first to last. */
always_inline void stack_push_chain(stack *s, stack_link link, uint32_t first, uint32_t last) {
  word_t head;
  do {
    head = word_load_acquire(s);
    half_store_relaxed(link(last), stack_top(head));
  } while (!word_cas_full(s, head, stack_head(head, first)));
}

always_inline void stack_push(stack *s, stack_link link, uint32_t index) { stack_push_chain(s, link, index, index); }

/* The top, or 0 if the stack is empty. */
always_inline uint32_t stack_pop(stack *s, stack_link link) {
  for (;;) {
    word_t head = word_load_acquire(s);
    uint32_t top = stack_top(head);
    if (top == 0) return 0;
    if (word_cas_full(s, head, stack_head(head, half_load_relaxed(link(top))))) return top;
  }
}

/* Everything: the former top, whose links lead to the rest. */
always_inline uint32_t stack_pop_all(stack *s) {
  for (;;) {
    word_t head = word_load_acquire(s);
    if (stack_top(head) == 0) return 0;
    if (word_cas_full(s, head, stack_head(head, 0))) return stack_top(head);
  }
}

#endif
