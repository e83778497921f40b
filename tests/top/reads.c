/*
 * reads.c - what scalloc-top says of this process, against what the process says of itself and knows: reads SCALLOC_TOP. Nothing
 * here allocates from scalloc while it is looked at.
 */
#include <pthread.h>
#include <scalloc/scalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

static const char *top;
static char seen[1 << 16];

/* One picture of this process, in `seen`. */
static void look(void) {
  char command[4096];
  snprintf(command, sizeof command, "%s --once --json %d", top, (int)getpid());
  FILE *pipe = popen(command, "r");
  CHECK(pipe != NULL);
  seen[fread(seen, 1, sizeof seen - 1, pipe)] = 0;
  CHECK(pclose(pipe) == 0);
}

/* The number behind "key": after the text `from`; -1: null; fails if there is none. */
static long long figure(const char *json, const char *from, const char *key) {
  char text[64];
  const char *at = strstr(json, from);
  snprintf(text, sizeof text, "\"%s\":", key);
  at = at ? strstr(at, text) : NULL;
  CHECK(at != NULL);
  at += strlen(text);
  return *at == 'n' ? -1 : strtoll(at, NULL, 10);
}

/* Every figure that both have. */
static void both_agree(void) {
  char own[2048];
  look();
  scalloc_stats_json(own, sizeof own);
  static const char *const states[] = {"hot", "floating", "reusable"};
  for (int i = 0; i < 3; i++)
    CHECK_INT(figure(strstr(seen, "\"states\""), states[i], "spans"), ==, figure(own, "\"spans\":{", states[i]));
  CHECK_INT(figure(seen, "\"large\":{", "spans"), ==, figure(own, "\"spans\":{", "large"));
  CHECK_INT(figure(seen, "\"free\":{", "spans") + figure(seen, "\"purged\":{", "spans"), ==,
            figure(own, "\"spans\":{", "pooled"));
  CHECK_INT(figure(seen, "\"heap\":{", "committed"), ==, figure(own, "\"bytes\":{", "committed"));
  CHECK_INT(figure(seen, "\"arena\":{", "spans_opened"), ==, figure(own, "\"arena\":{", "spans_opened"));
  CHECK_INT(figure(seen, "\"arena\":{", "reserved_bytes"), ==, figure(own, "\"arena\":{", "reserved_bytes"));
  CHECK_INT(figure(seen, "\"arena\":{", "limit"), ==, figure(own, "\"bytes\":{", "limit"));
  if (!TEST_TRACKED) /* which counts what was asked for */
    CHECK_INT(figure(seen, "\"heap\":{", "live"), ==, figure(own, "\"bytes\":{", "live"));
  CHECK_INT(figure(seen, "\"process\":{", "resident"), >, 0);
  CHECK_INT(figure(seen, "\"process\":{", "peak"), >=, figure(seen, "\"process\":{", "resident"));
}

enum { BLOCKS = 4000, SIZE = 3000 }; /* of the class of 3072 bytes; six full spans */
static void *blocks[BLOCKS];

static void an_empty_heap(void) {
  scalloc_free(scalloc_malloc(1));
  both_agree();
}

static void blocks_of_a_size(void) {
  for (int i = 0; i < BLOCKS; i++) memset(blocks[i] = scalloc_malloc(SIZE), 1, SIZE);
  both_agree();
  if (TEST_TRACKED) return; /* another class, and spans of single blocks */
  CHECK_INT(figure(seen, "\"block\":3072", "blocks"), ==, BLOCKS);
  CHECK_INT(figure(seen, "\"block\":3072", "live"), ==, BLOCKS * 3072);
  CHECK_INT(figure(seen, "\"block\":3072", "spans"), >=, 6);
  long long resident = figure(seen, "\"block\":3072", "resident");
  if (resident >= 0) CHECK_INT(resident, >=, BLOCKS * (SIZE - 72));
}

static void *free_some(void *nothing) {
  (void)nothing;
  for (int i = 0; i < BLOCKS; i += 2) scalloc_free(blocks[i]);
  return NULL;
}

/* Half of them, by another thread: remote lists count as free, spans become reusable. */
static void frees_of_another_thread(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_some, NULL) == 0);
  pthread_join(thread, NULL);
  both_agree();
  if (TEST_TRACKED) return;
  CHECK_INT(figure(seen, "\"block\":3072", "blocks"), ==, BLOCKS / 2);
  CHECK_INT(figure(seen, "\"block\":3072", "reusable"), >=, 5);
}

static void large_blocks(void) {
  char *large = scalloc_malloc(9 << 20);
  memset(large, 1, 5 << 20); /* the rest has no pages */
  both_agree();
  CHECK_INT(figure(seen, "\"large\":{", "spans"), >=, 5);
  CHECK_INT(figure(seen, "\"large\":{", "blocks"), ==, 1);
  CHECK_INT(figure(seen, "\"large\":{", "live"), >=, 9 << 20);
  long long resident = figure(seen, "\"large\":{", "resident");
  if (resident >= 0) {
    CHECK_INT(resident, >=, 5 << 20);
    CHECK_INT(resident, <, 6 << 20);
  }
  scalloc_free(large);
}

static void what_is_purged(void) {
  for (int i = 1; i < BLOCKS; i += 2) scalloc_free(blocks[i]);
  both_agree();
  scalloc_purge();
  both_agree();
  CHECK_INT(figure(seen, "\"free\":{", "spans"), ==, 0);
  CHECK_INT(figure(seen, "\"purged\":{", "spans"), >=, 5);
  CHECK_INT(figure(seen, "\"purged\":{", "committed"), ==, 0);
}

/* The child of a fork has a heap of its own at the same addresses. */
static void the_child_of_a_fork(void) {
  pid_t other = fork();
  CHECK(other >= 0);
  if (other == 0) {
    for (int i = 0; i < 100; i++) blocks[i] = scalloc_malloc(SIZE);
    both_agree();
    _exit(0);
  }
  int status;
  CHECK(waitpid(other, &status, 0) == other);
  CHECK(status == 0);
  both_agree();
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  top = argv[1];
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  an_empty_heap();
  blocks_of_a_size();
  frees_of_another_thread();
  large_blocks();
  what_is_purged();
  the_child_of_a_fork();
  puts("ok");
  return 0;
}
