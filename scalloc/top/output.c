/*
 * output.c - writes beside the file, then renames.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NUMBER = 16 }; /* .PID.tmp */

/* Opens the file beside, which has the mode that the one before has. */
static void open_beside(output *out, const struct stat *before) {
  size_t room = strlen(out->path) + NUMBER + 8;
  out->beside = malloc(room);
  if (out->beside == NULL) return;
  snprintf(out->beside, room, "%s.%d.tmp", out->path, (int)getpid());
  int fd = open(out->beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd >= 0 && before) fchmod(fd, before->st_mode & 0777);
  out->file = fd < 0 ? NULL : fdopen(fd, "w");
  if (out->file) return;
  if (fd >= 0) close(fd);
  free(out->beside);
  out->beside = NULL;
}

bool output_open(output *out, const char *path) {
  struct stat before;
  bool exists = stat(path, &before) == 0, whole = !exists || S_ISREG(before.st_mode);
  *out = (output){.path = exists && whole ? realpath(path, NULL) : strdup(path)};
  if (out->path == NULL) return false;
  if (whole) open_beside(out, exists ? &before : NULL);
  if (!whole || (out->file == NULL && exists && errno == EACCES)) out->file = fopen(out->path, "we");
  if (out->file) return true;
  free(out->path);
  return false;
}

bool output_close(output *out) {
  bool written = fflush(out->file) == 0 && !ferror(out->file);
  int error = errno;
  if (fclose(out->file) != 0 && written) written = false, error = errno;
  if (out->beside && written && rename(out->beside, out->path) != 0) written = false, error = errno;
  if (out->beside && !written) unlink(out->beside);
  free(out->beside);
  free(out->path);
  *out = (output){0};
  errno = error;
  return written;
}
