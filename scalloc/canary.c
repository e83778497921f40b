/* canary.c - the pattern, and looking for bytes that should not have changed. Owns nothing but the secret, constant once made. */
#include "canary.h"

#if TRACKED
#include "atomics.h"
#include "os.h"
#include "tools.h"

static volatile word_t secret;

static word_t secret_now(void) {
  word_t now = word_load_relaxed(&secret);
  if (now != 0) return now;
  word_store_relaxed(&secret, os_secret() | 1); /* the same from whichever thread */
  return word_load_relaxed(&secret);
}

/* The byte that belongs at an address: 0x80 .. 0xfe. */
static unsigned char byte_at(const char *address, word_t key) {
  uint64_t x = ((uintptr_t)address ^ key) * UINT64_C(0x9e3779b97f4a7c15);
  return (unsigned char)((x >> 56 & 0x7e) | 0x80);
}

/* Where the pattern of the first bytes ends, and where that of the last ones begins. */
static const char *near_end(const char *start, const char *end) {
  return end - start > CANARY_NEAR ? start + CANARY_NEAR : end;
}
static const char *far_start(const char *start, const char *end) {
  return end - start > CANARY_NEAR + CANARY_FAR ? end - CANARY_FAR : near_end(start, end);
}

unwatched void canary_write(char *start, char *end) {
  word_t key = secret_now();
  const char *near = near_end(start, end), *far = far_start(start, end);
  for (char *p = start; p < end; p++)
    if (p < near || p >= far) *p = (char)byte_at(p, key);
}

unwatched static const char *pattern_damage(const char *start, const char *end, word_t key) {
  for (const char *p = start; p < end; p++)
    if ((unsigned char)*p != byte_at(p, key)) return p;
  return NULL;
}

unwatched const char *canary_not_zero(const char *start, const char *end) {
  const char *p = start;
  for (; p < end && (uintptr_t)p % sizeof(uint64_t) != 0; p++)
    if (*p) return p;
  while (end - p >= (ptrdiff_t)sizeof(uint64_t) && *(const uint64_t *)(const void *)p == 0) p += sizeof(uint64_t);
  for (; p < end; p++)
    if (*p) return p;
  return NULL;
}

const char *canary_damage(const char *start, const char *end) {
  word_t key = secret_now();
  const char *near = near_end(start, end), *far = far_start(start, end), *bad = pattern_damage(start, near, key);
  if (!bad) bad = canary_not_zero(near, far);
  return bad ? bad : pattern_damage(far, end, key);
}
#endif
