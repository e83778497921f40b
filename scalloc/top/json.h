/*
 * json.h - reads JSON text from the front to the back, as far as pictures need it: objects, arrays, whole numbers, strings, true,
 * false and null. The first thing that is not as it was to be makes the text bad, and everything after it gives nothing.
 */
#ifndef SCALLOC_JSON_H
#define SCALLOC_JSON_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
  const char *at, *end;
  bool bad;
} json_text;

/* Is there anything but white space left? */
bool json_is_left(json_text *j);

/* The { or [ of an object or an array. */
void json_open(json_text *j, char bracket);

/* Is there another member, before the closing bracket, which it takes? `first` is true at first. */
bool json_more(json_text *j, char bracket, bool *first);

/* The name of a member, and the colon. Like a string that is longer than the room, it is cut. */
void json_key(json_text *j, char *to, size_t room);

/* A string with no escapes but those of a quotation mark and a backslash. */
void json_string(json_text *j, char *to, size_t room);

/* Digits alone, up to SIZE_MAX - 1; null, where it may stand, is SIZE_MAX. */
size_t json_number(json_text *j, bool or_null);

bool json_bool(json_text *j);

/* Any value. */
void json_skip(json_text *j);

#endif
