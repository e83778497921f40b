#include "sandbox_work.h"

#include <ctype.h>
#include <string.h>

/* The last byte of a set that begins at `at`. */
static size_t end_of_set(const char *pattern, size_t length, size_t at) {
  size_t i = at + 1;
  if (i < length && pattern[i] == '^') i++;
  do {
    if (i < length && pattern[i] == '%') i++;
    i++;
  } while (i < length && pattern[i] != ']');
  return i;
}

/* What follows can only succeed: a repetition there is never tried again. */
static bool is_last(const char *pattern, size_t length, size_t at) {
  while (++at < length && pattern[at] == ')') {
  }
  return at >= length;
}

/*
 * The matcher tries every beginning, and every end of each repetition behind it: that many ways there are to choose so many places
 * among those of the subject, in their order. A ? doubles them. For each the pattern is gone through once, whose sets are read byte
 * by byte. What %b and %1 take depends on the subject.
 */
double work_of_pattern(size_t subject, const char *pattern, size_t length, bool anchors) {
  double ends = (double)subject + 1, chosen = anchors && length > 0 && pattern[0] == '^' ? 0 : 1;
  double steps = chosen > 0 ? ends : 1;
  for (size_t i = 0; i < length && steps < 1e15; i++) {
    if (pattern[i] == '%' && ++i < length) {
      if (pattern[i] == 'b') steps *= ends, i += 2;
      if (i < length && isdigit((unsigned char)pattern[i])) steps *= 1 + ends / 64;
    } else if (i < length && pattern[i] == '[') {
      i = end_of_set(pattern, length, i);
    } else if (i < length && pattern[i] == '?') {
      steps *= 2;
    } else if (i < length && memchr("*+-", pattern[i], 3) && !is_last(pattern, length, i)) {
      steps *= (ends + chosen) / (chosen + 1), chosen++;
    }
  }
  return WORK_STEP * steps * ((double)length + 1);
}

double work_of_plain_find(size_t subject, size_t length) {
  return WORK_STEP * ((double)subject + 1) * (1 + (double)length / 64);
}

bool is_plain(const char *pattern, size_t length) {
  static const char special[] = "^$*+?.([%-";
  for (size_t i = 0; i < length; i++)
    if (memchr(special, pattern[i], sizeof special - 1)) return false;
  return true;
}

/* Strings with zeros are compared piece by piece. */
double work_of_comparison(lua_State *L, int index, lua_Integer count, void (*charge)(lua_State *L, double work)) {
  double most = WORK_ELEMENT;
  for (lua_Integer i = 1; i <= count; i++) {
    size_t length = 0;
    lua_rawgeti(L, index, i);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &length) : NULL;
    charge(L, (double)length / 4);
    double work = text && memchr(text, 0, length) ? (double)length * 64 : (double)length / 2;
    if (most < WORK_ELEMENT + work) most = WORK_ELEMENT + work;
    lua_pop(L, 1);
  }
  return most;
}
