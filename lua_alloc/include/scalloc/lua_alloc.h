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
 * thread with the state. It pays no thread-local access and no atomic operation. Unless a function says otherwise, only the
 * thread that has the heap may call it.
 */
typedef struct scalloc_lua_heap scalloc_lua_heap;

/*
 * The lua_Alloc function. ud NULL: the calling thread's heap, blocks may be freed from any thread. ud = a scalloc_lua_heap:
 * that heap. Meets the whole contract of Lua 5.1 to 5.5: f(ud, NULL, tag, 0) is a no-op, osize is a type tag when ptr is
 * NULL, a shrink never fails, NULL leaves the old block as it was. A growth that cannot be met gives NULL and ENOMEM, and
 * counts for nothing in `used`.
 */
SCALLOC_API void *scalloc_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize);

/*
 * The same where any thread may call it at any time: ud is a SHARED heap or NULL; another one ends the process with a line. For
 * those who borrow the allocator of a state, and as the function that frees external strings of Lua 5.5.
 */
SCALLOC_API void *scalloc_lua_alloc_shared(void *ud, void *ptr, size_t osize, size_t nsize);

/* ---- heaps ------------------------------------------------------------------------------------------------------------- */

/* One limit over many heaps; see scalloc_lua_group_new. */
typedef struct scalloc_lua_group scalloc_lua_group;

typedef struct scalloc_lua_config {
  size_t size; /* sizeof (scalloc_lua_config); members may be added at the end */
  /*
   * Bytes, 0 = none. They act while the heap is armed (scalloc_lua_arm), on growth alone: frees and shrinks never fail.
   * Above its soft limit a heap takes some 150 instructions more for a new block.
   */
  size_t soft_limit, hard_limit; /* of the bytes in use */
  size_t max_block;              /* of one block */
  unsigned flags;                /* SCALLOC_LUA_SHARED and so on; unknown ones are refused with EINVAL */
  scalloc_lua_group *group;      /* NULL: none */
  const char *name;              /* for messages, not copied; may be NULL */
  /*
   * A growth has taken use above the soft limit: `used` bytes are in use, `limit` is the soft limit. Called once, and again
   * only after use was at or below it in between, or the limit was set or armed anew. It runs inside lua_Alloc: it may set
   * flags and nothing else; no Lua API, no allocation from this heap, no jump.
   */
  void (*on_pressure)(void *userdata, scalloc_lua_heap *heap, size_t used, size_t limit);
  void *userdata;
  /*
   * Bytes, 0 = none: a fixed piece of memory, touched when the heap is made, out of which blocks come in bounded time and
   * without a system call. When it is full, further blocks come as without it; LOCKED: there are no further blocks.
   */
  size_t prealloc;
} scalloc_lua_config;

/*
 * Flags of a heap. A heap with any of them, or with prealloc, is slower at each call, since it has no fast paths; other heaps
 * pay nothing for it. They combine, but for TAG_SEGREGATE with prealloc.
 */
enum {
  SCALLOC_LUA_SHARED = 1,         /* any thread may use the heap and free its blocks at any time, under a lock per call */
  SCALLOC_LUA_LOCKED = 2,         /* real time: nothing but `prealloc`, which must be given, and that locked in memory */
  SCALLOC_LUA_GUARD = 4,          /* faults of C code end the process with a line: see docs/lua.md */
  SCALLOC_LUA_ZERO_ON_FREE = 8,   /* no byte of a freed block, or of the heap when it has ended, is left to read */
  SCALLOC_LUA_STATS = 16,         /* counts by type, sizes and types in a walk, leaks told by a FULL close; 8 bytes a block */
  SCALLOC_LUA_PROFILE = 32,       /* STATS, and ages */
  SCALLOC_LUA_TAG_SEGREGATE = 64, /* strings; tables; functions; userdata and threads; the rest: none shares a span */
};

/*
 * A new heap; config NULL = defaults. NULL and ENOMEM if there is no memory, EINVAL for flags that do not go together or are
 * not known. LOCKED: NULL and mlock's errno, which is ENOMEM or EPERM when RLIMIT_MEMLOCK does not allow it.
 */
