/*
 * any_program.c - a program that knows nothing of scalloc: it counts words with malloc, realloc, strdup and free, and tells what
 * memory that took. Two ways to run it on scalloc:
 *
 *   build/bin/scalloc-run build/bin/example-any_program      the preloaded library, for this and any other program
 *   build/bin/example-any_program-linked                     the same source, linked with libscalloc_override.a
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 2000000, DIFFERENT = 50021, BUCKETS = 1 << 14 };

typedef struct word {
  struct word *next;
  char *text;
  size_t *places; /* where it stands */
  size_t count, room;
} word;

static word *buckets[BUCKETS];

static _Noreturn void no_memory(void) {
  fprintf(stderr, "no memory\n");
  exit(1);
}

static word *find(const char *text) {
  size_t hash = 5381;
  for (const char *c = text; *c; c++) hash = hash * 33 + (unsigned char)*c;
  word **at = &buckets[hash % BUCKETS];
  while (*at && strcmp((*at)->text, text) != 0) at = &(*at)->next;
  if (*at) return *at;
  word *fresh = calloc(1, sizeof *fresh);
  if (fresh == NULL || (fresh->text = strdup(text)) == NULL) no_memory();
  return *at = fresh;
}

static void count(size_t place) {
  char text[64];
  snprintf(text, sizeof text, "word number %zu", place * 7919 % DIFFERENT);
  word *w = find(text);
  if (w->count == w->room) {
    w->room = w->room ? 2 * w->room : 4;
    w->places = realloc(w->places, w->room * sizeof *w->places);
    if (w->places == NULL) no_memory();
  }
  w->places[w->count++] = place;
}

static size_t free_all(void) {
  size_t words = 0;
  for (size_t i = 0; i < BUCKETS; i++)
    for (word *w = buckets[i], *next; w; w = next, words++) {
      next = w->next;
      free(w->text);
      free(w->places);
      free(w);
    }
  return words;
}

/* Resident kilobytes of this process. */
static long resident(void) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
  if (file) fclose(file);
  return pages * 4;
}

int main(void) {
  long before = resident();
  for (size_t i = 0; i < WORDS; i++) count(i);
  long peak = resident();
  size_t words = free_all();
  malloc_trim(0);
  printf("%zu different words; resident: %ld kB before, %ld at the peak, %ld after free and malloc_trim\n", words, before, peak,
         resident());
  return words == DIFFERENT ? 0 : 1;
}
