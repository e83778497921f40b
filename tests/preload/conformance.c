/*
 * conformance.c - prints what the malloc that it runs on does, call by call, in words that do not depend on addresses or on how
 * much a block is rounded up. Run on glibc's malloc and on scalloc in its place, the two outputs must be equal
 * (conformance.sh). Compiled without builtins, so that every call is made.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#define LENGTH(a) (sizeof(a) / sizeof *(a))
enum { MARK = 4711 }; /* errno before each call */

static const size_t sizes[] = {0,       1,      7,    8,    15,   16,   17,   24,    63,    64,     65,      127,
                               128,     1000,   1024, 1025, 4095, 4096, 4097, 65536, 99999, 131072, 1 << 20, (1 << 20) + 1,
                               3 << 20, 5 << 20};

static const char *name_of(int error) {
  return error == MARK ? "kept" : error == ENOMEM ? "ENOMEM" : error == EINVAL ? "EINVAL" : error == 0 ? "0" : "another";
}

static bool aligned(const void *p, size_t to) { return ((uintptr_t)p & (to - 1)) == 0; }

/* Begins a call: errno is known, the line has its name. */
static void begin(const char *format, size_t a, size_t b) {
  printf(format, a, b);
  errno = MARK;
}

/* Ends one that gives a block. A success may leave any errno behind. */
static void *gives(void *p, size_t alignment, size_t size) {
  int error = errno;
  if (p == NULL) {
    printf(": NULL, errno %s\n", name_of(error));
    return NULL;
  }
  size_t usable = malloc_usable_size(p);
  printf(": a block%s%s\n", aligned(p, alignment) ? ", aligned" : ", NOT ALIGNED",
         usable >= size ? ", large enough" : ", TOO SMALL");
  if (size) memset(p, 0x5a, size);
  return p;
}

static bool all_bytes(const void *p, int byte, size_t n) {
  const unsigned char *bytes = p;
  for (size_t i = 0; i < n; i++)
    if (bytes[i] != byte) return false;
  return true;
}

/* ---- */

static void plain(void) {
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    begin("malloc(%zu)", sizes[i], 0);
    void *p = gives(malloc(sizes[i]), 16, sizes[i]), *other = malloc(sizes[i]);
    printf("  another one: %s\n", other && other != p ? "another block" : "the same or none");
    errno = MARK;
    free(p);
    printf("  free: errno %s\n", name_of(errno));
    free(other);
  }
  errno = MARK;
  free(NULL);
  printf("free(NULL): errno %s\n", name_of(errno));
}

static void too_much(void) {
  static const size_t huge[] = {SIZE_MAX,    SIZE_MAX - 1,     SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1,
                                PTRDIFF_MAX, SIZE_MAX / 2 + 9, (size_t)1 << 60};
  for (size_t i = 0; i < LENGTH(huge); i++) {
    void *p = malloc(100), *out = p;
    memset(p, 7, 100);
    begin("malloc(%zu)", huge[i], 0);
    gives(malloc(huge[i]), 16, 0);
    begin("calloc(%zu, 1)", huge[i], 0);
    gives(calloc(huge[i], 1), 16, 0);
    begin("realloc(p, %zu)", huge[i], 0);
    gives(realloc(p, huge[i]), 16, 0);
    printf("  p is %s\n", all_bytes(p, 7, 100) ? "as before" : "CHANGED");
    begin("realloc(NULL, %zu)", huge[i], 0);
    gives(realloc(NULL, huge[i]), 16, 0);
    begin("reallocarray(p, %zu, 1)", huge[i], 0);
    gives(reallocarray(p, huge[i], 1), 16, 0);
    begin("memalign(64, %zu)", huge[i], 0);
    gives(memalign(64, huge[i]), 64, 0);
    begin("aligned_alloc(64, %zu)", huge[i], 0);
    gives(aligned_alloc(64, huge[i]), 64, 0);
    begin("valloc(%zu)", huge[i], 0);
    gives(valloc(huge[i]), 4096, 0);
    begin("pvalloc(%zu)", huge[i], 0);
    gives(pvalloc(huge[i]), 4096, 0);
    begin("posix_memalign(64, %zu)", huge[i], 0);
    int status = posix_memalign(&out, 64, huge[i]); /* errno: glibc leaves ENOMEM there; POSIX does not say */
    printf(": %s, pointer %s\n", name_of(status), out == p ? "as before" : "CHANGED");
    free(p);
  }
}

