/* test_classes.c - size classes, over all sizes and all offsets there are. */
#include "unit.h"

static size_t largest_power_of_two_in(size_t n) { return n & -n; }

static void there_are_68_classes_up_to_1_mb(void) {
  CHECK_INT(CLASSES, ==, 68);
  CHECK_INT(class_size(0), ==, 8);
  CHECK_INT(class_size(CLASSES - 1), ==, LARGE_MIN);
  for (unsigned c = 1; c < CLASSES; c++) CHECK_INT(class_size(c - 1), <, class_size(c));
}

static void sizes_step_by_8_then_16_then_quarters_of_a_doubling(void) {
  for (unsigned c = 1; c < CLASSES; c++) {
    size_t size = class_size(c), step = size - class_size(c - 1);
    if (size <= 64)
      CHECK_INT(step, ==, 8);
    else if (size <= 256)
      CHECK_INT(step, ==, 16);
    else
      CHECK_INT(step, ==, ((size_t)1 << log2_floor(size - 1)) / 4);
  }
}

static void every_size_gets_the_smallest_class_that_holds_it(void) {
  for (size_t size = 1; size <= LARGE_MIN; size++) {
    unsigned c = class_of(size);
    CHECK_INT(c, <, CLASSES);
    CHECK_INT(class_size(c), >=, size);
    if (c > 0) CHECK_INT(class_size(c - 1), <, size);
  }
}

static void malloc_gets_the_smallest_class_of_a_multiple_of_16(void) {
  CHECK_INT(class_size(class_of_malloc(0)), ==, 16);
  for (size_t size = 1; size <= LARGE_MIN; size++) {
    unsigned c = class_of_malloc(size), smaller = c;
    CHECK_INT(class_size(c) % 16, ==, 0);
    CHECK_INT(class_size(c), >=, size);
    while (smaller > 0 && class_size(smaller - 1) % 16 != 0) smaller--;
    if (smaller > 0) CHECK_INT(class_size(smaller - 1), <, size);
  }
}

static void multiples_of_16_never_share_a_class_with_odd_eights(void) {
  for (size_t size = 16; size <= LARGE_MIN; size += 16) CHECK_INT(class_size(class_of(size)) % 16, ==, 0);
}

static void powers_of_two_and_three_times_them_are_exact(void) {
  for (size_t size = 8; size <= LARGE_MIN; size *= 2) CHECK_INT(class_size(class_of(size)), ==, size);
  for (size_t size = 24; size <= LARGE_MIN; size *= 2) CHECK_INT(class_size(class_of(size)), ==, size);
  for (size_t size = 48; size <= LARGE_MIN; size *= 2) CHECK_INT(class_size(class_of_malloc(size)), ==, size);
}

static void above_64_bytes_at_most_a_quarter_is_wasted(void) {
  for (size_t size = 65; size <= LARGE_MIN; size++) {
    CHECK_INT(4 * (class_size(class_of(size)) - size), <=, size);
    CHECK_INT(4 * (class_size(class_of_malloc(size)) - size), <=, size);
  }
}

static void the_block_of_any_granule_of_a_span(void) {
  for (unsigned c = 0; c < CLASSES; c++) {
    size_t size = class_size(c), end = size;
    uint32_t index = 0;
    for (size_t offset = 0; offset < SPAN_BYTES; offset += 8) {
      if (offset == end) index++, end += size;
      if (class_block_index(c, offset) != index) test_fail(__FILE__, __LINE__, "class %u, offset %zu", c, offset);
    }
  }
}

static void the_block_of_any_byte(void) {
  for (unsigned c = 0; c < CLASSES; c++)
    for (size_t block = 0; block + class_size(c) <= SPAN_BYTES; block += class_size(c) * (1 + c % 7)) {
      CHECK_INT(class_block_index(c, block + 1), ==, block / class_size(c));
      CHECK_INT(class_block_index(c, block + class_size(c) - 1), ==, block / class_size(c));
    }
}

