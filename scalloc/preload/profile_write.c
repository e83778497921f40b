/*
 * profile_write.c - the text format of gperftools' heap profiles. Its figures are those of all blocks already, so its head says
 * "heapprofile", not "heap_v2": a reader has nothing to scale.
 */
#include "profile_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os.h"

typedef struct {
  int fd;
  int error; /* errno of the first failure */
  size_t used;
  char text[1 << 14];
} output;

static void put(output *out, const char *text, size_t length) {
  while (length > 0 && out->error == 0) {
    ssize_t written = write(out->fd, text, length);
    if (written < 0 && errno != EINTR) out->error = errno;
    if (written < 0) continue;
    text += written;
    length -= (size_t)written;
  }
}

static void flush(output *out) {
  put(out, out->text, out->used);
  out->used = 0;
}

static unsigned long long whole(double x) { return x > 0.5 ? (unsigned long long)(x + 0.5) : 0; }

static void put_site(output *out, const profile_site *site) {
  enum { LINE_MAX_BYTES = 128 + PROFILE_DEPTH * 20 };
  if (out->used > sizeof out->text - LINE_MAX_BYTES) flush(out);
  char *at = out->text + out->used, *end = out->text + sizeof out->text;
  at += snprintf(at, (size_t)(end - at), "%llu: %llu [%llu: %llu] @", whole(site->live_blocks), whole(site->live_bytes),
                 whole(site->blocks), whole(site->bytes));
  for (uint32_t i = 0; i < site->depth; i++)
    at += snprintf(at, (size_t)(end - at), " 0x%llx", (unsigned long long)site->frames[i]);
  *at++ = '\n';
  out->used = (size_t)(at - out->text);
}

static void put_maps(output *out) {
  static const char head[] = "\nMAPPED_LIBRARIES:\n";
  int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  ssize_t length;
  flush(out);
  put(out, head, sizeof head - 1);
  if (maps < 0) return;
  while ((length = read(maps, out->text, sizeof out->text)) > 0) put(out, out->text, (size_t)length);
  close(maps);
}

static void complain(const char *path, const char *why) {
  char line[512];
  int length = snprintf(line, sizeof line, "scalloc: profile %.400s: %s\n", path, why);
  os_write_stderr(line, (size_t)length);
}

void profile_write(const char *path, const profile_data *data) {
  static output out;
  profile_site all = {.depth = 0};
  for (uint32_t i = 0; i < data->site_count; i++) {
    all.live_blocks += data->sites[i].live_blocks;
    all.live_bytes += data->sites[i].live_bytes;
    all.blocks += data->sites[i].blocks;
    all.bytes += data->sites[i].bytes;
  }
  out.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (out.fd < 0) {
    complain(path, strerror(errno));
    return;
  }
  out.used = (size_t)snprintf(out.text, sizeof out.text, "heap profile: %llu: %llu [%llu: %llu] @ heapprofile\n",
                              whole(all.live_blocks), whole(all.live_bytes), whole(all.blocks), whole(all.bytes));
  for (uint32_t i = 0; i < data->site_count; i++)
    if (data->sites[i].blocks > 0) put_site(&out, &data->sites[i]);
  put_maps(&out);
  if (close(out.fd) != 0 && out.error == 0) out.error = errno;
  if (out.error) complain(path, strerror(out.error));
  if (data->lost) complain(path, "there were more samples at a time than it has room for; live bytes are too few");
}