static void products(void) {
  static const size_t pairs[][2] = {{SIZE_MAX, 2},
                                    {2, SIZE_MAX},
                                    {(size_t)1 << 32, (size_t)1 << 32},
                                    {(size_t)1 << 33, (size_t)1 << 31},
                                    {SIZE_MAX / 3 + 1, 3},
                                    {0, SIZE_MAX},
                                    {SIZE_MAX, 0},
                                    {0, 0},
                                    {3, 5},
                                    {1000, 1000}};
  for (size_t i = 0; i < LENGTH(pairs); i++) {
    size_t a = pairs[i][0], b = pairs[i][1];
    begin("calloc(%zu, %zu)", a, b);
    void *p = calloc(a, b);
    bool zero = p == NULL || all_bytes(p, 0, a * b);
    free(gives(p, 16, a * b));
    printf("  %s\n", zero ? "zero" : "NOT ZERO");
    p = malloc(10);
    memset(p, 3, 10);
    begin("reallocarray(p, %zu, %zu)", a, b);
    if (a != 0 && b != 0) {
      void *q = reallocarray(p, a, b);
      if (q == NULL) printf(" p %s", all_bytes(p, 3, 10) ? "as before" : "CHANGED");
      free(gives(q, 16, 0) ? q : p);
    } else {
      printf(": %s\n", reallocarray(p, a, b) == NULL ? "NULL, freed" : "a block");
    }
  }
  /* Memory that was used before. */
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    void *p = malloc(sizes[i]);
    memset(p, 0xff, sizes[i]);
    free(p);
    void *q = calloc(1, sizes[i]);
    printf("calloc(1, %zu) after free: %s\n", sizes[i], all_bytes(q, 0, sizes[i]) ? "zero" : "NOT ZERO");
    free(q);
  }
}

static void resizing(void) {
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (size_t j = 0; j < LENGTH(sizes); j++) {
      if (sizes[j] == 0) continue;
      unsigned char *p = malloc(sizes[i]);
      for (size_t k = 0; k < sizes[i]; k++) p[k] = (unsigned char)(k * 7 + 1);
      errno = MARK;
      unsigned char *q = realloc(p, sizes[j]);
      size_t kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
      bool right = q != NULL && aligned(q, 16) && malloc_usable_size(q) >= sizes[j];
      for (size_t k = 0; right && k < kept; k++) right = q[k] == (unsigned char)(k * 7 + 1);
      printf("realloc %zu to %zu: %s, errno %s\n", sizes[i], sizes[j], right ? "right" : "WRONG", name_of(errno));
      free(q);
    }
  begin("realloc(NULL, 40)", 0, 0);
  void *p = gives(realloc(NULL, 40), 16, 40);
  begin("realloc(p, 0)", 0, 0);
  gives(realloc(p, 0), 16, 0);
  begin("realloc(NULL, 0)", 0, 0);
  free(gives(realloc(NULL, 0), 16, 0));
}

static void alignments(void) {
  for (size_t shift = 0; shift < 24; shift++) {
    size_t alignment = (size_t)1 << shift;
    for (size_t i = 0; i < LENGTH(sizes); i += 3) {
      void *p = (void *)&p;
      begin("posix_memalign(%zu, %zu)", alignment, sizes[i]);
      int status = posix_memalign(&p, alignment, sizes[i]);
      printf(": %s, errno %s", name_of(status), name_of(errno));
      if (status != 0)
        printf(", pointer %s\n", p == (void *)&p ? "as before" : "CHANGED");
      else
        free(gives(p, alignment, sizes[i]));
      begin("aligned_alloc(%zu, %zu)", alignment, sizes[i]);
      free(gives(aligned_alloc(alignment, sizes[i]), alignment, sizes[i]));
      begin("memalign(%zu, %zu)", alignment, sizes[i]);
      p = gives(memalign(alignment, sizes[i]), alignment, sizes[i]);
      begin("  realloc of it to %zu", sizes[i] + 100, 0);
      free(gives(realloc(p, sizes[i] + 100), 16, sizes[i] + 100));
    }
  }
  static const size_t odd[] = {0, 3, 5, 24, 100, 4097, SIZE_MAX, SIZE_MAX / 2 + 2};
  for (size_t i = 0; i < LENGTH(odd); i++) {
    void *p = (void *)&p;
    begin("posix_memalign(%zu, 10)", odd[i], 0);
    int status = posix_memalign(&p, odd[i], 10);
    printf(": %s, errno %s, pointer %s\n", name_of(status), name_of(errno), p == (void *)&p ? "as before" : "CHANGED");
    begin("memalign(%zu, 10)", odd[i], 0);
    free(gives(memalign(odd[i], 10), 16, 10));
  }
  for (size_t i = 0; i < LENGTH(sizes); i += 2) {
    begin("valloc(%zu)", sizes[i], 0);
    free(gives(valloc(sizes[i]), 4096, sizes[i]));
    begin("pvalloc(%zu)", sizes[i], 0);
    void *p = gives(pvalloc(sizes[i]), 4096, (sizes[i] + 4095) & ~(size_t)4095);
    free(p);
  }
}

