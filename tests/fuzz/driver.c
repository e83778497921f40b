/*
 * driver.c - runs the fuzz target without libFuzzer: given inputs, and random or mutated ones.
 *
 * Inputs run in batches, each in a child process. A child writes an input into memory that it shares with the parent before it
 * runs it; so the parent knows the input that a child died of, whatever it died of, and writes it to a file.
 */
#include "../test.h"

#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LONGEST = 4096, BATCH = 250, HANG_SECONDS = 60, MOST_FILES = 100000 };
enum { OK = 0, FAILED = 1, WRONG_USE = 2 }; /* exit status */

typedef struct input {
  size_t size;
  uint8_t data[LONGEST];
} input;

typedef struct shared_state {
  input now; /* what the child runs */
  long runs;
} shared_state;

static shared_state *shared;
static input *files; /* given ones, also what mutations start from */
static size_t file_count, files_room;
static const char *artifacts = ".";
static bool quiet;

static const char usage[] = "usage: fuzz_driver [FILE|FOLDER ...]                run these inputs\n"
                            "       fuzz_driver --seconds N [FILE|FOLDER ...]    random inputs, and mutations of these\n"
                            "       fuzz_driver --runs N [FILE|FOLDER ...]       the same, so many of them\n"
                            "       fuzz_driver --minimize FILE                  make a failing input smaller, into FILE.min\n"
                            "  --seed S         of the random inputs (1)\n"
                            "  --batch B        begin with this batch of them (0)\n"
                            "  --artifacts DIR  where a failing input is written (.)\n"
                            "  --quiet          nothing about a failure but the exit status (for --minimize)\n"
                            "Exit status: 0 all inputs passed, 1 one failed, 2 wrong usage.\n";

/* ---- files ------------------------------------------------------------------------------------------------------------ */

static bool read_input(const char *path, input *in) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  in->size = 0;
  for (ssize_t got; (got = read(file, in->data + in->size, LONGEST - in->size)) > 0;) in->size += (size_t)got;
  close(file);
  return true;
}

static bool write_input(const char *path, const input *in) {
  int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return false;
  bool whole = write(file, in->data, in->size) == (ssize_t)in->size;
  return close(file) == 0 && whole;
}

static bool add_file(const char *path) {
  if (file_count == files_room) {
    files_room = files_room ? 2 * files_room : 64;
    if (files_room > MOST_FILES || !(files = realloc(files, files_room * sizeof *files))) return false;
  }
  return read_input(path, &files[file_count]) && ++file_count;
}

static int is_visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

/* Sorted by name, so that a seed means the same everywhere. */
static bool add_path(const char *path) {
  struct stat status;
  struct dirent **entries;
  char inside[4096];
  if (stat(path, &status) != 0) return false;
  if (!S_ISDIR(status.st_mode)) return add_file(path);
  int n = scandir(path, &entries, is_visible, alphasort);
  bool fine = n >= 0;
  for (int i = 0; i < n; i++) {
    snprintf(inside, sizeof inside, "%s/%s", path, entries[i]->d_name);
    fine = fine && stat(inside, &status) == 0 && (S_ISDIR(status.st_mode) || add_file(inside));
    free(entries[i]);
  }
  if (n >= 0) free(entries);
  return fine;
}

/* ---- children --------------------------------------------------------------------------------------------------------- */

/* Runs `work` in a child. The answer is its wait status: 0 all is well. */
static int in_child(void (*work)(const void *), const void *argument) {
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    if (quiet) close(STDERR_FILENO);
    signal(SIGALRM, SIG_DFL);
    LLVMFuzzerInitialize(NULL, NULL);
    work(argument);
    exit(0); /* not _exit: coverage is written by then */
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid);
  return status;
}

static void run_one(const input *in) {
  shared->now.size = in->size;
  memcpy(shared->now.data, in->data, in->size);
  alarm(HANG_SECONDS); /* whoever is still at it then is killed, and the parent sees by which signal */
  LLVMFuzzerTestOneInput(shared->now.data, shared->now.size);
  shared->runs++;
}

static void run_alone(const void *argument) { run_one(argument); }

