/* platform.h - what differs between compilers and processors, and nothing else. */
#ifndef SCALLOC_PLATFORM_H
#define SCALLOC_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names.h"

#if defined(__GNUC__)
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#if defined(SCALLOC_COVERAGE)
#define always_inline static inline /* one copy per object file, whose branches can be counted */
#else
#define always_inline static inline __attribute__((always_inline))
#endif
#define never_inline __attribute__((noinline, cold))
#define internal __attribute__((visibility("hidden")))     /* variables: reached without the global offset table */
#define private_api __attribute__((visibility("default"))) /* for the sibling libraries, under the private version node */
#define thread_word static __thread __attribute__((tls_model("initial-exec")))
#define aligned_to(n) __attribute__((aligned(n)))
#else
#error "scalloc needs GCC or Clang"
#endif

#define CACHE_LINE 64

/* LOCKED_IS_FENCE: no load is done before a read-modify-write in front of it, as on x86. */
#if defined(__x86_64__) || defined(__i386__)
#define cpu_relax() __builtin_ia32_pause()
#define LOCKED_IS_FENCE 1
#elif defined(__aarch64__)
#define cpu_relax() __asm__ volatile("isb" ::: "memory") /* yield is a no-op on most; isb takes some ten cycles */
#define LOCKED_IS_FENCE 0
#else
#define cpu_relax() ((void)0)
#define LOCKED_IS_FENCE 0
#endif

/* Running on a big shadow: TSan accepts few addresses and gets a smaller arena where the kernel puts it. */
#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/*
 * Tracked builds (track.h): the checked one, and those for tools that watch memory, AddressSanitizer and Valgrind's memcheck.
 * SCALLOC_PLAIN keeps a build plain under ASan.
 */
#if defined(SCALLOC_PLAIN)
#define TRACK_ASAN 0
#elif defined(__SANITIZE_ADDRESS__)
#define TRACK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRACK_ASAN 1
#endif
#endif
#ifndef TRACK_ASAN
#define TRACK_ASAN 0
#endif
#if defined(SCALLOC_VALGRIND)
#define TRACK_VALGRIND 1
#else
#define TRACK_VALGRIND 0
#endif
#if defined(SCALLOC_CHECKED) || TRACK_ASAN || TRACK_VALGRIND
#define TRACKED 1
#else
#define TRACKED 0
#endif

/* The malloc replacement with a profile of the heap (preload/profile.h). WATCHED: where every block goes by the slow halves. */
#if defined(SCALLOC_PROFILED)
#define PROFILED 1
#else
#define PROFILED 0
#endif
#if TRACKED || PROFILED
#define WATCHED 1
#else
#define WATCHED 0
#endif

/*
 * Static probes for tracers (USDT) on slow paths alone: `scalloc:name` with two numbers, listed in docs/tuning.md. Each is one no-op
 * and a note in the object file.
 */
#if defined(SCALLOC_USDT)
#include <sys/sdt.h>
#define probe(name, a, b) DTRACE_PROBE2(scalloc, name, a, b)
#else
#define probe(name, a, b) ((void)(a), (void)(b))
#endif

/* What a build of the benchmark leaves out (config.h); nothing in every other build. */
#ifndef SCALLOC_ABLATION
#define SCALLOC_ABLATION 0
#endif

/* The index of the highest set bit of x > 0. */
always_inline unsigned log2_floor(uint64_t x) { return 63u - (unsigned)__builtin_clzll(x); }

/* Internal invariants, held in debug builds. */
#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
_Noreturn private_api void os_assertion(const char *text, const char *file, int line); /* the glue asserts, too */
#define assert_that(x) ((x) ? (void)0 : os_assertion(#x, __FILE__, __LINE__))
#else
#define assert_that(x) ((void)sizeof((x) ? 1 : 0))
#endif

#endif
