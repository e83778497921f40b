/*
 * model.h - what the fuzz target knows about the heap: every live block, every first-class heap, what each Lua heap has in use.
 *
 * The blocks stand in a dense array in no particular order, and a second array has their numbers sorted by address. A block that
 * is added must lie apart from its neighbours there. It carries the pattern of test.h as far as the program may use it.
 */
#ifndef SCALLOC_TESTS_FUZZ_MODEL_H
#define SCALLOC_TESTS_FUZZ_MODEL_H

#include <stdlib.h>
#include <unistd.h>

/* A failed CHECK must die by a signal: libFuzzer does not notice _exit and would not save the input. */
#define _exit(status) abort()
#include "../test.h"
#ifdef HAVE_LUA_ALLOC
#include <scalloc/lua_alloc.h>
#endif

enum { BLOCKS = 4096, HEAPS = 4, LUA_HEAPS = 3, VAST_EDGE = 16384 };
#define VAST ((size_t)1 << 32) /* blocks of this size and more carry the pattern at their two ends only */

/* Who made a block, and so who may resize and free it. */
typedef enum origin {
  PLAIN,   /* scalloc_*: every thread, in every way */
  OF_HEAP, /* scalloc_heap_*: the same, and it dies with its heap */
  LUA_ANY, /* scalloc_lua_alloc without a heap: every thread, through that function */
  OF_LUA   /* scalloc_lua_alloc with a heap: through it only */
} origin;

typedef struct block {
  unsigned char *at;
  size_t size;    /* asked for */
  size_t pattern; /* bytes at its start that fill() wrote: from `size` up to usable, or VAST_EDGE */
  size_t usable;
  origin origin;
  unsigned heap; /* of OF_HEAP, OF_LUA */
} block;

typedef struct lua_account {
  size_t used, peak;
} lua_account;

typedef struct model_state {
  block blocks[BLOCKS];
  unsigned order[BLOCKS]; /* numbers of blocks, by address */
  size_t count;
  size_t bytes;      /* usable bytes of all */
  size_t vast_bytes; /* of these, in vast blocks */
  scalloc_heap *heaps[HEAPS];
  void *lua[LUA_HEAPS]; /* scalloc_lua_heap; NULL: none at the moment */
  lua_account accounts[LUA_HEAPS];
  stats first;  /* before the first input */
  stats latest; /* as last seen: some figures never fall */
  bool pressed; /* a limit or a small arena: any growth may be refused */
} model_state;

extern model_state model;

/* Looks at the allocator for the first time. */
void model_open(void);

/* A new live block, whose usable size is asked of the allocator: its place, its pattern, its account. */
void model_add(block b);

/* A block ceases to exist; its content must still be as it was written. The last block takes its number. */
void model_remove(size_t number);

/* A block is now another one, whose content was compared already. */
void model_replace(size_t number, block b);

/* The pattern now covers all usable bytes. Not for blocks of Lua, which knows no such size. */
void model_stretch(size_t number);

/* The block holds its pattern, and the allocator says what it said. */
void model_verify(const block *b);

/* Does the start of `moved`, up to `length`, hold what block b held? */
bool model_kept(const block *b, const void *moved, size_t length);

/* scalloc_find of an address inside the block describes that block. */
void model_find(const block *b, size_t offset);

/* Every block of a heap ceases to exist. */
void model_drop_heap(origin from, unsigned heap);

/* The statistics agree with the model; exactly so, as no other thread runs. */
void model_stats(void);

/* used and peak of every Lua heap are exact. */
void model_lua(void);

/* Nothing is left: no block, no heap, no thread but this one, and every span has come back, without its pages. */
void model_nothing_left(void);

#endif
