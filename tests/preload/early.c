/*
 * early.c - malloc before main: in an IFUNC resolver, when the C library itself has not begun; in constructors; and after it: in
 * destructors. The settings hold from the first block on. Run under scalloc-run --limit=64M.
 */
#include "own.h"

extern int early_children;
extern void *early_blocks[3];

static void *first_block, *too_large;

static int answer(void) { return 42; }

/* Runs while the dynamic linker relocates this program. */
static int (*resolve(void))(void) {
  first_block = malloc(1000);
  if (first_block) ((char *)first_block)[999] = 1;
  too_large = malloc((size_t)100 << 20);
  return answer;
}

int resolved(void) __attribute__((ifunc("resolve")));

__attribute__((constructor)) static void begin(void) { free(malloc(10)); }
__attribute__((destructor)) static void end(void) { free(malloc(10)); }

int main(void) {
  on_scalloc();
  CHECK_INT(resolved(), ==, 42);
  CHECK(is_ours(first_block));
  CHECK(too_large == NULL);
  CHECK_INT(early_children, ==, 3);
  free(first_block);
  for (size_t i = 0; i < LENGTH(early_blocks); i++) {
    CHECK(is_ours(early_blocks[i]));
    free(early_blocks[i]);
  }
  return 0;
}
