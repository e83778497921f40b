/* libatomic_ops if it is there, else the same operations by the compiler's. Only in the core as one file (amalgam.sh). */
#if defined(__has_include) && !defined(SCALLOC_NO_ATOMIC_OPS)
#if __has_include(<atomic_ops.h>)
#define SCALLOC_HAVE_ATOMIC_OPS 1
#endif
#endif
#if defined(SCALLOC_HAVE_ATOMIC_OPS)
#include <atomic_ops.h>
#else
typedef size_t AO_t;
#define AO_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define AO_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define AO_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define AO_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define AO_fetch_and_add_full(p, v) __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)
#define AO_or_full(p, v) ((void)__atomic_fetch_or(p, v, __ATOMIC_SEQ_CST))
#define AO_and_full(p, v) ((void)__atomic_fetch_and(p, v, __ATOMIC_SEQ_CST))
#define AO_compare_and_swap_full(p, old, new) __sync_bool_compare_and_swap(p, old, new)
#define AO_nop_read() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define AO_nop_full() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define AO_int_load(p) AO_load(p)
#define AO_int_load_acquire(p) AO_load_acquire(p)
#define AO_int_store(p, v) AO_store(p, v)
#define AO_int_store_release(p, v) AO_store_release(p, v)
#define AO_int_or_full(p, v) AO_or_full(p, v)
#define AO_int_and_full(p, v) AO_and_full(p, v)
#endif
