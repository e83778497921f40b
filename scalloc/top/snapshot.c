/*
 * snapshot.c - reads what report_json writes, whitespace and the order of members aside. Sums are counted anew from the spans and
 * have to be those that the file tells, so that nothing is shown of a file that somebody has changed.
 */
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

typedef struct {
  const char *name;
  size_t *to;
  bool or_null;
} field;

enum { KEY = 32, MEMBERS = 10, SPANS_MOST = 1 << 26 }; /* 128 TB, all the address space there is */

/* An object that has all the fields, which are at most 31; what else it has is skipped. */
static void read_fields(json_text *j, const field *fields, size_t count) {
  uint32_t seen = 0;
  bool first = true;
  json_open(j, '{');
  while (json_more(j, '}', &first)) {
    char key[KEY];
    size_t i = 0;
    json_key(j, key, sizeof key);
    while (i < count && strcmp(key, fields[i].name) != 0) i++;
    if (i == count) {
      json_skip(j);
      continue;
    }
    *fields[i].to = json_number(j, fields[i].or_null);
    seen |= UINT32_C(1) << i;
  }
  if (seen != (UINT32_C(1) << count) - 1) j->bad = true;
}

#define FIELDS_OF_SUM(sum)                                                                                                     \
  {"spans", &(sum)->spans, false}, {"blocks", &(sum)->blocks, false}, {"room", &(sum)->room, false},                           \
      {"live", &(sum)->live, false}, {"committed", &(sum)->committed, false}, {                                                \
    "resident", &(sum)->resident, true                                                                                         \
  }

static picture_kind kind_named(const char *name) {
  int kind = 0;
  while (kind < PICTURE_KINDS && strcmp(name, picture_names[kind]) != 0) kind++;
  return (picture_kind)kind;
}

/* Could there be such spans? */
static bool is_possible(const picture_span *one, size_t block) {
  size_t most = one->sum.spans << SPAN_SHIFT;
  if (one->kind == PICTURE_KINDS || one->sum.spans == 0 || one->sum.spans > SPANS_MOST) return false;
  if (one->kind <= PICTURE_REUSABLE && (block == 0 || block > LARGE_MIN || class_size(one->class_index) != block)) return false;
  if (one->kind <= PICTURE_NURSERY && one->sum.spans != 1) return false;
  return one->sum.blocks <= one->sum.room && one->sum.room <= most && one->sum.live <= most && one->sum.committed <= most &&
         (one->sum.resident == SIZE_MAX || one->sum.resident <= most);
}

static void read_span(json_text *j, picture *p) {
  picture_span one = {.kind = PICTURE_KINDS};
  json_text members = *j;
  size_t block = 0;
  bool first = true;
  json_open(&members, '{');
  while (json_more(&members, '}', &first)) { /* what is no number, or not in all of them */
    char key[KEY];
    json_key(&members, key, sizeof key);
    if (strcmp(key, "state") == 0) {
      char state[KEY];
      json_string(&members, state, sizeof state);
      one.kind = kind_named(state);
    } else if (strcmp(key, "block") == 0) {
      block = json_number(&members, false);
    } else {
      json_skip(&members);
    }
  }
  const field fields[] = {FIELDS_OF_SUM(&one.sum)};
  read_fields(j, fields, sizeof fields / sizeof *fields);
  if (block > 0 && block <= LARGE_MIN) one.class_index = class_of(block);
  one.index = 1 + (uint32_t)p->all.spans;
  if (j->bad || members.bad || !is_possible(&one, block) || one.sum.spans + p->all.spans > SPANS_MOST)
    j->bad = true;
  else
    picture_keep(p, &one);
}

/* All of it but the figures of spans, which it leaves for later. */
typedef struct {
  size_t format, pid, time;
  picture_sum heap;
  json_text spans;
  unsigned members; /* that are there, of MEMBERS */
} head;

