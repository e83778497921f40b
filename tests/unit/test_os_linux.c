/*
 * test_os_linux.c - the real OS seam, when the system says no, says it in part or says it later. The linker leads the system
 * calls of os_linux.c to the functions here (--wrap), which pass them on unless a case has dictated an answer.
 */
#include "os.h"

#include "../test.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* ---- dictated answers -------------------------------------------------------------------------------------------------- */

static struct {
  int errors[4]; /* of the next calls; 0 = passed on */
  long calls;
} refused;

static const char *refused_name = "";

/* Refuses the next calls of one function with these errors, in their order. */
static void refuse(const char *name, int first, int second, int third) {
  refused_name = name;
  memset(&refused, 0, sizeof refused);
  refused.errors[0] = first;
  refused.errors[1] = second;
  refused.errors[2] = third;
}

static bool is_refused(const char *name) {
  if (strcmp(name, refused_name) != 0) return false;
  int error = refused.calls < (long)LENGTH(refused.errors) ? refused.errors[refused.calls] : 0;
  refused.calls++;
  if (error != 0) errno = error;
  return error != 0;
}

void *__real_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap(void *at, size_t bytes, int access, int flags, int file, off_t offset) {
  return is_refused("mmap") ? MAP_FAILED : __real_mmap(at, bytes, access, flags, file, offset);
}

int __real_mprotect(void *, size_t, int);
int __wrap_mprotect(void *, size_t, int);
int __wrap_mprotect(void *at, size_t bytes, int access) {
  return is_refused("mprotect") ? -1 : __real_mprotect(at, bytes, access);
}

int __real_madvise(void *, size_t, int);
int __wrap_madvise(void *, size_t, int);
int __wrap_madvise(void *at, size_t bytes, int advice) {
  return is_refused("madvise") ? -1 : __real_madvise(at, bytes, advice);
}

static const char *statm; /* what is read instead; NULL = the file */

static long read_statm(void *to, size_t most) {
  size_t length = strlen(statm) < most ? strlen(statm) : most;
  memcpy(to, statm, length);
  return (long)length;
}

static rlim_t address_limit;
int __wrap_getrlimit(__rlimit_resource_t, struct rlimit *);
int __wrap_getrlimit(__rlimit_resource_t which, struct rlimit *limit) {
  CHECK(which == RLIMIT_AS);
  if (is_refused("getrlimit")) return -1;
  limit->rlim_cur = limit->rlim_max = address_limit;
  return 0;
}

static int processors_set;
int __wrap_sched_getaffinity(pid_t, size_t, cpu_set_t *);
int __wrap_sched_getaffinity(pid_t process, size_t size, cpu_set_t *set) {
  CHECK(process == 0 && size == sizeof *set);
  if (is_refused("sched_getaffinity")) return -1;
  CPU_ZERO(set);
  for (size_t i = 0; i < (size_t)processors_set; i++) CPU_SET(2 * i + 1, set);
  return 0;
}

static const void *random_bytes;
static unsigned long secure;
unsigned long __real_getauxval(unsigned long);
unsigned long __wrap_getauxval(unsigned long);
unsigned long __wrap_getauxval(unsigned long type) {
  if (type == AT_SECURE) return secure;
  return type == AT_RANDOM ? (unsigned long)random_bytes : __real_getauxval(type);
}

static char written[2000];
static size_t written_length, write_most; /* bytes taken by one write; 0: none, and without an error */
static bool watch_writes;

static long watched_write(int file, const void *text, size_t length) {
  CHECK_INT(file, ==, STDERR_FILENO);
  if (is_refused("write")) return -1;
  if (length > write_most) length = write_most;
  CHECK(written_length + length < sizeof written);
  memcpy(written + written_length, text, length);
  written_length += length;
  return (long)length;
}

