/*
 * os_linux.c - the OS seam on Linux: thin wrappers round system calls, no state but what is constant for a process. Files are read
 * and written without the functions of that name, which end a thread that was cancelled, and which other libraries replace by
 * their own that allocate.
 */
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "atomics.h"

void *os_reserve(void *hint, size_t bytes) {
  void *p = mmap(hint, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : p;
}

bool os_open(void *start, size_t bytes) { return mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0; }

bool os_close(void *start, size_t bytes) {
  int saved = errno; /* frees close */
  bool closed = mprotect(start, bytes, PROT_NONE) == 0;
  errno = saved;
  return closed;
}

bool os_lock(void *start, size_t bytes) { return mlock(start, bytes) == 0; }

void os_unlock(void *start, size_t bytes) {
  int saved = errno;
  munlock(start, bytes);
  errno = saved;
}

bool os_purge(void *start, size_t bytes) {
  int failed, saved = errno; /* frees purge, and keep errno */
  do {
    failed = madvise(start, bytes, MADV_DONTNEED);
  } while (failed && errno == EAGAIN);
  errno = saved;
  return failed == 0;
}

void os_advise_reserved(void *start, size_t bytes) {
  madvise(start, bytes, MADV_NOHUGEPAGE);
  madvise(start, bytes, MADV_DONTDUMP);
}

void os_advise_opened(void *start, size_t bytes) { madvise(start, bytes, MADV_DODUMP); }

/* The first figure of /proc/self/statm: the size of this process's address space in pages; 0 if it cannot be read. */
static size_t address_space_pages(void) {
  char text[32];
  int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  long length = syscall(SYS_read, fd, text, sizeof text - 1);
  syscall(SYS_close, fd);
  size_t pages = 0;
  for (long i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++) pages = pages * 10 + (size_t)(text[i] - '0');
  return pages;
}

size_t os_address_space_left(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
  size_t used = address_space_pages() * os_page_size();
  return limit.rlim_cur > used ? (size_t)limit.rlim_cur - used : 0;
}

void *os_arena_hint(size_t bytes) {
  /* Between 32 and 80 TB lie no libraries, stacks or heaps of other allocators, whatever the layout of the process; arena
     addresses there also stay outside the range that a conservative collector takes for its own. */
  if (UNDER_TSAN || bytes > ((size_t)1 << 45) + ((size_t)1 << 40)) return NULL;
  const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
  uint64_t seed = 0;
  if (random) memcpy(&seed, random, sizeof seed);
  return (void *)(((uintptr_t)1 << 45) + ((seed & 0x7FFFFF) << 21));
}

static void (*fault_report)(const void *address);

static void on_fault(int number, siginfo_t *info, void *context) {
  (void)context;
  if (info->si_code > 0) fault_report(info->si_addr); /* not one sent by a process */
  signal(number, SIG_DFL);
  if (info->si_code <= 0) raise(number); /* otherwise the access is tried again */
}

void os_catch_faults(void (*report)(const void *address)) {
  struct sigaction now, ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  static volatile word_t asked;
  int saved = errno;
  if (word_load_relaxed(&asked) != 0 || !word_cas_full(&asked, 0, 1)) return;
  fault_report = report;
  sigemptyset(&ours.sa_mask);
  if (sigaction(SIGSEGV, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
    sigaction(SIGSEGV, &ours, NULL);
  errno = saved;
}

uint64_t os_secret(void) {
  const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);
  uint64_t secret = (uint64_t)getpid();
  if (random) memcpy(&secret, random + sizeof secret, sizeof secret); /* the first half is in the arena's address */
  return secret;
}

bool os_under_valgrind(void) {
  const char *preload = os_environment("LD_PRELOAD");
  return preload && strstr(preload, "vgpreload");
}

unsigned os_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 64;
  int n = CPU_COUNT(&set);
  return n > 0 ? (unsigned)n : 1;
}

uint32_t os_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

void os_yield(void) { sched_yield(); }

void os_wait(volatile unsigned *word, unsigned value, uint32_t ms) {
  struct timespec most = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &most, NULL, 0);
}

void os_wake(volatile unsigned *word) {
  int saved = errno; /* frees wake */
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
  errno = saved;
}

size_t os_page_size(void) { return (size_t)getauxval(AT_PAGESZ); }

extern void *stack_end __asm__("__libc_stack_end") __attribute__((weak)); /* of glibc's dynamic linker */

/* The environment; before the C library has been initialised, from where the kernel put it: behind the arguments, on the stack. */
static char **environment(void) {
  if (environ) return environ;
  char **stack = &stack_end ? stack_end : NULL;
  return stack ? stack + 1 + (uintptr_t)stack[0] + 1 : NULL; /* number of arguments, these, NULL, the environment */
}

/* Nothing for a set-user-ID program, whose environment another user made. */
const char *os_environment(const char *name) {
  size_t length = strlen(name);
  if (getauxval(AT_SECURE)) return NULL;
  for (char **entry = environment(); entry && *entry; entry++)
    if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return *entry + length + 1;
  return NULL;
}

void os_write_stderr(const char *text, size_t length) {
  while (length > 0) {
    long n = syscall(SYS_write, STDERR_FILENO, text, length);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text += n;
    length -= (size_t)n;
  }
}

static char *append(char *to, const char *end, const char *text) {
  while (*text && to < end) *to++ = *text++;
  return to;
}

/* A system call that reads a word and then finds no such operation. */
bool os_readable(const void *address) {
  int saved = errno;
  bool readable = syscall(SYS_rt_sigprocmask, ~0, address, NULL, sizeof(uint64_t)) == 0 || errno != EFAULT;
  errno = saved;
  return readable;
}

void os_report(const char *what, const void *address, const char *why) {
  char line[256] = {0}, digits[20];
  char *end = line + sizeof line - 1;
  char *p = append(append(append(line, end, "scalloc: "), end, what), end, " 0x");
  int n = 0;
  uintptr_t value = (uintptr_t)address;
  do digits[n++] = "0123456789abcdef"[value & 15];
  while ((value >>= 4) != 0);
  while (n > 0 && p < end) *p++ = digits[--n];
  p = append(append(p, end, ": "), end, why);
  *p++ = '\n';
  os_write_stderr(line, (size_t)(p - line));
}

_Noreturn void os_panic(const char *what, const void *address, const char *why) {
  os_report(what, address, why);
  abort();
}

#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
_Noreturn void os_assertion(const char *text, const char *file, int line) {
  char buffer[512] = {0}, digits[12];
  char *end = buffer + sizeof buffer - 1;
  char *p = append(append(append(append(buffer, end, "scalloc: assertion "), end, text), end, " at "), end, file);
  int n = 0;
  p = append(p, end, ":");
  do digits[n++] = (char)('0' + line % 10);
  while ((line /= 10) != 0);
  while (n > 0 && p < end) *p++ = digits[--n];
  *p++ = '\n';
  os_write_stderr(buffer, (size_t)(p - buffer));
  abort();
}
#endif
