/*
 * top.c - scalloc-top [OPTION...] PID|FILE: shows the heap of a process that runs on scalloc, or a picture of it that was kept:
 * live in a terminal, as JSON, for Prometheus, as a page.
 */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "output.h"
#include "report.h"
#include "screen.h"
#include "snapshot.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

static const char usage_line[] = "usage: scalloc-top [--interval=SECONDS] [--once] [--json[=FILE]] [--prometheus[=FILE]] "
                                 "[--html=FILE]\n                   PID|FILE";

static const char help[] =
    "Shows the heap of the process PID, which runs on scalloc in whatever way: preloaded, linked, inside scalloc-lua. The "
    "process is\n"
    "not stopped and does not help; figures are of the moment each was read. The key q ends it. A FILE that is no number is "
    "one "
    "that\n"
    "--json wrote: its last picture is shown once.\n"
    "\n"
    "  --interval=SECONDS    time from one picture to the next, 2 unless given; 0.1 to 86400\n"
    "  --once                one picture as text, then ends\n"
    "  --json                pictures as JSON, one line each\n"
    "  --json=FILE           writes one picture as JSON, then ends\n"
    "  --prometheus[=FILE]   writes one picture in the text format of Prometheus, then ends\n"
    "  --html=FILE           writes one page for a browser, which needs nothing else, then ends\n"
    "  --help                this text\n"
    "\n"
    "Where standard output is no terminal the pictures come one after the other, with an empty line between.\n"
    "Exit status: 0 also when the process ends meanwhile; 1 there is no such process, it may not be read, it does not run on "
    "scalloc,\n"
    "the file has no whole picture, or output cannot be written; 2 wrong usage.\n";

typedef enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_PROMETHEUS, FORMAT_PAGE } output_format;

static struct {
  pid_t pid;
  const char *file; /* instead of it */
  int interval_ms;
  bool once, at_end;
  output_format format;
  const char *output; /* NULL: standard output */
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

/* A process, if it is all digits, else a file. */
static void parse_source(const char *text) {
  if (wanted.pid != 0 || wanted.file != NULL) wrong_usage("one process or file at a time: ", text);
  if (*text != 0 && text[strspn(text, "0123456789")] != 0) {
    wanted.file = text;
    wanted.once = true;
    return;
  }
  long pid = strtol(text, NULL, 10);
  if (pid < 1 || pid > 1L << 30) wrong_usage("not a process number: ", text);
  wanted.pid = (pid_t)pid;
}

/* --json, --json=FILE and the like. */
static bool parse_output(const char *argument) {
  static const struct {
    const char *name;
    output_format format;
  } options[] = {{"--json", FORMAT_JSON}, {"--prometheus", FORMAT_PROMETHEUS}, {"--html", FORMAT_PAGE}};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    size_t length = strlen(options[i].name);
    if (strncmp(argument, options[i].name, length) != 0 || (argument[length] != 0 && argument[length] != '=')) continue;
    const char *file = argument[length] ? argument + length + 1 : NULL;
    if (file ? *file == 0 : options[i].format == FORMAT_PAGE) wrong_usage("which file? ", argument);
    if (wanted.format != FORMAT_TEXT && wanted.format != options[i].format)
      wrong_usage("one of --html, --json, --prometheus", "");
    wanted.format = options[i].format;
    wanted.output = file;
    wanted.once |= file != NULL || wanted.format == FORMAT_PROMETHEUS;
    return true;
  }
  return false;
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
    else if (strcmp(argument, "--at-end") == 0) /* scalloc-run --heap-map: for the sentence on the page */
      wanted.at_end = true;
    else if (strncmp(argument, "--interval=", 11) == 0)
      wanted.interval_ms = parse_interval(argument, argument + 11);
    else if (argument[0] == '-' && !parse_output(argument))
      wrong_usage("unknown option ", argument);
    else if (argument[0] != '-')
      parse_source(argument);
  }
  if (wanted.pid == 0 && wanted.file == NULL) wrong_usage("which process?", "");
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

static int complain_of_file(snapshot_result result) {
  static const char *const why[] = {
      [SNAPSHOT_EMPTY] = "there is no picture in it",
      [SNAPSHOT_CUT] = "it ends in the middle of a picture",
      [SNAPSHOT_WRONG] = "not what scalloc-top --json writes",
      [SNAPSHOT_OTHER] = "of another version of scalloc-top",
      [SNAPSHOT_LARGE] = "larger than 1 GB; keep the last lines alone",
  };
  fprintf(stderr, "scalloc-top: %s: %s\n", wanted.file, result == SNAPSHOT_UNREADABLE ? strerror(errno) : why[result]);
  return STATUS_FAILED;
}

/* ---- the ways to show it ------------------------------------------------------------------------------------------------ */

static void report(FILE *file, const picture *p, const target *t) {
  switch (wanted.format) {
  case FORMAT_JSON:
    report_json(file, p, t);
    break;
  case FORMAT_PROMETHEUS:
    report_prometheus(file, p, t);
    break;
  case FORMAT_PAGE:
    report_page(file, p, t);
    break;
  default:
    report_text(file, p, t, (report_room){0});
    break;
  }
}

static int show_once(const picture *p, const target *t) {
  output out = {.file = stdout};
  bool written = wanted.output == NULL || output_open(&out, wanted.output);
  if (written) {
    report(out.file, p, t);
    written = wanted.output ? output_close(&out) : fflush(stdout) == 0 && !ferror(stdout);
  }
  if (written) return 0;
  perror(wanted.output ? wanted.output : "scalloc-top: standard output");
  return STATUS_FAILED;
}

static int show_on(picture *p, target *t) {
  struct timespec pause = {wanted.interval_ms / 1000, wanted.interval_ms % 1000 * 1000000L};
  for (;;) {
    int status = show_once(p, t);
    if (status != 0) return status;
    nanosleep(&pause, NULL);
    if (picture_take(p, t) != TARGET_FOUND) return 0;
    if (wanted.format == FORMAT_TEXT) putchar('\n');
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

static int show_file(void) {
  target t = {.pid = 0};
  picture p = {0};
  snapshot_result result = snapshot_read(wanted.file, &p, &t);
  p.file = wanted.file;
  int status = result == SNAPSHOT_READ ? show_once(&p, &t) : complain_of_file(result);
  picture_free(&p);
  return status;
}

static int show_process(void) {
  target t;
  picture p = {0};
  target_result result = target_open(&t, wanted.pid);
  if (result == TARGET_FOUND) result = picture_take(&p, &t);
  p.at_end = wanted.at_end;
  int status = result != TARGET_FOUND                           ? complain(result)
               : wanted.once                                    ? show_once(&p, &t)
               : wanted.format == FORMAT_TEXT && screen_begin() ? show_live(&p, &t)
                                                                : show_on(&p, &t);
  picture_free(&p);
  target_close(&t);
  return status;
}

int main(int argc, char **argv) {
  setlocale(LC_CTYPE, "");
  parse(argc, argv);
  return wanted.file ? show_file() : show_process();
}
