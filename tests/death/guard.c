/* guard.c - guarded blocks: every one, here, by SCALLOC_GUARD_SAMPLE=1. Reads are told too, and at once. */
#include "death.h"

#include <signal.h>

static volatile char seen;

static char *guarded(size_t size) {
  CHECK(scalloc_option_set("SCALLOC_GUARD_SAMPLE", 1));
  char *block = scalloc_malloc(size);
  CHECK(block);
  return block;
}

static void touch(char *block, ptrdiff_t offset, bool write) {
  char *at = (char *)hidden(block) + offset;
  target(block);
  if (write)
    *(volatile char *)at = 'A';
  else
    seen = *(volatile char *)at;
}

static void write_behind(void) { touch(guarded(4096), 4096, true); }
static void read_behind(void) { touch(guarded(64), 64, false); }
static void read_behind_odd(void) { touch(guarded(50), 64, false); }
static void write_behind_tail(void) { /* not so far as to the page: by the free */
  char *block = guarded(50);
  touch(block, 50, true);
  scalloc_free(block);
}
static void write_in_front(void) {
  char *block = guarded(SMALL);
  touch(block, -1, true);
  scalloc_free(block);
}
static void freed_write(void) {
  char *block = guarded(SMALL);
  scalloc_free(block);
  touch(block, 7, true);
}
static void freed_read(void) {
  char *block = guarded(50000);
  scalloc_free(block);
  touch(block, 49999, false);
}
static void freed_heap_block(void) {
  CHECK(scalloc_option_set("SCALLOC_GUARD_SAMPLE", 1));
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SMALL);
  target(block);
  scalloc_heap_free(heap, block);
  scalloc_heap_destroy(heap); /* it is held back all the same */
  seen = *(volatile char *)hidden(block);
}
static void double_free(void) {
  char *block = guarded(SMALL);
  target(block);
  scalloc_free(block);
  scalloc_free(hidden(block));
}
static void interior_free(void) {
  char *block = guarded(SMALL);
  target(block + 8);
  scalloc_free(hidden(block + 8));
}

static void guarded_blocks_are_blocks(void) {
  enum { COUNT = 2000 };
  static char *blocks[COUNT];
  CHECK(scalloc_option_set("SCALLOC_GUARD_SAMPLE", 3));
  for (size_t i = 0; i < COUNT; i++) {
    size_t size = i * i % 70000 + 1;
    blocks[i] = i % 2 ? scalloc_calloc(1, size) : scalloc_aligned_alloc((size_t)16 << i % 8, size);
    CHECK(blocks[i] && (i % 2 || (uintptr_t)blocks[i] % ((size_t)16 << i % 8) == 0));
    CHECK(!(i % 2) || all_bytes(blocks[i], size, 0));
    if (!(i % 5)) CHECK(blocks[i] = scalloc_realloc(blocks[i], size = size * 2));
    if (TEST_TRACKED) CHECK(scalloc_usable_size(blocks[i]) == size);
    scalloc_block found;
    CHECK(scalloc_find(blocks[i] + size - 1, &found) && found.start == blocks[i] && found.live);
    fill(blocks[i], size);
    if (i >= 700) scalloc_free(blocks[i - 700]);
  }
  check_heap();
  for (size_t i = COUNT - 700; i < COUNT; i++) scalloc_free(blocks[i]);
  scalloc_purge();
  check_heap();
  stats s = stats_now();
  CHECK_INT(s.live, ==, 0);
  CHECK_INT(s.large, ==, 0);
}

static void ours(int number) { _exit(number == SIGSEGV ? 0 : 1); }
static void a_handler_of_the_program_stays(void) {
  if (!TEST_TRACKED) return;
  CHECK(signal(SIGSEGV, ours) == SIG_DFL);
  char *block = guarded(64);
  seen = *((volatile char *)hidden(block) + 64);
  CHECK(block == NULL); /* not reached */
}
static void other_faults_are_left_alone(void) {
  guarded(64);
  int status;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    *(volatile char *)hidden((void *)16) = 1;
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

#define NO NULL, NULL

static const shape shapes[] = {
    {"guard_write_behind", "a write behind a guarded block, at once", write_behind, "overflow",
     "access to byte 4096 of a guarded block of 4096 bytes", NO},
    {"guard_read_behind", "a read there", read_behind, "overflow", "access to byte 64 of a guarded block of 64 bytes", NO},
    {"guard_read_behind_odd", "a read behind its rounded size", read_behind_odd, "overflow", "byte 64 of a guarded block of 50",
     NO},
    {"guard_write_tail", "a write before that, by the free", write_behind_tail, "overflow", "byte 50 of a block of 50 bytes",
     NO},
    {"guard_write_in_front", "a write in front of one, by the free", write_in_front, "underflow", "byte 1 before the block",
     NO},
    {"guard_freed_write", "a write to a freed one, at once", freed_write, "use after free",
     "byte 7 of a freed block of 100 bytes", NO},
    {"guard_freed_read", "a read of a freed one", freed_read, "use after free", "byte 49999 of a freed block of 50000 bytes",
     NO},
    {"guard_freed_heap_block", "the same after the end of its heap", freed_heap_block, "use after free",
     "byte 0 of a freed block", NO},
    {"guard_double_free", "a double free of one", double_free, "double free", "free already", NO},
    {"guard_interior", "an interior free of one", interior_free, "interior pointer", "byte 8 of a live block of 100 bytes", NO},
    {"guarded_blocks_are_blocks", "", guarded_blocks_are_blocks, NULL, NULL, NULL, NULL},
    {"a_handler_of_the_program_stays", "", a_handler_of_the_program_stays, NULL, NULL, NULL, NULL},
    {"other_faults_are_left_alone", "", other_faults_are_left_alone, NULL, NULL, NULL, NULL},
};
const subject guards = {"guard", "Guarded blocks (one in `SCALLOC_GUARD_SAMPLE` of up to 64 KB)", shapes, LENGTH(shapes)};
