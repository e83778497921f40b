/* input.c - what bytes mean. */
#include "input.h"

#include "model.h"

enum { MOST_WORK = 6 << 20 };

static const uint8_t *next_byte, *end_byte;
static size_t work;

unsigned take(void) { return next_byte < end_byte ? *next_byte++ : 0; }

size_t take_wide(void) {
  size_t low = take();
  return low | (size_t)take() << 8;
}

/* A bound of the size classes, 32 bytes to 14 MB, four to a doubling, or one byte more. */
static size_t take_bound(void) {
  unsigned b = take();
  return ((size_t)(4 + (b & 3)) << (3 + (b >> 2 & 31) % 19)) + (b >> 7);
}

static const size_t impossible[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX,     SIZE_MAX - 15,     (size_t)PTRDIFF_MAX,
                                    (size_t)1 << 47,         SIZE_MAX / 2, SIZE_MAX - 0x1fff, (size_t)PTRDIFF_MAX - 4096};

bool is_impossible(size_t size) { return size >= (size_t)1 << 47; }

size_t take_size(void) {
  unsigned b = take();
  if (b < 160) return b;
  if (b < 224) return take_bound();
  if (b < 250) return take_wide();
  if (b < 252) return (1 + take_wide() % 256) * 32 * KB + b % 3;
  if (b < 255) return impossible[take() % LENGTH(impossible)];
  return take() < 64 ? VAST + VAST + (size_t)b * 9 * MB : 2 * MB; /* so long that the marks on its tails grow sparse */
}

size_t take_alignment(void) {
  static const size_t wrong[] = {0, 3, 24, 48, SIZE_MAX, ((size_t)1 << 40) + 1};
  unsigned b = take();
  if (b >= 248) return wrong[b % LENGTH(wrong)];
  if (b >= 240) return (size_t)1 << (56 + b % 8); /* no arena is so large */
  return (size_t)1 << b % 24;
}

/* A live block: one of the latest, or any. */
size_t take_block(void) {
  unsigned b = take();
  if (b < 128) return b < model.count ? model.count - 1 - b : 0;
  return (b - 128) * model.count / 128;
}

unsigned take_count(void) {
  unsigned b = take();
  return b < 128 ? b + 1 : (b - 127) * 8;
}

bool afford(size_t bytes) {
  work += 512 + (bytes < 16 * KB ? bytes : 16 * KB + bytes / 32);
  return work < MOST_WORK;
}

void input_begin(const uint8_t *data, size_t size) {
  next_byte = data;
  end_byte = data + size;
  work = 0;
}

bool input_goes_on(void) { return next_byte < end_byte && work < MOST_WORK; }
