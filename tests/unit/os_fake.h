/*
 * os_fake.h - the OS seam of the unit tests: real mappings underneath, but every answer can be dictated.
 *
 * Calls are counted by kind from the start of the process, refused ones included. A hook is called in the thread that makes the
 * call, before the call is carried out, and may itself allocate, wait or fork.
 */
#ifndef SCALLOC_TESTS_OS_FAKE_H
#define SCALLOC_TESTS_OS_FAKE_H

#include "os.h"

typedef enum { OS_RESERVE, OS_OPEN, OS_PURGE, OS_NOW, OS_CALLS } os_call;

/* Refuses the nth call of a kind from now on (1 = the next one), and with `all_after` all that follow it. 0: none. */
void os_fake_refuse(os_call call, long nth, bool all_after);

/* Refuses the calls number first .. last from now on. */
void os_fake_refuse_range(os_call call, long first, long last);

long os_fake_calls(os_call call);   /* made */
long os_fake_refused(os_call call); /* of these, refused */
size_t os_fake_bytes(os_call call); /* of those granted */
bool os_fake_reached(os_call call); /* the first call to be refused was made */

/* Calls `hook` at the nth next call of a kind, once. */
void os_fake_hook(os_call call, long nth, void (*hook)(void *), void *context);

void os_fake_set_clock(uint32_t ms);
void os_fake_advance_clock(uint32_t ms);
void os_fake_set_processors(unsigned n);
void os_fake_set_address_space(size_t left);
void os_fake_set_valgrind(bool under);
void os_fake_setenv(const char *name, const char *value); /* both must stay; at most 16 */

const char *os_fake_stderr(void); /* everything written so far */

/* Runs `act`; the message of the panic it ended in, or NULL if it came back. */
const char *os_fake_panic_of(void (*act)(void *), void *context);

#endif
