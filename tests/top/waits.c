/* waits.c - a program without anything of scalloc in it: takes memory, says "ready", and ends with status 5 when its input does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  static char *blocks[1000];
  for (int i = 0; i < 1000; i++) {
    blocks[i] = malloc(2000);
    if (blocks[i] == NULL) return 1;
    memset(blocks[i], 1, 2000);
  }
  puts("ready");
  fflush(stdout);
  while (getchar() != EOF) {
  }
  for (int i = 0; i < 1000; i++) free(blocks[i]);
  return 5;
}