long __real_syscall(long, ...);
long __wrap_syscall(long, ...);
long __wrap_syscall(long number, ...) {
  va_list list;
  long a[6];
  va_start(list, number);
  for (size_t i = 0; i < LENGTH(a); i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_openat && is_refused("open")) return -1;
  if (number == SYS_read && is_refused("read")) return -1;
  if (number == SYS_read && statm) return read_statm((void *)a[1], (size_t)a[2]);
  if (number == SYS_write && watch_writes) return watched_write((int)a[0], (const void *)a[1], (size_t)a[2]);
  return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- memory ------------------------------------------------------------------------------------------------------------ */

static void address_space_may_be_refused(void) {
  refuse("mmap", ENOMEM, 0, 0);
  CHECK(os_reserve(NULL, 1 << 20) == NULL);
  char *start = os_reserve(NULL, 1 << 20);
  CHECK(start != NULL);
  refuse("mprotect", ENOMEM, 0, 0);
  CHECK(!os_open(start, 1 << 16));
  CHECK(os_open(start, 1 << 16));
  memset(start, 1, 1 << 16);
  CHECK(munmap(start, 1 << 20) == 0);
}

static void a_purge_is_tried_again_only_while_the_system_is_busy(void) {
  char *page = os_reserve(NULL, 1 << 16);
  CHECK(page != NULL && os_open(page, 1 << 16));
  *page = 1;
  errno = 77;
  refuse("madvise", EAGAIN, EAGAIN, 0);
  CHECK(os_purge(page, 1 << 16));
  CHECK_INT(refused.calls, ==, 3);
  CHECK_INT(*page, ==, 0);
  CHECK_INT(errno, ==, 77);
  *page = 1;
  refuse("madvise", EINVAL, 0, 0);
  CHECK(!os_purge(page, 1 << 16));
  CHECK_INT(refused.calls, ==, 1);
  CHECK_INT(*page, ==, 1);
  CHECK_INT(errno, ==, 77);
  CHECK(munmap(page, 1 << 16) == 0);
}

static void what_is_left_of_the_address_space(void) {
  size_t page = os_page_size();
  refuse("getrlimit", EPERM, 0, 0);
  CHECK_INT(os_address_space_left() == SIZE_MAX, ==, true);
  address_limit = RLIM_INFINITY;
  CHECK(os_address_space_left() == SIZE_MAX);
  address_limit = 1000 * page;
  statm = "300 20 10";
  CHECK_INT(os_address_space_left(), ==, 700 * page);
  statm = "999\n";
  CHECK_INT(os_address_space_left(), ==, page);
  statm = "1000 1";
  CHECK_INT(os_address_space_left(), ==, 0);
  statm = "5000 1";
  CHECK_INT(os_address_space_left(), ==, 0);
  statm = "";
  CHECK_INT(os_address_space_left(), ==, 1000 * page); /* nothing known of it: the limit counts */
  statm = NULL;
  refuse("open", EMFILE, 0, 0);
  CHECK_INT(os_address_space_left(), ==, 1000 * page);
  refuse("read", EIO, 0, 0);
  CHECK_INT(os_address_space_left(), ==, 1000 * page);
  address_limit = (rlim_t)1 << 50;
  CHECK_INT(os_address_space_left(), <, (size_t)1 << 50); /* the file as it is */
}

static void the_hint_lies_where_nothing_else_does(void) {
  static const unsigned char zeros[16], ones[16] = {255, 255, 255, 255, 255, 255, 255, 255};
  static const unsigned char some[16] = {0x21, 0x43, 0x65, 0x87, 1, 2, 3, 4};
  size_t largest = ((size_t)1 << 45) + ((size_t)1 << 40);
  if (UNDER_TSAN) return; /* which says itself where */
  random_bytes = NULL;
  CHECK_INT((uintptr_t)os_arena_hint(1 << 30), ==, (uintptr_t)1 << 45);
  random_bytes = zeros;
  CHECK_INT((uintptr_t)os_arena_hint(largest), ==, (uintptr_t)1 << 45);
  CHECK(os_arena_hint(largest + 1) == NULL);
  random_bytes = some;
  CHECK_INT((uintptr_t)os_arena_hint(1 << 30), ==, ((uintptr_t)1 << 45) + ((uintptr_t)0x654321 << 21));
  random_bytes = ones;
  CHECK_INT((uintptr_t)os_arena_hint(1 << 30), ==, ((uintptr_t)1 << 45) + ((uintptr_t)0x7fffff << 21));
}

/* ---- the process ------------------------------------------------------------------------------------------------------- */

static void processors_that_cannot_be_counted_are_many(void) {
  refuse("sched_getaffinity", EINVAL, 0, 0); /* more than a cpu_set_t holds */
  CHECK_INT(os_processors(), ==, 64);
  for (processors_set = 1; processors_set <= 300; processors_set++) CHECK_INT(os_processors(), ==, (unsigned)processors_set);
  processors_set = 0;
  CHECK_INT(os_processors(), ==, 1);
}

static void the_environment_is_searched_for_the_whole_name(void) {
  CHECK(clearenv() == 0);
  CHECK(os_environment("SCALLOC_STATS") == NULL);
  CHECK(setenv("SCALLOC_STATS_MORE", "1", 1) == 0);
  CHECK(setenv("XSCALLOC_STATS", "2", 1) == 0);
  CHECK(setenv("SCALLOC", "3", 1) == 0);
  CHECK(os_environment("SCALLOC_STATS") == NULL);
  CHECK(setenv("SCALLOC_STATS", "", 1) == 0);
  CHECK(strcmp(os_environment("SCALLOC_STATS"), "") == 0);
  CHECK(setenv("SCALLOC_STATS", "a=b", 1) == 0);
  CHECK(strcmp(os_environment("SCALLOC_STATS"), "a=b") == 0);
  secure = 1; /* a set-user-ID program */
  CHECK(os_environment("SCALLOC_STATS") == NULL);
  secure = 0;
}

static void valgrind_is_known_by_what_it_preloads(void) {
  CHECK(unsetenv("LD_PRELOAD") == 0);
  CHECK(!os_under_valgrind());
  CHECK(setenv("LD_PRELOAD", "/usr/lib/libother.so", 1) == 0);
  CHECK(!os_under_valgrind());
  CHECK(setenv("LD_PRELOAD", "/x/libother.so:/usr/libexec/valgrind/vgpreload_core-amd64-linux.so", 1) == 0);
  CHECK(os_under_valgrind());
  CHECK(unsetenv("LD_PRELOAD") == 0);
}

static uint32_t milliseconds(void) {
  struct timespec time;
  CHECK(clock_gettime(CLOCK_MONOTONIC_COARSE, &time) == 0);
  return (uint32_t)((uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000);
}

static void the_clock_is_monotonic_and_in_milliseconds(void) {
  for (int i = 0; i < 20; i++) {
    uint32_t before = milliseconds(), told = os_now_ms(), after = milliseconds();
    CHECK_INT(told - before, <=, after - before); /* between the two, even where the count wraps */
    sleep_ms(1);
  }
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

static void write_in_parts(size_t most) {
  static const char text[] = "one line of text\n";
  written_length = 0;
  write_most = most;
  watch_writes = true;
  os_write_stderr(text, sizeof text - 1);
  watch_writes = false;
  written[written_length] = 0;
}

static void a_message_is_written_whole_or_given_up(void) {
  static const char text[] = "one line of text\n";
  refuse("write", EINTR, EINTR, 0);
  write_in_parts(100);
  CHECK(strcmp(written, text) == 0);
  CHECK_INT(refused.calls, ==, 3);
  refuse("write", 0, EINTR, 0);
  write_in_parts(5); /* a pipe that takes a few bytes at a time */
  CHECK(strcmp(written, text) == 0);
  CHECK_INT(refused.calls, ==, 5);
  refuse("write", 0, EPIPE, 0);
  write_in_parts(5);
  CHECK(strcmp(written, "one l") == 0);
  CHECK_INT(refused.calls, ==, 2);
  refuse("write", 0, 0, 0);
  write_in_parts(0); /* neither bytes nor an error: no endless loop */
  CHECK_INT(refused.calls, ==, 1);
}

static char lengthy[3000];

static void panic_at_an_address(void) { os_panic("what", (void *)(uintptr_t)0x123456789abcdef0, "why"); }
static void panic_at_null(void) { os_panic("what", NULL, "why"); }
static void panic_at_length(void) { os_panic(lengthy, NULL, lengthy); }
static void assertion(void) { os_assertion("x == y", "file.c", 1203); }
static void assertion_at_length(void) { os_assertion(lengthy, lengthy, 7); }

static const struct {
  const char *name;
  void (*act)(void);
  const char *says; /* NULL: one line, cut */
} ends[] = {{"address", panic_at_an_address, "scalloc: what 0x123456789abcdef0: why\n"},
            {"null", panic_at_null, "scalloc: what 0x0: why\n"},
            {"long", panic_at_length, NULL},
            {"assertion", assertion, "scalloc: assertion x == y at file.c:1203\n"},
            {"long assertion", assertion_at_length, NULL}};

static void faults_abort_with_one_line(void) {
  for (size_t i = 0; i < LENGTH(ends); i++) {
    child result = run_self(ends[i].name, NULL, 0);
    CHECK(!result.exited && result.code == SIGABRT);
    if (ends[i].says != NULL) {
      CHECK(strcmp(result.err, ends[i].says) == 0);
    } else {
      CHECK(strncmp(result.err, "scalloc: ", 9) == 0);
      CHECK_INT(strlen(result.err), >, 200);
      CHECK_INT(strlen(result.err), <=, 512);
      CHECK(strchr(result.err, '\n') == result.err + strlen(result.err) - 1);
    }
  }
}

int main(int argc, char **argv) {
  memset(lengthy, 'x', sizeof lengthy - 1);
  for (size_t i = 0; argc > 1 && i < LENGTH(ends); i++)
    if (strcmp(argv[1], ends[i].name) == 0) ends[i].act();
  faults_abort_with_one_line();
  address_space_may_be_refused();
  a_purge_is_tried_again_only_while_the_system_is_busy();
  what_is_left_of_the_address_space();
  the_hint_lies_where_nothing_else_does();
  processors_that_cannot_be_counted_are_many();
  the_environment_is_searched_for_the_whole_name();
  valgrind_is_known_by_what_it_preloads();
  the_clock_is_monotonic_and_in_milliseconds();
  a_message_is_written_whole_or_given_up();
  return 0;
}
