/*
 * os.h - everything the allocator asks of an operating system. One implementation per system (os_linux.c); the unit tests
 * bring their own, which can refuse any call.
 *
 * None of these functions allocates, locks or uses stdio. Those that return bool give false when the system refuses.
 */
#ifndef SCALLOC_OS_H
#define SCALLOC_OS_H

#include "platform.h"

/* Keeps pages in memory, and touches them; false and errno: the system or a limit of the process refuses. And lets them go. */
private_api bool os_lock(void *start, size_t bytes);
private_api void os_unlock(void *start, size_t bytes);

/* Reserves address space without access or backing, near `hint` if that is free; NULL when refused. */
private_api void *os_reserve(void *hint, size_t bytes);

/* Makes part of a reservation readable and writable; the pages are zero until touched. */
private_api bool os_open(void *start, size_t bytes);

/* Takes the access away again, keeping what the pages hold. */
bool os_close(void *start, size_t bytes);

/* Takes the backing of pages away; they read as zero when touched again. */
bool os_purge(void *start, size_t bytes);

/* Asks for small pages and no core dump in a whole reservation (advice only) ... */
void os_advise_reserved(void *start, size_t bytes);
/* ... and for core dumps of its opened part again. */
void os_advise_opened(void *start, size_t bytes);

/* How much more address space this process may reserve (RLIMIT_AS); SIZE_MAX without a limit. */
size_t os_address_space_left(void);

/* An address for the arena to ask for, different from process to process. */
void *os_arena_hint(size_t bytes);

/*
 * Has `report` called with the address whenever the program touches memory without access, unless the program has a handler for
 * that itself. If it returns the program ends as it would have without. From the second call on nothing happens.
 */
void os_catch_faults(void (*report)(const void *address));

/* A number that another process does not know; the same in a child after a fork. */
uint64_t os_secret(void);

bool os_under_valgrind(void);
unsigned os_processors(void); /* that this process may run on */
uint32_t os_now_ms(void);     /* a monotonic clock, a few ms coarse; wraps */
private_api void os_yield(void);

/* Sleeps while *word is `value`, at most `ms` milliseconds; may return early. os_wake ends every sleep on the word. */
void os_wait(volatile unsigned *word, unsigned value, uint32_t ms);
void os_wake(volatile unsigned *word);

size_t os_page_size(void);

/* The value of an environment variable, or NULL; never of one that a process without the rights of this one set. */
const char *os_environment(const char *name);

void os_write_stderr(const char *text, size_t length);

/* Can the aligned word at an address be read? */
bool os_readable(const void *address);

/* One line `scalloc: <what> <address>: <why>` on stderr ... */
void os_report(const char *what, const void *address, const char *why);

/* ... and then abort. */
private_api _Noreturn void os_panic(const char *what, const void *address, const char *why);

#endif
