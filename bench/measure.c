/* measure: runs one command and reports what it cost, in time and in memory as the kernel counts it.
 *
 * While the command runs, /proc/PID/status is read every few milliseconds: one pread of a file that stays open. The command's
 * own input and output are left alone; the report goes to a file, or to stderr.
 *
 *   peak_rss_bytes   the most resident memory: the larger of VmHWM, as last seen, and the kernel's ru_maxrss at the end
 *   peak_pte_bytes   the most page tables (VmPTE) any sample saw
 *   peak_sum_bytes   the most resident memory and page tables together: the largest VmRSS + VmPTE of one sample, or
 *                    peak_rss_bytes + VmPTE of the last sample where that is more. Page tables seldom shrink while a process
 *                    lives, so the second term is what catches a short peak between two samples.
 *
 * The numbers are those of the process started, not of its children, except that the kernel's user and system seconds and
 * ru_maxrss take in children it waited for. exec by the command (`env A=B program`) keeps the process.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BAD_USE = 2, OWN_FAILURE = 125, NOT_EXECUTABLE = 126, NOT_FOUND = 127, LONGEST_INTERVAL_MS = 60000 };

static const char usage_line[] = "usage: measure [--interval-ms=N] [--json=FILE] [--] COMMAND [ARGS...]\n";
static const char help_text[] = "Runs COMMAND, samples its memory, and writes one JSON object about it.\n"
                                "  --interval-ms=N   milliseconds between two samples, 1 to 60000 (default 2)\n"
                                "  --json=FILE       where the object goes (default: stderr)\n"
                                "Exit status: COMMAND's; 128 + N if signal N ended it; 126 or 127 if it could not be run; 125 "
                                "if measure failed; 2 for bad use.\n";

struct options {
  struct timespec interval;
  const char *json;
  char **command;
};

struct memory {
  uint64_t resident, page_tables, sum; /* peaks over all samples */
  uint64_t last_page_tables;
  uint64_t samples;
};

struct outcome {
  int status; /* as wait4 gives it */
  double wall_seconds;
  struct rusage usage;
};

_Noreturn static void fail(const char *what) {
  fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
  exit(OWN_FAILURE);
}

_Noreturn static void bad_use(void) {
  fputs(usage_line, stderr);
  exit(BAD_USE);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct timespec interval_of(const char *text) {
  char *end;
  errno = 0;
  long ms = strtol(text, &end, 10);
  if (errno || end == text || *end || ms < 1 || ms > LONGEST_INTERVAL_MS) bad_use();
  return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
}

static struct options options_of(int argc, char **argv) {
  static const struct option known[] = {{"interval-ms", required_argument, NULL, 'i'},
                                        {"json", required_argument, NULL, 'j'},
                                        {"help", no_argument, NULL, 'h'},
                                        {NULL, 0, NULL, 0}};
  struct options options = {.interval = {.tv_nsec = 2000000}};
  int option;
  opterr = 0;
  while ((option = getopt_long(argc, argv, "+h", known, NULL)) != -1) {
    switch (option) {
    case 'i':
      options.interval = interval_of(optarg);
      break;
    case 'j':
      options.json = optarg;
      break;
    case 'h':
      printf("%s%s", usage_line, help_text);
      exit(EXIT_SUCCESS);
    default:
      bad_use();
    }
  }
  if (optind >= argc) bad_use();
  options.command = argv + optind;
  return options;
}

/* The value of a line "NAME:   123 kB" of a status file in bytes; 0 without one: a process that has ended has no memory. */
static uint64_t field(const char *status, const char *line_start) {
  const char *line = strstr(status, line_start);
  return line ? strtoull(line + strlen(line_start), NULL, 10) * 1024 : 0;
}

static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

static void sample(int status_file, struct memory *memory) {
  char text[4096];
  ssize_t length = pread(status_file, text, sizeof text - 1, 0);
  if (length <= 0) return;
  text[length] = '\0';
  uint64_t resident = field(text, "\nVmRSS:"), most_resident = field(text, "\nVmHWM:"), page_tables = field(text, "\nVmPTE:");
  if (!resident) return;
  memory->resident = larger(memory->resident, most_resident);
  memory->page_tables = larger(memory->page_tables, page_tables);
  memory->sum = larger(memory->sum, resident + page_tables);
  memory->last_page_tables = page_tables;
  memory->samples++;
}

/* In the child: the command must not outlive measure, and starts with the signal mask and handlers measure was given. */
_Noreturn static void become(char **command, const sigset_t *mask, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(OWN_FAILURE);
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(command[0], command);
  int status = errno == ENOENT ? NOT_FOUND : NOT_EXECUTABLE;
  fprintf(stderr, "measure: %s: %s\n", command[0], strerror(errno));
  _exit(status);
}

static pid_t start(char **command) {
  sigset_t child_ends, before;
  sigemptyset(&child_ends);
  sigaddset(&child_ends, SIGCHLD);
  signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would take the child's status away */
  sigprocmask(SIG_BLOCK, &child_ends, &before);
  pid_t parent = getpid(), pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) become(command, &before, parent);
  signal(SIGINT, SIG_IGN); /* the terminal sends these to the command too, which decides */
  signal(SIGQUIT, SIG_IGN);
  return pid;
}

