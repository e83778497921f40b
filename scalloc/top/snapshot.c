/*
 * snapshot.c - reads what report_json writes, white space and the order of members aside. Sums are counted anew from the spans and
 * have to be those that the file tells, of the heap, of each state and of each size of block, so that nothing is shown of a file
 * that somebody has changed.
 */
#include "snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "json.h"

typedef struct {
  const char *name;
  size_t *to;
  bool or_null;
} field;

enum {
  KEY = 32,
  SPANS_MOST = 1 << 26, /* 128 TB, all the address space there is */
  FILE_MOST = 1 << 30,
};
static const size_t time_most = 253402300799; /* the end of the year 9999 */

/* An object that has all the fields, which are at most 31, once; what else it has is skipped. */
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
    if (seen >> i & 1) j->bad = true;
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

static bool is_same(const picture_sum *a, const picture_sum *b) {
  return a->spans == b->spans && a->blocks == b->blocks && a->room == b->room && a->live == b->live &&
         a->committed == b->committed && a->resident == b->resident;
}

/* The sums of all states have to be those of the picture. */
static void compare_states(json_text *j, const picture *p) {
  uint32_t seen = 0;
  bool first = true;
  json_open(j, '{');
  while (json_more(j, '}', &first)) {
    char key[KEY];
    picture_sum sum;
    const field fields[] = {FIELDS_OF_SUM(&sum)};
    json_key(j, key, sizeof key);
    picture_kind kind = kind_named(key);
    read_fields(j, fields, sizeof fields / sizeof *fields);
    if (j->bad || kind == PICTURE_KINDS || seen >> kind & 1 || !is_same(&sum, &p->kinds[kind])) j->bad = true;
    seen |= UINT32_C(1) << kind;
  }
  if (seen != (UINT32_C(1) << PICTURE_KINDS) - 1) j->bad = true;
}

/* And those of all sizes of blocks that have spans, from the smallest on. */
static void compare_classes(json_text *j, const picture *p) {
  unsigned next = 0;
  bool first = true;
  json_open(j, '[');
  while (json_more(j, ']', &first)) {
    picture_sum sum;
    size_t block, hot, floating, reusable;
    const field fields[] = {{"block", &block, false},
                            {"hot", &hot, false},
                            {"floating", &floating, false},
                            {"reusable", &reusable, false},
                            FIELDS_OF_SUM(&sum)};
    read_fields(j, fields, sizeof fields / sizeof *fields);
    while (next < CLASSES && p->classes[next].sum.spans == 0) next++;
    if (j->bad || next == CLASSES) {
      j->bad = true;
      return;
    }
    const picture_class *row = &p->classes[next];
    if (block != class_size(next++) || hot != row->by_kind[PICTURE_HOT] || floating != row->by_kind[PICTURE_FLOATING] ||
        reusable != row->by_kind[PICTURE_REUSABLE] || !is_same(&sum, &row->sum))
      j->bad = true;
  }
  while (next < CLASSES && p->classes[next].sum.spans == 0) next++;
  if (next != CLASSES) j->bad = true;
}

/* All of it but what can be read only behind the spans, which may stand last. */
typedef struct {
  size_t pid, format, time, reserved, opened;
  picture_sum heap;
  json_text states, classes, map;
  uint32_t seen; /* members, by bit */
} head;

typedef enum {
  OF_PID,
  OF_FORMAT,
  OF_TIME,
  OF_AT_END,
  OF_NAME,
  OF_CHECKED,
  OF_ARENA,
  OF_PROCESS,
  OF_HEAP,
  OF_STATES,
  OF_CLASSES,
  OF_MAP,
  MEMBERS
} member;

static void later(json_text *j, json_text *to) {
  *to = *j;
  json_skip(j);
}