SCALLOC_API scalloc_lua_heap *scalloc_lua_heap_new(const scalloc_lua_config *config);

/* Ends the heap with all its blocks, O(spans). No state may live in it any more. NULL is ignored. */
SCALLOC_API void scalloc_lua_heap_destroy(scalloc_lua_heap *heap);

/*
 * Empties a heap that goes on to be used: all blocks are gone, as is the state in it, without finalizers; the memory is kept for
 * the next one. Limits and counts stay, but the heap is disarmed and scalloc_lua_fail_after is off. Not from within the state. O(spans); with flags or prealloc O(blocks).
 * False, and nothing is done: ENOMEM, or EBUSY if its state was adopted.
 */
SCALLOC_API bool scalloc_lua_heap_reset(scalloc_lua_heap *heap);

/* ---- states ------------------------------------------------------------------------------------------------------------ */

typedef enum {
  SCALLOC_LUA_CLOSE_FULL,   /* lua_close, then the heap */
  SCALLOC_LUA_CLOSE_FAST,   /* as FULL for finalizers and files, without a visit to the other objects */
  SCALLOC_LUA_CLOSE_DISCARD /* runs nothing: no finalizer, no flush; for crash paths and fork children */
} scalloc_lua_close_mode;

/* As luaL_newstate (panic function, warnings off), on a heap of its own, not armed. NULL: no memory, and nothing is left
   behind. Close with scalloc_lua_close. */
SCALLOC_API lua_State *scalloc_lua_newstate(const scalloc_lua_config *config);

/* luaL_openlibs in protected mode: LUA_OK, or the status of lua_pcall with the message on the stack. */
SCALLOC_API int scalloc_lua_openlibs(lua_State *L);

/*
 * Closes a state made by scalloc_lua_newstate and destroys its heap. By any thread that has the state to itself; L may be any of
 * its coroutines. As after lua_close, nothing of the state may be used any more.
 *
 * FAST does what lua_close does, in the same order: pending variables are closed, finalizers run (errors in them are warnings),
 * files are flushed. Then the heap goes as a whole, in O(its spans): what lua_close takes to free every object, about a third of a
 * second for a gigabyte, is saved. It goes on as FULL where that is not safe: on a state not made by scalloc_lua_newstate, on one
 * whose allocator was replaced, under LuaJIT, and inside a finalizer's os.exit(code, true). What only a free of Lua's would tell
 * somebody outside of the heap is not told: Lua 5.5 does not call the host's own functions for external strings that are still
 * alive; use FULL with these.
 */
SCALLOC_API void scalloc_lua_close(lua_State *L, scalloc_lua_close_mode mode);

/*
 * For pools of states. newstate_in: as scalloc_lua_newstate, in an empty heap; NULL: ENOMEM, or EBUSY if there are blocks in it.
 * close_keep: as scalloc_lua_close, but the heap is only emptied, and returned. NULL: there is none, it is gone, too.
 */
SCALLOC_API lua_State *scalloc_lua_newstate_in(scalloc_lua_heap *heap);
SCALLOC_API scalloc_lua_heap *scalloc_lua_close_keep(lua_State *L, scalloc_lua_close_mode mode);

/* The heap a state runs on; NULL: not on a scalloc heap. O(1). */
SCALLOC_API scalloc_lua_heap *scalloc_lua_heap_of(lua_State *L);

/*
 * Puts a running state, whatever its allocator, on a new heap. New blocks and blocks that grow come from the heap; the others
 * are still freed by the allocator they came from, which must live as long as the state. `used` begins with what Lua counts now.
 * Close the state with scalloc_lua_close, which also ends the heap it had before if that was one of these; FAST is FULL, and
 * DISCARD leaves what lies elsewhere to itself. NULL and errno as of scalloc_lua_heap_new; EINVAL: the state is on an adopted
 * heap already. LuaJIT: the memory of its own allocator stays when the state is closed.
 */
