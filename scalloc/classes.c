/* classes.c - the tables behind classes.h. */
#include "classes.h"

#define R(size) ((((uint64_t)1 << RECIPROCAL_SHIFT) + (size) / 8 - 1) / ((size) / 8))
#define BY_8(i) R(8 * (i))
#define BY_16(i) R(64 + 16 * (i))
#define DOUBLING(k) R((uint64_t)5 << (k)), R((uint64_t)6 << (k)), R((uint64_t)7 << (k)), R((uint64_t)8 << (k))

const uint64_t class_reciprocal[CLASSES] = {
    BY_8(1),      BY_8(2),      BY_8(3),      BY_8(4),      BY_8(5),      BY_8(6),      BY_8(7),      BY_8(8),
    BY_16(1),     BY_16(2),     BY_16(3),     BY_16(4),     BY_16(5),     BY_16(6),     BY_16(7),     BY_16(8),
    BY_16(9),     BY_16(10),    BY_16(11),    BY_16(12),    DOUBLING(6),  DOUBLING(7),  DOUBLING(8),  DOUBLING(9),
    DOUBLING(10), DOUBLING(11), DOUBLING(12), DOUBLING(13), DOUBLING(14), DOUBLING(15), DOUBLING(16), DOUBLING(17),
};

size_t class_first_offset(unsigned c, uint32_t span_index) {
  size_t size = class_size(c), unit = size & -size;
  if (unit < PAGE) unit = PAGE;
  if (size > REAL_SPAN_MIN / 2) return 0; /* a colour would cost a block */
  return (span_index % (REAL_SPAN_MIN / unit)) * unit;
}

size_t class_initial_limit(unsigned c, size_t first) {
  size_t bytes = class_size(c) * REAL_SPAN_MIN_BLOCKS;
  if (ABLATED(GROWTH)) return SPAN_BYTES;
  bytes = bytes <= REAL_SPAN_MIN ? REAL_SPAN_MIN : (size_t)1 << (log2_floor(bytes - 1) + 1);
  return bytes >= SPAN_BYTES - first ? SPAN_BYTES : first + bytes;
}