static void describe(int status, const char *path, bool alone, const char *again) {
  fprintf(stderr, "\nfuzz_driver: an input of %zu bytes ", shared->now.size);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    fprintf(stderr, "took more than %d s", HANG_SECONDS);
  else
    fprintf(stderr, WIFSIGNALED(status) ? "died by signal %d" : "exited with %d",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  fprintf(stderr, "; it is in %s\n", path);
  if (alone)
    fprintf(stderr, "It fails alone too: fuzz_driver %s\n", path);
  else
    fprintf(stderr, "Alone it passes; what came before in its process matters. Again: fuzz_driver %s\n", again);
}

/* Says what failed, saves it, tries it alone. */
static int report(int status, const char *again) {
  char path[4096];
  uint64_t hash = shared->now.size;
  input failed = shared->now;
  for (size_t i = 0; i < failed.size; i++) hash = mix(hash ^ failed.data[i]);
  snprintf(path, sizeof path, "%s/crash-%016llx", artifacts, (unsigned long long)hash);
  if (!write_input(path, &failed)) fprintf(stderr, "fuzz_driver: cannot write %s\n", path);
  quiet = true;
  bool alone = in_child(run_alone, &failed) != 0;
  describe(status, path, alone, again);
  return FAILED;
}

/* ---- given inputs ----------------------------------------------------------------------------------------------------- */

static void run_files(const void *first) {
  size_t from = *(const size_t *)first, to = from + BATCH < file_count ? from + BATCH : file_count;
  for (size_t i = from; i < to; i++) run_one(&files[i]);
}

static int all_files(void) {
  for (size_t from = 0; from < file_count; from += BATCH) {
    int status = in_child(run_files, &from);
    if (status != 0) return report(status, "with the same files");
  }
  CHECK_INT(shared->runs, ==, file_count);
  printf("%zu inputs passed\n", file_count);
  return OK;
}

/* ---- random inputs ---------------------------------------------------------------------------------------------------- */

static void insert(input *in, size_t at, const uint8_t *bytes, size_t length) {
  if (length > LONGEST - in->size) length = LONGEST - in->size;
  memmove(in->data + at + length, in->data + at, in->size - at);
  memcpy(in->data + at, bytes, length);
  in->size += length;
}

static void cut(input *in, size_t at, size_t length) {
  if (length > in->size - at) length = in->size - at;
  memmove(in->data + at, in->data + at + length, in->size - at - length);
  in->size -= length;
}

/* One change: a byte, some bytes more or less, a part of this input or of another one again. */
static void mutate(input *in, rng *random) {
  size_t at = rng_below(random, in->size + 1), length = rng_log(random, 7);
  uint8_t bytes[LONGEST];
  const input *from = rng_percent(random, 50) && file_count > 0 ? &files[rng_below(random, file_count)] : in;
  size_t start = rng_below(random, from->size + 1);
  if (length > from->size - start) length = from->size - start;
  switch (rng_below(random, 6)) {
  case 0:
    cut(in, at, rng_log(random, 7));
    break;
  case 1:
  case 2:
    memcpy(bytes, from->data + start, length);
    insert(in, at, bytes, length);
    break;
  case 3:
    length = rng_log(random, 5);
    for (size_t i = 0; i < length; i++) bytes[i] = (uint8_t)rng_next(random);
    insert(in, at, bytes, length);
    break;
  default:
    if (at < in->size) in->data[at] = (uint8_t)(rng_percent(random, 50) ? rng_next(random) : in->data[at] ^ 1u << at % 8);
  }
}

static void invent(input *in, rng *random) {
  if (file_count == 0 || rng_percent(random, 25)) {
    in->size = rng_log(random, 11);
    for (size_t i = 0; i < in->size; i++) in->data[i] = (uint8_t)rng_next(random);
    return;
  }
  *in = files[rng_below(random, file_count)];
  for (size_t n = 1 + rng_below(random, 12); n > 0; n--) mutate(in, random);
}

typedef struct batch {
  uint64_t seed;
  long number, inputs;
  double until;
} batch;

static void run_batch(const void *argument) {
  const batch *b = argument;
  static input in;
  rng random = {mix(b->seed) ^ (uint64_t)b->number};
  for (long i = 0; i < b->inputs && (b->until == 0 || now() < b->until); i++) {
    invent(&in, &random);
    run_one(&in);
  }
}

static int random_inputs(batch b, long seconds, long runs) {
  double started = now(), told = started;
  if (seconds > 0) b.until = started + (double)seconds;
  while (seconds > 0 ? now() < b.until : shared->runs < runs) {
    char again[200];
    b.inputs = runs > 0 && runs - shared->runs < BATCH ? runs - shared->runs : BATCH;
    snprintf(again, sizeof again, "--runs %d --seed %llu --batch %ld, and the same files", BATCH, (unsigned long long)b.seed,
             b.number);
    int status = in_child(run_batch, &b);
    if (status != 0) return report(status, again);
    b.number++;
    if (now() - told < 30) continue;
    told = now();
    printf("%.0f s, %ld inputs\n", told - started, shared->runs);
    fflush(stdout);
  }
  printf("%ld random inputs passed in %.1f s, seed %llu\n", shared->runs, now() - started, (unsigned long long)b.seed);
  return shared->runs > 0 ? OK : FAILED;
}

/* ---- smaller ones ----------------------------------------------------------------------------------------------------- */

/* Leaves out every part that is not needed for the failure, long parts first; then tries zeros. */
static int minimize(const char *path) {
  static input best, less;
  char to[4096];
  quiet = true;
  if (!read_input(path, &best)) return fputs(usage, stderr), WRONG_USE;
  if (in_child(run_alone, &best) == 0) return printf("%s does not fail\n", path), FAILED;
  for (size_t length = best.size; length > 0; length /= 2)
    for (size_t at = 0; at + length <= best.size;) {
      less = best;
      cut(&less, at, length);
      if (in_child(run_alone, &less) != 0)
        best = less;
      else
        at += length;
    }
  for (size_t at = 0; at < best.size; at++) {
    less = best;
    less.data[at] = 0;
    if (best.data[at] != 0 && in_child(run_alone, &less) != 0) best = less;
  }
  snprintf(to, sizeof to, "%s.min", path);
  if (!write_input(to, &best)) return fprintf(stderr, "cannot write %s\n", to), FAILED;
  printf("%s: %zu bytes\n", to, best.size);
  return OK;
}

/* ---- the program ------------------------------------------------------------------------------------------------------ */

typedef struct command {
  long seconds, runs;
  batch first;
  const char *minimize;
} command;

/* A non-negative number and nothing else. */
static bool number(const char *text, long *value) {
  char *end;
  errno = 0;
  *value = strtol(text, &end, 10);
  return end != text && *end == 0 && errno == 0 && *value >= 0;
}

static bool option(command *c, const char *name, const char *value) {
  long seed;
  if (!value) return false;
  if (strcmp(name, "--seconds") == 0) return number(value, &c->seconds);
  if (strcmp(name, "--runs") == 0) return number(value, &c->runs);
  if (strcmp(name, "--batch") == 0) return number(value, &c->first.number);
  if (strcmp(name, "--seed") == 0) return number(value, &seed) && (c->first.seed = (uint64_t)seed, true);
  if (strcmp(name, "--artifacts") == 0) return artifacts = value, true;
  if (strcmp(name, "--minimize") == 0) return c->minimize = value, true;
  return false;
}

int main(int argc, char **argv) {
  command c = {.first = {.seed = 1}};
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(shared != MAP_FAILED);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) return fputs(usage, stdout), OK;
    if (strcmp(argv[i], "--quiet") == 0)
      quiet = true;
    else if (strncmp(argv[i], "--", 2) == 0) {
      if (!option(&c, argv[i], argv[i + 1])) return fputs(usage, stderr), WRONG_USE;
      i++;
    } else if (!add_path(argv[i]))
      return fprintf(stderr, "fuzz_driver: cannot read %s\n", argv[i]), WRONG_USE;
  }
  if (c.minimize) return minimize(c.minimize);
  if (c.seconds > 0 || c.runs > 0) return random_inputs(c.first, c.seconds, c.runs);
  return file_count > 0 ? all_files() : (fputs(usage, stderr), WRONG_USE);
}
