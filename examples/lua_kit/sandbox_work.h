/*
 * sandbox_work.h - what library functions may have to do at the worst, before they do it: in units, 64 of which take about as long
 * as one instruction of the virtual machine.
 */
#ifndef SANDBOX_WORK_H
#define SANDBOX_WORK_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum {
  WORK_STEP = 16,    /* of the pattern matcher, or of a loop that does next to nothing */
  WORK_TEXT = 8,     /* a byte that is looked at and copied */
  WORK_SOURCE = 256, /* a byte that is compiled */
  WORK_ELEMENT = 64, /* of a table, read or written */
};

/* A pattern of `length` bytes on a subject of `subject` bytes; `anchors`: a ^ at its beginning ties it to one place. */
double work_of_pattern(size_t subject, const char *pattern, size_t length, bool anchors);

/* string.find without a pattern. */
double work_of_plain_find(size_t subject, size_t length);
bool is_plain(const char *pattern, size_t length);

/* One comparison of the two elements of the table at `index` that take longest, of its first `count`; calls `charge` as it looks. */
double work_of_comparison(lua_State *L, int index, lua_Integer count, void (*charge)(lua_State *L, double work));

#endif
