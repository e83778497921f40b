/*
 * exit_file.c - names of files, without stdio and allocation.
 */
#include "exit_file.h"

#include <string.h>
#include <unistd.h>

#include "os.h"

bool exit_file_value(char to[PATH_MAX], const char *variable) {
  const char *value = os_environment(variable);
  if (value == NULL || *value == 0 || strlen(value) >= PATH_MAX) return false;
  memcpy(to, value, strlen(value) + 1);
  return true;
}

bool exit_file_begin(exit_file *f, const char *variable) {
  const char *process = os_environment("SCALLOC_EXIT_PROCESS");
  f->only = 0;
  for (; process && *process >= '0' && *process <= '9'; process++) f->only = f->only * 10 + (*process - '0');
  if (!exit_file_value(f->name, variable)) return false;
  if (strstr(f->name, "%p")) f->only = 0;
  return true;
}

bool exit_file_is_due(const exit_file *f) { return *f->name != 0 && (f->only == 0 || f->only == getpid()); }

char *exit_file_number(char *at, long number) {
  char digits[24], *digit = digits + sizeof digits;
  do *--digit = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  size_t length = (size_t)(digits + sizeof digits - digit);
  memcpy(at, digit, length);
  return at + length;
}

char *exit_file_path(const exit_file *f, char *to) {
  for (const char *from = f->name; *from; from++) {
    if (from[0] == '%' && from[1] == 'p') {
      to = exit_file_number(to, getpid());
      from++;
    } else {
      *to++ = *from;
    }
  }
  *to = 0;
  return to;
}