static void blocks_lie_at_multiples_of_the_power_of_two_in_their_size(void) {
  for (unsigned c = 0; c < CLASSES; c++)
    for (uint32_t i = 0; i < 1000; i++) CHECK_INT(class_first_offset(c, i) % largest_power_of_two_in(class_size(c)), ==, 0);
}

static void spans_begin_their_blocks_on_pages_of_many_colours(void) {
  for (unsigned c = 0; c < CLASSES; c++) {
    size_t unit = largest_power_of_two_in(class_size(c)), colours = REAL_SPAN_MIN / (unit < PAGE ? PAGE : unit);
    for (uint32_t i = 0; i < 64; i++) {
      CHECK_INT(class_first_offset(c, i) % PAGE, ==, 0);
      CHECK_INT(class_first_offset(c, i), <, REAL_SPAN_MIN);
      if (class_size(c) > REAL_SPAN_MIN / 2) CHECK_INT(class_first_offset(c, i), ==, 0);
      for (uint32_t k = 1; class_size(c) <= REAL_SPAN_MIN / 2 && k < colours; k++)
        CHECK_INT(class_first_offset(c, i), !=, class_first_offset(c, i + k));
    }
  }
}

static void a_colour_leaves_room_for_two_blocks(void) {
  for (unsigned c = 0; c < CLASSES; c++)
    for (uint32_t i = 0; i < 64; i++) CHECK_INT(class_first_offset(c, i) + 2 * class_size(c), <=, SPAN_BYTES);
}

static void a_fresh_span_has_64_kb_or_32_blocks_or_all_of_it(void) {
  for (unsigned c = 0; c < CLASSES; c++)
    for (uint32_t i = 0; i < 64; i++) {
      size_t first = class_first_offset(c, i), limit = class_initial_limit(c, first), room = limit - first;
      CHECK_INT(limit, <=, SPAN_BYTES);
      CHECK_INT(room, >=, 2 * class_size(c));
      if (limit == SPAN_BYTES) continue;
      CHECK_INT(room, >=, REAL_SPAN_MIN);
      CHECK_INT(room, >=, REAL_SPAN_MIN_BLOCKS * class_size(c));
      CHECK(room == REAL_SPAN_MIN || room < 2 * REAL_SPAN_MIN_BLOCKS * class_size(c));
    }
}

static void every_class_has_a_hot_slot_of_its_own(void) {
  bool taken[HEAP_HOTS] = {false};
  CHECK_INT(class_of(DIRECT_MAX), ==, HEAP_DIRECT_CLASSES - 1);
  for (unsigned c = 0; c < CLASSES; c++) {
    unsigned slot = heap_hot_slot(c);
    CHECK_INT(slot, <, HEAP_HOTS);
    CHECK(!taken[slot]);
    taken[slot] = true;
    if (class_size(c) <= DIRECT_MAX) CHECK_INT(slot * 8, ==, class_size(c));
  }
}

UNIT_MAIN(CASE(there_are_68_classes_up_to_1_mb), CASE(sizes_step_by_8_then_16_then_quarters_of_a_doubling),
          CASE(every_size_gets_the_smallest_class_that_holds_it), CASE(malloc_gets_the_smallest_class_of_a_multiple_of_16),
          CASE(multiples_of_16_never_share_a_class_with_odd_eights), CASE(powers_of_two_and_three_times_them_are_exact),
          CASE(above_64_bytes_at_most_a_quarter_is_wasted), CASE(the_block_of_any_granule_of_a_span),
          CASE(the_block_of_any_byte), CASE(blocks_lie_at_multiples_of_the_power_of_two_in_their_size),
          CASE(spans_begin_their_blocks_on_pages_of_many_colours), CASE(a_colour_leaves_room_for_two_blocks),
          CASE(a_fresh_span_has_64_kb_or_32_blocks_or_all_of_it), CASE(every_class_has_a_hot_slot_of_its_own))
