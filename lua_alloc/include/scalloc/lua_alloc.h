/*
 * lua_alloc.h - scalloc for people who embed Lua: a lua_Alloc, heaps that belong to a state, and states made on them.
 *
 * Includes no Lua header, so that any Lua's headers may be used beside it.
 *
 * Alignment on the Lua path: a block whose size is a multiple of 16 is 16-aligned, every other is 8-aligned. Any C type that
 * needs 16 has a size that is a multiple of 16.
 */
#ifndef SCALLOC_LUA_ALLOC_H
#define SCALLOC_LUA_ALLOC_H

#include <scalloc/scalloc.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lua_State lua_State;

/*
 * A heap for one Lua state. Exclusive: one thread at a time uses it and frees its blocks; it may be handed from thread to
 * thread with the state. It pays no thread-local access and no atomic operation.
 */
typedef struct scalloc_lua_heap scalloc_lua_heap;

/*
 * The lua_Alloc function. ud NULL: the calling thread's heap, blocks may be freed from any thread. ud = a scalloc_lua_heap:
 * that heap. Meets the whole contract of Lua 5.1 to 5.5: f(ud, NULL, tag, 0) is a no-op, osize is a type tag when ptr is
 * NULL, a shrink never fails, NULL leaves the old block as it was.
 */
SCALLOC_API void *scalloc_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize);

typedef enum {
  SCALLOC_LUA_CLOSE_FULL,   /* lua_close, then the heap */
  SCALLOC_LUA_CLOSE_FAST,   /* as FULL for finalizers and files; so far it is FULL, visiting every object */
  SCALLOC_LUA_CLOSE_DISCARD /* runs nothing: no finalizer, no flush; for crash paths and fork children */
} scalloc_lua_close_mode;

typedef struct scalloc_lua_config {
  size_t size; /* sizeof (scalloc_lua_config); members may be added at the end */
} scalloc_lua_config;

/* A new heap; config NULL = defaults. NULL and ENOMEM if there is no memory. */
SCALLOC_API scalloc_lua_heap *scalloc_lua_heap_new(const scalloc_lua_config *config);

/* Ends the heap with all its blocks, O(spans). No state may live in it any more. */
SCALLOC_API void scalloc_lua_heap_destroy(scalloc_lua_heap *heap);

/* As luaL_newstate (panic function, warnings off), on a heap of its own. NULL: no memory. Close with scalloc_lua_close. */
SCALLOC_API lua_State *scalloc_lua_newstate(const scalloc_lua_config *config);

/* Closes a state made by scalloc_lua_newstate and destroys its heap. */
SCALLOC_API void scalloc_lua_close(lua_State *L, scalloc_lua_close_mode mode);

/* The heap a state runs on; NULL: not on a scalloc heap. O(1). */
SCALLOC_API scalloc_lua_heap *scalloc_lua_heap_of(lua_State *L);

/* Bytes Lua asked for that are live: what collectgarbage("count") counts, plus what bypasses it. 0 after a full close. */
SCALLOC_API size_t scalloc_lua_used(const scalloc_lua_heap *heap);

/* The largest value `used` has had; reset starts anew from the present value. */
SCALLOC_API size_t scalloc_lua_peak(scalloc_lua_heap *heap, bool reset);

/* Like scalloc_stats_json, for one heap: bytes.{used,peak,committed}, spans.{hot,floating,reusable,large}. */
SCALLOC_API size_t scalloc_lua_stats_json(scalloc_lua_heap *heap, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
