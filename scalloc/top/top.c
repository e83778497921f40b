/*
 * top.c - scalloc-top [OPTION...] PID: shows the heap of a process that runs on scalloc, live in a terminal, as JSON, as a page.
 */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "report.h"
#include "screen.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char usage_line[] = "usage: scalloc-top [--interval=SECONDS] [--once] [--json] [--html=FILE] PID";

static const char help[] =
    "Shows the heap of the process PID, which runs on scalloc in whatever way: preloaded, linked, inside scalloc-lua. The "
    "process is\n"
    "not stopped and does not help; figures are of the moment each was read. The key q ends it.\n"
    "\n"
    "  --interval=SECONDS   time from one picture to the next, 2 unless given; 0.1 to 86400\n"
    "  --once               one picture as text, then ends\n"
    "  --json               pictures as JSON, one line each\n"
    "  --html=FILE          writes one page for a browser, which needs nothing else, then ends\n"
    "  --help               this text\n"
    "\n"
    "Where standard output is no terminal the pictures come one after the other, with an empty line between.\n"
    "Exit status: 0 also when the process ends meanwhile; 1 there is no such process, it may not be read, it does not run on "
    "scalloc,\n"
    "or output cannot be written; 2 wrong usage.\n";

static struct {
  pid_t pid;
  int interval_ms;
  bool once, json, at_exit;
  const char *page;
} wanted = {.interval_ms = 2000};

static _Noreturn void wrong_usage(const char *what, const char *argument) {
  fprintf(stderr, "scalloc-top: %s%s\n%s\n", what, argument, usage_line);
  exit(STATUS_USAGE);
}

static int parse_interval(const char *argument, const char *text) {
  char *end;
  double seconds = strtod(text, &end);
  if (end == text || *end != 0 || !(seconds >= 0.1 && seconds <= 86400)) wrong_usage("not a time: ", argument);
  return (int)(seconds * 1000);
}

static pid_t parse_pid(const char *text) {
  char *end;
  long pid = strtol(text, &end, 10);
  if (*text < '0' || *text > '9' || *end != 0 || pid < 1 || pid > 1L << 30) wrong_usage("not a process number: ", text);
  return (pid_t)pid;
}

static void parse(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    const char *argument = argv[i];
    if (strcmp(argument, "--help") == 0) {
      printf("%s\n%s", usage_line, help);
      exit(fflush(stdout) == 0 ? 0 : STATUS_FAILED);
    }
    if (strcmp(argument, "--once") == 0)
      wanted.once = true;
    else if (strcmp(argument, "--json") == 0)
      wanted.json = true;
    else if (strcmp(argument, "--at-exit") == 0) /* scalloc-run --heap-map: for the sentence on the page */
      wanted.at_exit = true;
    else if (strncmp(argument, "--interval=", 11) == 0)
      wanted.interval_ms = parse_interval(argument, argument + 11);
    else if (strncmp(argument, "--html=", 7) == 0 && argument[7] != 0)
      wanted.page = argument + 7;
    else if (argument[0] == '-')
      wrong_usage("unknown option ", argument);
    else if (wanted.pid != 0)
      wrong_usage("one process at a time: ", argument);
    else
      wanted.pid = parse_pid(argument);
  }
  if (wanted.pid == 0) wrong_usage("which process?", "");
  if (wanted.page && wanted.json) wrong_usage("--html or --json", "");
}

static int complain(target_result result) {
  static const char *const why[] = {
      [TARGET_MISSING] = "there is no such process",
      [TARGET_FORBIDDEN] = "it may not be read (of another user, or protected: see ptrace(2))",
      [TARGET_ELSEWHERE] = "it does not run on scalloc, or has not allocated yet",
      [TARGET_OTHER] = "its scalloc is another version than this program",
  };
  fprintf(stderr, "scalloc-top: process %d: %s\n", (int)wanted.pid, why[result]);
  return STATUS_FAILED;
}

/* ---- the ways to show it ------------------------------------------------------------------------------------------------ */

static int write_page(const picture *p, const target *t) {
  char when[80];
  time_t now = time(NULL);
  struct tm local;
  strftime(when, sizeof when, wanted.at_exit ? "at its end, %F %T" : "on %F at %T", localtime_r(&now, &local));
  FILE *file = fopen(wanted.page, "w");
  if (file) report_page(file, p, t, when);
  bool written = file && !ferror(file);
  if ((file && fclose(file) != 0) || !written) {
    perror(wanted.page);
    return STATUS_FAILED;
  }
  return 0;
}

static int show_once(const picture *p, const target *t) {
  if (wanted.json)
    report_json(stdout, p, t);
  else
    report_text(stdout, p, t, (report_room){0});
  if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
  perror("scalloc-top: standard output");
  return STATUS_FAILED;
}

static int show_on(picture *p, target *t) {
  struct timespec pause = {wanted.interval_ms / 1000, wanted.interval_ms % 1000 * 1000000L};
  for (;;) {
    int status = show_once(p, t);
    if (status != 0) return status;
    nanosleep(&pause, NULL);
    if (picture_take(p, t) != TARGET_FOUND) return 0;
    if (!wanted.json) putchar('\n');
  }
}

static void draw(const picture *p, const target *t) {
  char *text = NULL, time_text[32];
  size_t length;
  time_t now = time(NULL);
  struct tm local;
  report_room room = {.bars = strcmp(nl_langinfo(CODESET), "UTF-8") == 0};
  screen_size(&room.rows, &room.columns);
  FILE *memory = open_memstream(&text, &length);
  if (memory == NULL) return;
  strftime(time_text, sizeof time_text, "%T", localtime_r(&now, &local));
  report_text(memory, p, t, room);
  fprintf(memory, "\n%s, every %g s; q quits", time_text, wanted.interval_ms / 1000.0);
  if (fclose(memory) == 0) screen_show(text);
  free(text);
}

static int show_live(picture *p, target *t) {
  screen_event event;
  target_result result = TARGET_FOUND;
  do {
    draw(p, t);
    event = screen_wait(wanted.interval_ms);
  } while (event != SCREEN_QUIT && (event == SCREEN_REDRAW || (result = picture_take(p, t)) == TARGET_FOUND));
  screen_end();
  if (result != TARGET_FOUND) printf("process %d has ended\n", (int)wanted.pid);
  if (screen_signal() == 0) return 0;
  signal(screen_signal(), SIG_DFL); /* whoever waits is to see what it was */
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, screen_signal());
  sigprocmask(SIG_UNBLOCK, &one, NULL);
  kill(getpid(), screen_signal());
  return STATUS_FAILED;
}

int main(int argc, char **argv) {
  target t;
  picture p = {0};
  setlocale(LC_CTYPE, "");
  parse(argc, argv);
  target_result result = target_open(&t, wanted.pid);
  if (result == TARGET_FOUND) result = picture_take(&p, &t);
  int status = result != TARGET_FOUND           ? complain(result)
               : wanted.page                    ? write_page(&p, &t)
               : wanted.once                    ? show_once(&p, &t)
               : !wanted.json && screen_begin() ? show_live(&p, &t)
                                                : show_on(&p, &t);
  picture_free(&p);
  target_close(&t);
  return status;
}
