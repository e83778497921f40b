/*
 * atomics_model.h - the scheduling version of scalloc/atomics.h. The sources of the core are compiled with this header
 * included first: its guard keeps the real one out, and every operation becomes a step of the explorer (model_ops.c).
 *
 * Plain accesses are seen as well: the sources are compiled with -fsanitize=thread, whose calls before every load and store
 * the explorer answers itself (plain.c).
 */
#define SCALLOC_ATOMICS_H

#include "platform.h"

#include "model_ops.h"

typedef uint64_t word_t;

/* On x86 relaxed, acquire and release are plain moves: the store buffer, which the explorer has, is all that tells them apart. */
#define word_load_relaxed(p) model_load(p, 8)
#define word_load_acquire(p) model_load(p, 8)
#define word_store_relaxed(p, v) model_store(p, 8, v)
#define word_store_release(p, v) model_store(p, 8, v)
#define word_add_full(p, v) model_fetch(p, MODEL_ADD, v)
#define word_or_full(p, v) ((void)model_fetch(p, MODEL_OR, v))
#define word_and_full(p, v) ((void)model_fetch(p, MODEL_AND, v))
#define word_cas_full(p, old, new) model_compare_and_swap(p, old, new)

#define atomics_fence_acquire() ((void)0) /* loads are done in order */
#define atomics_keep_order() ((void)0)

#define half_load_relaxed(p) ((unsigned)model_load(p, 4))
#define half_load_acquire(p) ((unsigned)model_load(p, 4))
#define half_store_relaxed(p, v) model_store(p, 4, v)
#define half_store_release(p, v) model_store(p, 4, v)
#define half_or_full(p, v) model_store(p, 4, model_load(p, 4) | (v)) /* of the purge thread alone, which is not explored */
#define half_increment_owned(p) ((void)++*(p))                       /* as shipped: a plain load and a plain store */

/* A thread that spins waits until what it looked at changes. */
#undef cpu_relax
#define cpu_relax() model_relax()

/* Calls that no instrumentation announces. */
#define memset model_memset