/* Samples until the child ends. SIGCHLD stays blocked and is waited for, so the end is seen at once, not at the next sample. */
static void watch(pid_t pid, const struct timespec *interval, struct memory *memory, struct outcome *outcome) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
  int status_file = open(path, O_RDONLY | O_CLOEXEC);
  if (status_file < 0) fail(path);
  sigset_t child_ends;
  sigemptyset(&child_ends);
  sigaddset(&child_ends, SIGCHLD);
  for (;;) {
    pid_t ended = wait4(pid, &outcome->status, WNOHANG, &outcome->usage);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR) fail("wait4");
    sample(status_file, memory);
    sigtimedwait(&child_ends, NULL, interval);
  }
  close(status_file);
}

static struct outcome run(const struct options *options, struct memory *memory) {
  struct outcome outcome = {0};
  double begin = now();
  pid_t pid = start(options->command);
  watch(pid, &options->interval, memory, &outcome);
  outcome.wall_seconds = now() - begin;
  memory->resident = larger(memory->resident, (uint64_t)outcome.usage.ru_maxrss * 1024);
  memory->sum = larger(memory->sum, memory->resident + memory->last_page_tables);
  return outcome;
}

static int exit_status(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

static double seconds(struct timeval t) { return (double)t.tv_sec + (double)t.tv_usec * 1e-6; }

static bool report(FILE *to, const struct outcome *outcome, const struct memory *memory) {
  fprintf(to, "{\"wall_seconds\": %.6f, \"user_seconds\": %.6f, \"sys_seconds\": %.6f, ", outcome->wall_seconds,
          seconds(outcome->usage.ru_utime), seconds(outcome->usage.ru_stime));
  fprintf(to, "\"peak_rss_bytes\": %" PRIu64 ", \"peak_pte_bytes\": %" PRIu64 ", \"peak_sum_bytes\": %" PRIu64 ", ",
          memory->resident, memory->page_tables, memory->sum);
  fprintf(to, "\"samples\": %" PRIu64 ", \"exit_status\": %d}\n", memory->samples, exit_status(outcome->status));
  return fflush(to) == 0 && !ferror(to);
}

int main(int argc, char **argv) {
  struct options options = options_of(argc, argv);
  FILE *to = stderr;
  if (options.json && !(to = fopen(options.json, "we"))) fail(options.json);
  struct memory memory = {0};
  struct outcome outcome = run(&options, &memory);
  if (!report(to, &outcome, &memory)) fail(options.json ? options.json : "stderr");
  return exit_status(outcome.status);
}
