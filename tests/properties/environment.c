/*
 * environment.c - properties 7 and 8: it starts everywhere, and runs out of memory politely.
 *
 *   ladder PROGRAM ...      property 7. Runs the programs of the suite under each setting of the table below. Restated: the
 *                           overcommit mode of the machine is not changed; what mode 2 and small address spaces do to a
 *                           process is simulated by a seccomp filter that refuses long mmap and mprotect calls with ENOMEM.
 *   exhaustion              property 8, in an arena of 64 MB and below a limit of 40 MB
 */
#include "properties.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* ---- property 7 ------------------------------------------------------------------------------------------------------- */

typedef struct setting {
  const char *name, *variable, *value;
  size_t address_space;          /* RLIMIT_AS */
  unsigned mmap_gb, mprotect_mb; /* longer calls are refused */
  size_t least, most;            /* bytes of the arena that come out of it */
} setting;

#define GB ((size_t)1 << 30)

static const setting settings[] = {
    {"as it is", NULL, NULL, 0, 0, 0, 64 * MB, 32768 * GB},
    {"ulimit -v 4 GB", NULL, NULL, 4 * GB, 0, 0, 512 * MB, 2 * GB - 1}, /* less than half of it */
    {"arena of 2^38 bytes", "SCALLOC_ARENA_BYTES", "274877906944", 0, 0, 0, 256 * GB, 256 * GB},
    {"no mapping above 16 GB", NULL, NULL, 0, 16, 0, 4 * GB, 16 * GB},
    {"no mapping above 8 GB, no commitment above 64 MB", NULL, NULL, 0, 8, 64, 2 * GB, 8 * GB},
};

/* Refuses system call `number` with ENOMEM when argument 1, the length, is above `most`. */
static void refuse_long(long number, uint64_t most) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 6),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]) + 4),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)(most >> 32), 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(most >> 32), 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)most, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {LENGTH(filter), filter};
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
}

static void apply(const setting *s) {
  char text[40];
  if (s->variable) setenv(s->variable, s->value, 1);
  snprintf(text, sizeof text, "%zu", s->least);
  setenv("PROPERTY_LEAST", text, 1);
  snprintf(text, sizeof text, "%zu", s->most);
  setenv("PROPERTY_MOST", text, 1);
  if (s->mmap_gb) refuse_long(SYS_mmap, s->mmap_gb * GB);
  if (s->mprotect_mb) refuse_long(SYS_mprotect, s->mprotect_mb * MB);
  if (s->address_space) CHECK(setrlimit(RLIMIT_AS, &(struct rlimit){s->address_space, s->address_space}) == 0);
}

/* Runs a command under a setting; it must succeed. */
static void run_under(const setting *s, const char *command) {
  int status;
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    apply(s);
    if (!freopen("/dev/null", "w", stdout)) _exit(126);
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(127);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (status != 0) test_fail(__FILE__, __LINE__, "%s: '%s' ended with status %#x", s->name, command, (unsigned)status);
}

/* The arena is as large as the setting lets it be, opens and grows. */
static void starts(void) {
  CHECK(scalloc_malloc(1) != NULL);
  size_t reserved = (size_t)arena.spans << SPAN_SHIFT;
  CHECK_INT(reserved, >=, strtoull(getenv("PROPERTY_LEAST"), NULL, 10));
  CHECK_INT(reserved, <=, strtoull(getenv("PROPERTY_MOST"), NULL, 10));
  for (size_t got = 0; got < 400 * MB; got += MB) CHECK(scalloc_malloc(MB) != NULL);
  check_heap();
}

static void ladder(void) {
  char self[4096], command[4200];
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  int first = 2;
  skip_under_sanitizers();
  CHECK(length > 0);
  self[length] = 0;
  snprintf(command, sizeof command, "exec '%s' starts", self);
  CHECK(argument_count > first);
  for (size_t i = 0; i < LENGTH(settings); i++) {
    run_under(&settings[i], command);
    for (int k = first; k < argument_count; k++) run_under(&settings[i], arguments[k]);
    printf("%s: %d programs\n", settings[i].name, argument_count - first);
  }
  printf("overcommit mode of this machine: %ld\n", proc_kb("/proc/sys/vm/overcommit_memory", ""));
}