SCALLOC_API scalloc_lua_heap *scalloc_lua_adopt(lua_State *L, const scalloc_lua_config *config);

/*
 * The way back. From now on blocks come from the allocator before again, and blocks of the heap go back when their size changes.
 * True: no block was left in the heap, which is gone; the state is as it was. False: some are left. Call it again when they may
 * have been freed, or close the state with scalloc_lua_close; until then no limit acts. False too, and nothing is done, for a state
 * that was not adopted, and within scalloc_lua_pcall.
 */
SCALLOC_API bool scalloc_lua_release(lua_State *L);

/* ---- limits ------------------------------------------------------------------------------------------------------------ */

/* Limits act while arms outnumber disarms; a heap starts disarmed. One disarm too many is ignored. O(1). */
SCALLOC_API void scalloc_lua_arm(scalloc_lua_heap *heap);
SCALLOC_API void scalloc_lua_disarm(scalloc_lua_heap *heap);

/*
 * Sets soft and hard limit, 0 = none. A hard limit below the bytes in use is allowed: nothing is freed, growth is refused
 * until use has fallen. A refused growth makes Lua collect garbage and ask once more; refused again, it becomes LUA_ERRMEM.
 */
SCALLOC_API void scalloc_lua_limit(scalloc_lua_heap *heap, size_t soft, size_t hard);

/*
 * lua_pcall in which the state may use at most `budget` bytes more than now, armed or not; beyond it growth is refused as at a
 * hard limit. Budgets nest: the narrowest holds. A state that is not on a scalloc heap is called without one.
 */
SCALLOC_API int scalloc_lua_pcall(lua_State *L, int nargs, int nresults, int msgh, size_t budget);

/*
 * A group: one limit over the bytes in use of any number of heaps, which name it in their configuration. It acts on the armed
 * ones; disarmed ones count, and may use more, as may a state at the moment it is adopted. hard 0 = none. NULL and ENOMEM.
 *
 * The sum never passes the limit by what armed heaps use. A heap may be refused while others hold quota that they do not use:
 * an eighth of what each uses, at least 4 KB, until they run again; heaps that are disarmed, trimmed or ended hold none.
 */
SCALLOC_API scalloc_lua_group *scalloc_lua_group_new(size_t hard);

/* Any thread. The heaps of the group go on as before; its memory goes with the last of them. NULL is ignored. */
SCALLOC_API void scalloc_lua_group_free(scalloc_lua_group *group);

/* Bytes in use in all its heaps: exact while none of them works, and never above the limit if all are armed. Any thread, O(heaps). */
SCALLOC_API size_t scalloc_lua_group_used(const scalloc_lua_group *group);

/* Fault injection, armed or not: `growths` growths succeed, then every one is refused until it is switched off; < 0 = off. */
SCALLOC_API void scalloc_lua_fail_after(scalloc_lua_heap *heap, long growths);

/*
 * Gives memory back to the system: what the heap has left empty, and all that the process keeps empty for later, if that is more
 * than `keep` bytes. Returns the bytes given back. O(spans of the process).
 */
SCALLOC_API size_t scalloc_lua_trim(scalloc_lua_heap *heap, size_t keep);

/* ---- figures ----------------------------------------------------------------------------------------------------------- */

/* Bytes Lua asked for that are live: what collectgarbage("count") counts, plus what bypasses it. 0 after a full close. */
SCALLOC_API size_t scalloc_lua_used(const scalloc_lua_heap *heap);

/* The largest value `used` has had; reset starts anew from the present value. */
SCALLOC_API size_t scalloc_lua_peak(scalloc_lua_heap *heap, bool reset);

enum {
  SCALLOC_LUA_TAGS = 11,      /* types of blocks, as Lua names them: 0 = the rest, 4 string, 5 table, 6 function, 7 userdata,
                                 8 thread, 9 upvalue, 10 prototype */
  SCALLOC_LUA_LIFETIMES = 48, /* ages by their power of two */
  SCALLOC_LUA_CLASSES = 69    /* size classes of blocks, and one for all that are larger */
};

