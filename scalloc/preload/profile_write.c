/*
 * profile_write.c - the text format of gperftools' heap profiles. Its figures are those of all blocks already, so its head says
 * "heapprofile", not "heap_v2": a reader has nothing to scale. And folded stacks, a line for each: functions from the outermost to
 * the innermost, with the names that the dynamic linker knows, and bytes.
 */
#include "profile_write.h"

#include <dlfcn.h>
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

/* ---- folded stacks --------------------------------------------------------------------------------------------------------- */

/* The function of a return address: its name, or where in which file it is; without what means something between them. */
static char *put_name(char *at, size_t room, uintptr_t address) {
  Dl_info info;
  if (dladdr((void *)(address - 1), &info) == 0)
    snprintf(at, room, "0x%llx", (unsigned long long)address);
  else if (info.dli_sname)
    snprintf(at, room, "%s", info.dli_sname);
  else {
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(at, room, "%s+0x%llx", slash ? slash + 1 : info.dli_fname,
             (unsigned long long)(address - 1 - (uintptr_t)info.dli_fbase));
  }
  for (; *at; at++)
    if (*at == ';' || (unsigned char)*at <= ' ' || *at == 0x7f) *at = '_';
  return at;
}

static void put_folded(output *out, const profile_site *site) {
  enum { NAME_MAX_BYTES = 300 };
  _Static_assert(PROFILE_DEPTH * (NAME_MAX_BYTES + 1) + 32 < sizeof out->text, "a line has room");
  char *at = out->text;
  for (uint32_t i = site->depth; i-- > 0;) {
    at = put_name(at, NAME_MAX_BYTES, site->frames[i]);
    if (i > 0) *at++ = ';';
  }
  if (site->depth == 0) at = stpcpy(at, "unknown");
  at += snprintf(at, 32, " %llu\n", whole(site->bytes));
  put(out, out->text, (size_t)(at - out->text));
}

static bool is_folded(const char *path) {
  static const char ending[] = ".collapsed";
  size_t length = strlen(path);
  return length >= sizeof ending && strcmp(path + length - (sizeof ending - 1), ending) == 0;
}

/* ---- the file -------------------------------------------------------------------------------------------------------------- */

static void complain(const char *path, const char *why) {
  char line[512];
  int length = snprintf(line, sizeof line, "scalloc: profile %.400s: %s\n", path, why);
  os_write_stderr(line, (size_t)length);
}

static void put_profile(output *out, const profile_data *data) {
  profile_site all = {.depth = 0};
  for (uint32_t i = 0; i < data->site_count; i++) {
    all.live_blocks += data->sites[i].live_blocks;
    all.live_bytes += data->sites[i].live_bytes;
    all.blocks += data->sites[i].blocks;
    all.bytes += data->sites[i].bytes;
  }
  out->used = (size_t)snprintf(out->text, sizeof out->text, "heap profile: %llu: %llu [%llu: %llu] @ heapprofile\n",
                               whole(all.live_blocks), whole(all.live_bytes), whole(all.blocks), whole(all.bytes));
  for (uint32_t i = 0; i < data->site_count; i++)
    if (data->sites[i].blocks > 0) put_site(out, &data->sites[i]);
  put_maps(out);
}

void profile_write(const char *path, const profile_data *data) {
  static output out;
  out.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (out.fd < 0) {
    complain(path, strerror(errno));
    return;
  }
  if (is_folded(path))
    for (uint32_t i = 0; i < data->site_count; i++) {
      if (data->sites[i].blocks > 0) put_folded(&out, &data->sites[i]);
    }
  else
    put_profile(&out, data);
  if (close(out.fd) != 0 && out.error == 0) out.error = errno;
  if (out.error) complain(path, strerror(out.error));
  if (data->lost) complain(path, "there were more samples at a time than it has room for; live bytes are too few");
}