static void figures(void) {
  printf("malloc_usable_size(NULL): %zu\n", malloc_usable_size(NULL));
  printf("mallopt(M_MMAP_THRESHOLD): %d\n", mallopt(M_MMAP_THRESHOLD, 1 << 20));
  printf("mallopt(M_ARENA_MAX): %d\n", mallopt(M_ARENA_MAX, 1));
  printf("mallopt(M_TRIM_THRESHOLD): %d\n", mallopt(M_TRIM_THRESHOLD, 1 << 20));
  static void *blocks[2000];
  size_t before = mallinfo2().uordblks, bytes = 0;
  for (size_t i = 0; i < LENGTH(blocks); i++) bytes += malloc_usable_size(blocks[i] = malloc(1000));
  size_t now = mallinfo2().uordblks; /* glibc counts what a thread has cached as in use */
  printf("mallinfo2: in use %s by 2000 blocks, %s\n", now >= before + bytes / 10 * 9 ? "more" : "NOT MORE",
         mallinfo2().arena + mallinfo2().hblkhd >= now ? "within what there is" : "MORE THAN THERE IS");
  for (size_t i = 0; i < LENGTH(blocks); i++) free(blocks[i]);
  printf("mallinfo2: in use %s afterwards\n", mallinfo2().uordblks < now - bytes / 10 * 9 ? "less" : "NOT LESS");
  printf("mallinfo: %s\n", mallinfo().uordblks >= 0 && mallinfo().arena > 0 ? "not negative" : "NEGATIVE");
  printf("malloc_trim: %s\n", (unsigned)malloc_trim(0) <= 1 ? "0 or 1" : "WRONG");
  char *text = NULL;
  size_t length = 0;
  FILE *out = open_memstream(&text, &length);
  printf("malloc_info(1): %s\n", name_of(malloc_info(1, out)));
  printf("malloc_info(0): %d, ", malloc_info(0, out));
  fclose(out);
  printf("%s\n", text && strncmp(text, "<malloc version=", 16) == 0 && strstr(text, "</malloc>") ? "XML" : "SOMETHING ELSE");
  free(text);
}

/* Blocks that the C library allocates with its malloc and the program frees. */
static void library(void) {
  char *copy = strdup("a string"), *line = NULL, *text = NULL, *path = realpath("/", NULL), *folder = getcwd(NULL, 0);
  wchar_t *wide = wcsdup(L"wide");
  size_t most = 0;
  int written = asprintf(&text, "%d %s", 5, copy);
  FILE *file = fmemopen((char[]){"one line\nand more"}, 17, "r");
  ssize_t read = getline(&line, &most, file);
  printf("library: %s %d %s %zd %s %s %d\n", copy, written, text, read, strtok(line, "\n"), path, wide[3] == L'e');
  fclose(file);
  free(copy), free(line), free(text), free(path), free(folder), free(wide);
}

static void *freed_late;
static pthread_key_t key;

static void at_thread_exit(void *p) {
  char *fresh = malloc(300);
  memset(fresh, 1, 300);
  free(p);
  freed_late = fresh;
}

static void *thread(void *argument) {
  pthread_setspecific(key, malloc(200));
  char *p = malloc(500);
  strcpy(p, argument);
  return p;
}

static void threads(void) {
  pthread_key_create(&key, at_thread_exit);
  pthread_t t[8];
  for (size_t i = 0; i < LENGTH(t); i++) pthread_create(&t[i], NULL, thread, (void *)(uintptr_t) "from a thread");
  for (size_t i = 0; i < LENGTH(t); i++) {
    void *p;
    pthread_join(t[i], &p);
    if (i == 0) printf("threads: %s\n", (char *)p);
    free(p);
  }
  free(freed_late);
  fflush(stdout);
  void *parents = malloc(100);
  pid_t child = fork();
  if (child == 0) {
    free(parents);
    for (size_t i = 0; i < LENGTH(sizes); i++) free(realloc(malloc(sizes[i]), 1000));
    _exit(7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  printf("fork: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  free(parents);
}

static void at_exit(void) {
  free(malloc(1000));
  printf("at exit: still here\n");
}

int main(void) {
  atexit(at_exit);
  plain();
  too_much();
  products();
  resizing();
  alignments();
  figures();
  library();
  threads();
  return 0;
}
