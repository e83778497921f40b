/*
 * json.c - the reader.
 */
#include "json.h"

#include <stdint.h>
#include <string.h>

enum { DEEPEST = 32 }; /* of what is skipped */

static void space(json_text *j) {
  while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

bool json_is_left(json_text *j) {
  space(j);
  return j->at < j->end;
}

/* Takes the character, if it comes next. */
static bool take(json_text *j, char c) {
  if (j->bad || !json_is_left(j) || *j->at != c) return false;
  j->at++;
  return true;
}

static void want(json_text *j, char c) {
  if (!take(j, c)) j->bad = true;
}

static bool take_word(json_text *j, const char *word) {
  size_t length = strlen(word), left = j->bad || !json_is_left(j) ? 0 : (size_t)(j->end - j->at);
  if (left == 0 || memcmp(j->at, word, left < length ? left : length) != 0) return false;
  if (left < length) j->bad = true; /* the text ends in it */
  j->at += left < length ? left : length;
  return !j->bad;
}

void json_open(json_text *j, char bracket) { want(j, bracket); }

bool json_more(json_text *j, char bracket, bool *first) {
  if (take(j, bracket)) return false;
  if (!*first) want(j, ',');
  *first = false;
  return !j->bad;
}

void json_string(json_text *j, char *to, size_t room) {
  size_t n = 0;
  want(j, '"');
  while (!j->bad && j->at < j->end && *j->at != '"') {
    bool escaped = *j->at == '\\';
    if (escaped) j->at++;
    if (j->at == j->end || (unsigned char)*j->at < ' ' || (escaped && *j->at != '"' && *j->at != '\\')) break;
    if (n + 1 < room) to[n++] = *j->at;
    j->at++;
  }
  if (room > 0) to[n] = 0;
  want(j, '"');
}

void json_key(json_text *j, char *to, size_t room) {
  json_string(j, to, room);
  want(j, ':');
}

size_t json_number(json_text *j, bool or_null) {
  size_t n = 0;
  if (or_null && take_word(j, "null")) return SIZE_MAX;
  const char *from = json_is_left(j) ? j->at : j->end;
  while (!j->bad && j->at < j->end && *j->at >= '0' && *j->at <= '9')
    if (__builtin_mul_overflow(n, (size_t)10, &n) || __builtin_add_overflow(n, (size_t)(*j->at++ - '0'), &n)) j->bad = true;
  if (j->at == from || n == SIZE_MAX) j->bad = true;
  return j->bad ? 0 : n;
}

bool json_bool(json_text *j) {
  if (take_word(j, "true")) return true;
  if (!take_word(j, "false")) j->bad = true;
  return false;
}

static void skip_scalar(json_text *j) {
  if (*j->at == '"')
    json_string(j, NULL, 0);
  else if (*j->at == 't' || *j->at == 'f')
    json_bool(j);
  else
    json_number(j, true);
}

void json_skip(json_text *j) {
  char closing[DEEPEST] = {0}; /* of the objects and arrays that are open, and whether nothing of them was read */
  bool first[DEEPEST];
  int open = 0;
  do {
    if (open > 0 && !json_more(j, closing[open - 1], &first[open - 1])) {
      open--;
      continue;
    }
    if (open > 0 && closing[open - 1] == '}') json_key(j, NULL, 0);
    if (j->bad || !json_is_left(j) || open == DEEPEST) {
      j->bad = true;
    } else if (*j->at == '{' || *j->at == '[') {
      closing[open] = *j->at == '{' ? '}' : ']';
      first[open++] = true;
      j->at++;
    } else {
      skip_scalar(j);
    }
  } while (open > 0 && !j->bad);
}