static void read_value(json_text *j, member which, head *h, picture *p, target *t) {
  const field of_arena[] = {{"reserved_bytes", &h->reserved, false},
                            {"spans_opened", &h->opened, false},
                            {"limit", &t->limit, false}},
              of_process[] = {{"resident", &t->rss, false},
                              {"peak", &t->rss_peak, false},
                              {"page_tables", &t->page_tables, false}},
              of_heap[] = {FIELDS_OF_SUM(&h->heap)};
  switch (which) {
  case OF_PID:
    h->pid = json_number(j, false);
    break;
  case OF_FORMAT:
    h->format = json_number(j, false);
    break;
  case OF_TIME:
    h->time = json_number(j, false);
    break;
  case OF_AT_END:
    p->at_end = json_bool(j);
    break;
  case OF_NAME:
    json_string(j, t->name, sizeof t->name);
    target_clean_name(t);
    break;
  case OF_CHECKED:
    t->tracked = json_bool(j);
    break;
  case OF_ARENA:
    read_fields(j, of_arena, 3);
    break;
  case OF_PROCESS:
    read_fields(j, of_process, 3);
    break;
  case OF_HEAP:
    read_fields(j, of_heap, sizeof of_heap / sizeof *of_heap);
    break;
  case OF_STATES:
    later(j, &h->states);
    break;
  case OF_CLASSES:
    later(j, &h->classes);
    break;
  case OF_MAP:
    later(j, &h->map);
    break;
  default: /* what only others know */
    json_skip(j);
    break;
  }
}

static void read_member(json_text *j, head *h, picture *p, target *t) {
  static const char *const names[MEMBERS] = {"pid",   "format",  "time", "at_end", "name",    "checked",
                                             "arena", "process", "heap", "states", "classes", "map"};
  char key[KEY];
  unsigned which = 0;
  json_key(j, key, sizeof key);
  while (which < MEMBERS && strcmp(key, names[which]) != 0) which++;
  if (which < MEMBERS && h->seen >> which & 1) j->bad = true;
  if (which < MEMBERS) h->seen |= UINT32_C(1) << which;
  read_value(j, (member)which, h, p, t);
}

/* Do the figures of the head fit together, and what is told of the spans with the spans? */
static bool is_sound(const head *h, const picture *p) {
  return h->pid <= INT32_MAX && h->time <= time_most && h->reserved % SPAN_BYTES == 0 &&
         h->reserved >> SPAN_SHIFT <= SPANS_MOST && h->opened == p->all.spans && h->opened <= h->reserved >> SPAN_SHIFT &&
         is_same(&h->heap, &p->all);
}

static snapshot_result read_picture(json_text *j, picture *p, target *t) {
  head h = {0};
  bool first = true;
  *p = (picture){.spans = p->spans, .room = p->room};
  *t = (target){.pagemap = -1};
  json_open(j, '{');
  while (json_more(j, '}', &first)) read_member(j, &h, p, t);
  if (h.format != 0 && h.format != SNAPSHOT_FORMAT) return SNAPSHOT_OTHER;
  if (j->bad) return j->at == j->end ? SNAPSHOT_CUT : SNAPSHOT_WRONG;
  if (h.seen != (UINT32_C(1) << MEMBERS) - 1) return SNAPSHOT_WRONG;
  first = true;
  json_open(&h.map, '[');
  while (json_more(&h.map, ']', &first)) read_span(&h.map, p);
  compare_states(&h.states, p);
  compare_classes(&h.classes, p);
  if (h.map.bad || h.states.bad || h.classes.bad || !is_sound(&h, p)) return SNAPSHOT_WRONG;
  t->pid = (pid_t)h.pid;
  t->arena.spans = (uint32_t)(h.reserved >> SPAN_SHIFT);
  p->time = (time_t)h.time;
  return SNAPSHOT_READ;
}

/* The whole file, as far as it is not larger than FILE_MOST; NULL and errno: it cannot be read. */
static char *read_file(const char *path, size_t *length) {
  struct stat of_file;
  size_t room = 1 << 16;
  char *text = malloc(room);
  FILE *file = fopen(path, "re");
  *length = 0;
  if (file && fstat(fileno(file), &of_file) == 0 && of_file.st_size > FILE_MOST) *length = FILE_MOST + 1; /* not even begun */
  while (file && text && *length <= FILE_MOST && !feof(file) && !ferror(file)) {
    *length += fread(text + *length, 1, room - *length, file);
    if (*length < room) continue;
    char *larger = realloc(text, room *= 2);
    if (larger == NULL) free(text);
    text = larger;
  }
  int error = errno;
  bool failed = file == NULL || text == NULL || ferror(file);
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
  snapshot_result result = length > FILE_MOST ? SNAPSHOT_LARGE : SNAPSHOT_EMPTY;
  while (result != SNAPSHOT_LARGE && json_is_left(&j)) {
    result = read_picture(&j, p, t);
    if (result != SNAPSHOT_READ) break;
  }
  free(text);
  return result;
}
