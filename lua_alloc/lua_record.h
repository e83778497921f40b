/*
 * lua_record.h - equipped heaps: the word at the end of each block, from which everything else about it is known.
 *
 *    start                 size                         room - 8   room
 *     +---------------------+----------------------------+---------+
 *     | the program's bytes | GUARD: nobody may write    | record  |
 *     +---------------------+----------------------------+---------+
 *
 *      63                24 23          4 3     0
 *     +--------------------+-------------+-------+
 *     | birth              | room - size | type  |    record
 *     +--------------------+-------------+-------+
 *
 * birth  bytes the heap had handed out before, in units of 16.  type  the tag it was made with; RECORD_FREED: it is held back.
 * In blocks of more than LARGE_MIN the size itself stands in the word before the record, and the field is 0.
 */
#ifndef SCALLOC_LUA_RECORD_H
#define SCALLOC_LUA_RECORD_H

#include <string.h>

#include "config.h"

enum {
  RECORD_TYPE_BITS = 4,
  RECORD_SLACK_BITS = 20,
  RECORD_BIRTH_AT = RECORD_TYPE_BITS + RECORD_SLACK_BITS,
  RECORD_BIRTH_UNIT = 16,
  RECORD_FREED = 15,
  RECORD_GUARD = 8, /* bytes that nobody may write, at least */
};
_Static_assert(LARGE_MIN <= (size_t)1 << RECORD_SLACK_BITS, "the slack of every block with a class fits its field");

typedef struct {
  size_t size;
  unsigned type;
  unsigned long long birth; /* bytes, rounded down to the unit */
} lua_record;

/* Bytes of memory for a block of `size`, with the alignment that the size asks for. */
always_inline size_t record_room(size_t size, bool guard) {
  size_t room = size + sizeof(uint64_t) + (guard ? RECORD_GUARD : 0);
  if (room > LARGE_MIN - 64) room += sizeof(uint64_t); /* the memory may be a little more than is asked for here */
  return size % 16 == 0 ? (room + 15) & ~(size_t)15 : (room + 7) & ~(size_t)7;
}

always_inline void record_put(void *block, size_t room, lua_record r) {
  char *end = (char *)block + room;
  bool large = room > LARGE_MIN;
  uint64_t birth = r.birth / RECORD_BIRTH_UNIT, slack = large ? 0 : room - r.size, size = r.size;
  uint64_t word = birth << RECORD_BIRTH_AT | slack << RECORD_TYPE_BITS | r.type;
  memcpy(end - sizeof word, &word, sizeof word);
  if (large) memcpy(end - 2 * sizeof word, &size, sizeof size);
}

always_inline lua_record record_get(const void *block, size_t room) {
  const char *end = (const char *)block + room;
  uint64_t word, size = 0;
  memcpy(&word, end - sizeof word, sizeof word);
  if (room > LARGE_MIN)
    memcpy(&size, end - 2 * sizeof size, sizeof size);
  else
    size = room - (word >> RECORD_TYPE_BITS & (((uint64_t)1 << RECORD_SLACK_BITS) - 1));
  return (lua_record){.size = (size_t)size,
                      .type = word & ((1u << RECORD_TYPE_BITS) - 1),
                      .birth = (word >> RECORD_BIRTH_AT) * RECORD_BIRTH_UNIT};
}

/* Where the bytes between the program's and the record end. */
always_inline char *record_start(void *block, size_t room) {
  return (char *)block + room - (room > LARGE_MIN ? 2 : 1) * sizeof(uint64_t);
}

#endif