/* ---- property 8 ------------------------------------------------------------------------------------------------------- */

typedef void *allocate_function(size_t size);

static void *by_malloc(size_t size) { return scalloc_malloc(size); }
static void *by_calloc(size_t size) { return scalloc_calloc(1, size); }
static void *by_aligned(size_t size) { return scalloc_aligned_alloc(64, size); }
static void *by_realloc(size_t size) { return scalloc_realloc(NULL, size); }

static bool refused(const void *block) {
  bool right = block == NULL && errno == ENOMEM;
  errno = 0;
  return right;
}

/* Until there is no more: NULL and ENOMEM; then everything is free again and as much can be had. */
static void exhaust(allocate_function *allocate, size_t size, size_t least, size_t most) {
  for (int round = 0; round < 2; round++) {
    size_t got = 0;
    void *chain = NULL, *block;
    scalloc_purge(); /* hot spans of other classes too */
    errno = 0;
    for (; (block = allocate(size)) != NULL; got += scalloc_usable_size(block), chain = chain_push(chain, block)) {
      *(char *)block = 1;
      ((char *)block)[size - 1] = 1;
      CHECK_INT(got, <=, most);
    }
    CHECK(refused(block));
    CHECK(refused(allocate(size)));
    CHECK_INT(got, >=, least);
    for (void *below; chain; chain = below) below = *(void **)chain, scalloc_free(chain);
    check_heap();
  }
}

static void exhaust_everything(void) {
  static allocate_function *const ways[] = {by_malloc, by_calloc, by_aligned, by_realloc};
  static const size_t sizes[] = {16, 1000, 70000, MB, 3 * MB, 20 * MB};
  size_t room = strtoull(getenv("PROPERTY_ROOM"), NULL, 10);
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (size_t way = 0; way < LENGTH(ways); way++) exhaust(ways[way], sizes[i], sizes[i] > MB ? room / 4 : room / 2, room);
}

static void impossible_sizes_are_refused(void) {
  static const size_t impossible[] = {(size_t)PTRDIFF_MAX + 1, (size_t)PTRDIFF_MAX, SIZE_MAX, SIZE_MAX - 4096, (size_t)1 << 47};
  void *block = scalloc_malloc(100);
  fill(block, 100);
  errno = 0;
  for (size_t i = 0; i < LENGTH(impossible); i++) {
    CHECK(refused(scalloc_malloc(impossible[i])));
    CHECK(refused(scalloc_calloc(1, impossible[i])));
    CHECK(refused(scalloc_calloc(impossible[i], 16)));
    CHECK(refused(scalloc_realloc(block, impossible[i])));
    for (unsigned shift = 0; shift < 64; shift++) CHECK(refused(scalloc_aligned_alloc((size_t)1 << shift, impossible[i])));
  }
  CHECK(refused(scalloc_calloc((size_t)1 << 32, (size_t)1 << 32)));
  CHECK(refused(scalloc_calloc(SIZE_MAX / 2, 3)));
  CHECK(refused(scalloc_aligned_alloc((size_t)1 << 63, 1)));
  CHECK(intact(block, 100));
  scalloc_free(block);
}

static void exhaustion(void) {
  static char small[] = "SCALLOC_ARENA_BYTES=67108864", limit[] = "SCALLOC_LIMIT_BYTES=41943040";
  static char room_small[] = "PROPERTY_ROOM=67108864", room_limit[] = "PROPERTY_ROOM=41943040";
  impossible_sizes_are_refused();
  run_self_ok("exhaust_everything", (char *[]){small, room_small, NULL}, 0);
  run_self_ok("exhaust_everything", (char *[]){limit, room_limit, NULL}, 0);
}

MODES(MODE(ladder), MODE(starts), MODE(exhaustion), MODE(exhaust_everything))