typedef struct scalloc_lua_class {
  size_t size;  /* bytes of a block; of the last class: the largest block that is none of it */
  size_t live;  /* blocks handed out */
  size_t spans; /* that hold them */
} scalloc_lua_class;

typedef struct scalloc_lua_tag {
  size_t live, bytes;                  /* STATS: blocks, bytes asked for */
  unsigned long long made, made_bytes; /* new blocks since the heap was made; Lua grows some of them as type 0 */
} scalloc_lua_tag;

typedef struct scalloc_lua_calls {
  unsigned long long made, freed, grown, shrunk; /* new blocks asked for, whether or not there was memory; ... */
  unsigned long long same, nothing;              /* resizes to the same size; frees of NULL */
} scalloc_lua_calls;

typedef struct scalloc_lua_stats {
  size_t size;                              /* sizeof (scalloc_lua_stats); members may be added at the end */
  size_t used, peak, committed;             /* bytes; committed: of all pages that may be backed */
  size_t soft_limit, hard_limit, max_block; /* bytes, 0 = none */
  unsigned armed;                           /* arms less disarms */
  size_t blocks;                            /* live ones */
  size_t hot, floating, reusable, large;    /* spans; the cells of a young heap count as hot */
  unsigned long long refusals;              /* growths that got NULL, for whatever reason */
  unsigned long long emergencies;           /* emergency collections: a refused growth was asked for again */
  unsigned long long failures;              /* growths refused for good, each an error that no script can forge */
  unsigned long long pressures;             /* calls of on_pressure, or that there would have been with one */
  scalloc_lua_class classes[SCALLOC_LUA_CLASSES];
  /* Heaps with flags or prealloc; 0 for others. */
  size_t pool_bytes;             /* of the fixed piece of memory, and what it needs itself */
  unsigned long long handed_out; /* bytes asked for since the heap was made */
  scalloc_lua_calls calls;
  scalloc_lua_tag tags[SCALLOC_LUA_TAGS];
  /* PROFILE: blocks freed after 2^i bytes and less than twice as many had been handed out since their birth. */
  unsigned long long lifetimes[SCALLOC_LUA_LIFETIMES];
} scalloc_lua_stats;

/* Fills *out, of which the caller has set `size`. False: `size` is too small for any version. O(spans). */
SCALLOC_API bool scalloc_lua_stats_read(const scalloc_lua_heap *heap, scalloc_lua_stats *out);

/*
 * The same as one JSON object, like snprintf: bytes.{used,peak,committed}, spans.{hot,floating,reusable,large},
 * limits.{soft,hard,max_block,armed}, counts.{blocks,refusals,emergencies,failures,pressures}.
 */
SCALLOC_API size_t scalloc_lua_stats_json(scalloc_lua_heap *heap, char *buffer, size_t size);

typedef struct scalloc_lua_block {
  void *start;
  size_t size;               /* bytes asked for; without STATS as room */
  size_t room;               /* bytes the block has */
  int tag;                   /* STATS: the type it was made with; -1: not known */
  unsigned long long serial; /* STATS: bytes the heap had handed out before it, to 16; else 0 */
} scalloc_lua_block;

typedef void scalloc_lua_visit(void *userdata, const scalloc_lua_block *block);

/*
 * Visits every live block, in no order, and returns how many there are. `visit` must not use this heap; NULL only counts. Needs
 * 40 KB of stack. O(blocks).
 */
SCALLOC_API size_t scalloc_lua_walk(scalloc_lua_heap *heap, scalloc_lua_visit *visit, void *userdata);

/* Blocks that are live. When the state has been closed by lua_close, they were leaked; a FULL close of a heap with STATS
   tells of them in a line on stderr. O(spans). */
SCALLOC_API size_t scalloc_lua_leaks(const scalloc_lua_heap *heap);

/* The Lua module `scalloc`: for package.preload, luaL_requiref, or as scalloc.so by require. */
SCALLOC_API int luaopen_scalloc(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