static void read_member(json_text *j, const char *key, head *h, picture *p, target *t) {
  size_t reserved = 0;
  const field of_arena[] = {{"reserved_bytes", &reserved, false}, {"limit", &t->limit, false}},
              of_process[] = {{"resident", &t->rss, false},
                              {"peak", &t->rss_peak, false},
                              {"page_tables", &t->page_tables, false}},
              of_heap[] = {FIELDS_OF_SUM(&h->heap)};
  h->members++;
  if (strcmp(key, "pid") == 0) {
    h->pid = json_number(j, false);
  } else if (strcmp(key, "format") == 0) {
    h->format = json_number(j, false);
  } else if (strcmp(key, "time") == 0) {
    h->time = json_number(j, false);
  } else if (strcmp(key, "at_end") == 0) {
    p->at_end = json_bool(j);
  } else if (strcmp(key, "name") == 0) {
    json_string(j, t->name, sizeof t->name);
  } else if (strcmp(key, "checked") == 0) {
    t->tracked = json_bool(j);
  } else if (strcmp(key, "arena") == 0) {
    read_fields(j, of_arena, 2);
    t->arena.spans = (uint32_t)(reserved >> SPAN_SHIFT);
  } else if (strcmp(key, "process") == 0) {
    read_fields(j, of_process, 3);
  } else if (strcmp(key, "heap") == 0) {
    read_fields(j, of_heap, sizeof of_heap / sizeof *of_heap);
  } else if (strcmp(key, "map") == 0) {
    h->spans = *j;
    json_skip(j);
  } else {
    json_skip(j);
    h->members--;
  }
}

static bool is_same(const picture_sum *a, const picture_sum *b) {
  return a->spans == b->spans && a->blocks == b->blocks && a->room == b->room && a->live == b->live &&
         a->committed == b->committed && a->resident == b->resident;
}

static snapshot_result read_picture(json_text *j, picture *p, target *t) {
  head h = {0};
  bool first = true;
  *p = (picture){.spans = p->spans, .room = p->room};
  *t = (target){.pagemap = -1};
  json_open(j, '{');
  while (json_more(j, '}', &first)) {
    char key[KEY];
    json_key(j, key, sizeof key);
    read_member(j, key, &h, p, t);
  }
  if (h.format != 0 && h.format != SNAPSHOT_FORMAT) return SNAPSHOT_OTHER;
  if (j->bad) return j->at == j->end ? SNAPSHOT_CUT : SNAPSHOT_WRONG;
  if (h.members != MEMBERS || h.pid > INT32_MAX || h.time > INT64_MAX) return SNAPSHOT_WRONG;
  first = true;
  json_open(&h.spans, '[');
  while (json_more(&h.spans, ']', &first)) read_span(&h.spans, p);
  t->pid = (pid_t)h.pid;
  p->time = (time_t)h.time;
  return !h.spans.bad && is_same(&h.heap, &p->all) ? SNAPSHOT_READ : SNAPSHOT_WRONG;
}

/* The whole file, NULL and errno: it cannot be read. */
static char *read_file(const char *path, size_t *length) {
  size_t room = 1 << 16;
  char *text = malloc(room);
  FILE *file = fopen(path, "re");
  *length = 0;
  while (file && text && !feof(file) && !ferror(file)) {
    *length += fread(text + *length, 1, room - *length, file);
    if (*length < room) continue;
    char *larger = realloc(text, room *= 2);
    if (larger == NULL) free(text);
    text = larger;
  }
  int error = errno;
  bool failed = file == NULL || ferror(file);
  if (file) fclose(file);
  if (failed) {
    free(text);
    text = NULL;
    errno = error;
  }
  return text;
}

snapshot_result snapshot_read(const char *path, picture *p, target *t) {
  size_t length;
  char *text = read_file(path, &length);
  if (text == NULL) return SNAPSHOT_UNREADABLE;
  json_text j = {.at = text, .end = text + length};
  snapshot_result result = SNAPSHOT_EMPTY;
  while (json_is_left(&j)) {
    result = read_picture(&j, p, t);
    if (result != SNAPSHOT_READ) break;
  }
  free(text);
  return result;
}
