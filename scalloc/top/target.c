/*
 * target.c - finds the signpost: the first bytes of one of the mappings that are anonymous and writable. So it does not matter
 * how scalloc came into the process, nor whether that has symbols.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static FILE *open_proc(pid_t pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  return fopen(path, "re");
}

bool target_read(const target *t, uintptr_t address, void *to, size_t bytes) {
  struct iovec here = {to, bytes}, there = {(void *)address, bytes};
  return process_vm_readv(t->pid, &here, 1, &there, 1, 0) == (ssize_t)bytes;
}

/* Bytes of the character of UTF-8 at this address of a text; 0: there is none. */
static size_t utf8_length(const unsigned char *at) {
  static const struct {
    unsigned char from, upto;  /* of the first byte */
    unsigned char least, most; /* of the second: nothing longer than it has to be, no surrogates, nothing above U+10FFFF */
    size_t length;
  } rows[] = {{0x00, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
              {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
              {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
  size_t row = 0, count = sizeof rows / sizeof *rows;
  while (row < count && (at[0] < rows[row].from || at[0] > rows[row].upto)) row++;
  if (row == count || at[1] < rows[row].least || at[1] > rows[row].most) return 0;
  for (size_t i = 2; i < rows[row].length; i++)
    if ((at[i] & 0xc0) != 0x80) return 0;
  return rows[row].length;
}

void target_clean_name(target *t) {
  const unsigned char *from = (const unsigned char *)t->name;
  char *to = t->name;
  while (*from) {
    size_t n = utf8_length(from);
    if (n == 0) {
      *to++ = '?';
      while ((*++from & 0xc0) == 0x80) {
      }
    } else if (*from < ' ' || *from == 0x7f || (*from == 0xc2 && from[1] < 0xa0)) {
      *to++ = ' ';
      from += n;
    } else {
      while (n-- > 0) *to++ = (char)*from++;
    }
  }
  *to = 0;
}

static void read_name(target *t) {
  FILE *file = open_proc(t->pid, "cmdline");
  size_t length = file ? fread(t->name, 1, sizeof t->name - 1, file) : 0;
  if (file) fclose(file);
  if (length == 0 && (file = open_proc(t->pid, "comm")) != NULL) {
    length = fread(t->name, 1, sizeof t->name - 1, file);
    fclose(file);
  }
  while (length > 0 && (t->name[length - 1] == 0 || t->name[length - 1] == '\n')) length--;
  for (size_t i = 0; i < length; i++)
    if (t->name[i] == 0) t->name[i] = ' '; /* ends of arguments */
  t->name[length] = 0;
  target_clean_name(t);
}

/* The figures of /proc/PID/status, in kB there. */
static void read_status(target *t) {
  static const char *const names[] = {"VmRSS:", "VmHWM:", "VmPTE:"};
  size_t *const figures[] = {&t->rss, &t->rss_peak, &t->page_tables};
  char line[256];
  FILE *file = open_proc(t->pid, "status");
  while (file && fgets(line, sizeof line, file))
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (strncmp(line, names[i], strlen(names[i])) == 0) *figures[i] = strtoull(line + strlen(names[i]), NULL, 10) * 1024;
  if (file) fclose(file);
}

/* Is there a signpost at this address? Other versions begin with the same seven letters. */
static target_result look_at(target *t, uintptr_t address) {
  signpost sign;
  if (!target_read(t, address, &sign, sizeof sign)) return errno == EPERM ? TARGET_FORBIDDEN : TARGET_ELSEWHERE;
  if (sign.self != address) return TARGET_ELSEWHERE;
  if (sign.magic != SIGNPOST_MAGIC) return (sign.magic ^ SIGNPOST_MAGIC) << 8 == 0 ? TARGET_OTHER : TARGET_ELSEWHERE;
  t->at = sign.arena;
  t->limit = sign.limit;
  t->tracked = sign.tracked != 0;
  return target_refresh(t);
}

static target_result find(target *t, FILE *maps) {
  char line[512];
  target_result result = TARGET_ELSEWHERE;
  bool whole = true, any = false;
  while (result == TARGET_ELSEWHERE && fgets(line, sizeof line, maps)) {
    unsigned long long start;
    unsigned long inode;
    char access[5];
    bool first = whole; /* the rest of a line with a long path is none */
    whole = strchr(line, '\n') != NULL;
    any = true;
    if (!first || sscanf(line, "%llx-%*x %4s %*x %*s %lu", &start, access, &inode) != 3) continue;
    if (inode == 0 && strcmp(access, "rw-p") == 0) result = look_at(t, (uintptr_t)start);
  }
  return any ? result : TARGET_MISSING; /* a process that has ended and was not waited for has no mappings */
}

target_result target_open(target *t, pid_t pid) {
  char path[64];
  *t = (target){.pid = pid, .pagemap = -1, .page = (size_t)sysconf(_SC_PAGESIZE)};
  FILE *maps = open_proc(pid, "maps");
  if (maps == NULL) return errno == EACCES || errno == EPERM ? TARGET_FORBIDDEN : TARGET_MISSING;
  read_name(t);
  errno = 0;
  target_result result = find(t, maps);
  if (result == TARGET_MISSING && (errno == EACCES || errno == EPERM)) result = TARGET_FORBIDDEN;
  fclose(maps);
  snprintf(path, sizeof path, "/proc/%d/pagemap", (int)pid);
  if (result == TARGET_FOUND) t->pagemap = open(path, O_RDONLY | O_CLOEXEC);
  return result;
}

void target_close(target *t) {
  if (t->pagemap >= 0) close(t->pagemap);
  t->pagemap = -1;
}

target_result target_refresh(target *t) {
  arena_state now;
  if (!target_read(t, t->at, &now, sizeof now)) return TARGET_MISSING;
  if (now.table == NULL || now.next == 0 || now.next > now.spans) return TARGET_ELSEWHERE;
  t->arena = now;
  read_status(t);
  return TARGET_FOUND;
}

size_t target_resident(const target *t, uintptr_t address, size_t bytes) {
  enum { ENTRIES = 2048 };
  uint64_t entries[ENTRIES];
  size_t first = address / t->page, end = (address + bytes + t->page - 1) / t->page, resident = 0;
  if (t->pagemap < 0) return SIZE_MAX;
  while (first < end) {
    size_t n = end - first < ENTRIES ? end - first : ENTRIES;
    if (pread(t->pagemap, entries, n * 8, (off_t)(first * 8)) != (ssize_t)(n * 8)) return SIZE_MAX;
    for (size_t i = 0; i < n; i++) resident += entries[i] >> 63; /* present */
    first += n;
  }
  return resident * t->page;
}
