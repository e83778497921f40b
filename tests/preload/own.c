/* own.c - where the replacement differs from glibc on purpose, and what glibc does not have; docs/malloc.md. Run under scalloc-run. */
#include "own.h"

#include <elf.h>
#include <link.h>

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

static void arguments(void) {
  static const size_t wrong[] = {0, 3, 24, 100, SIZE_MAX};
  for (size_t i = 0; i < LENGTH(wrong); i++) {
    errno = 0;
    CHECK(aligned_alloc(wrong[i], 10) == NULL && errno == EINVAL);
  }
  void *p = &p;
  errno = 4711;
  CHECK(posix_memalign(&p, 64, SIZE_MAX) == ENOMEM && errno == 4711 && p == &p);
  CHECK(malloc_trim(0) <= 1);
}

static void sized(void) {
  void (*volatile sized_free)(void *, size_t) = (void (*)(void *, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "free_sized");
  void (*volatile aligned_free)(void *, size_t, size_t) =
      (void (*)(void *, size_t, size_t))(uintptr_t)dlsym(RTLD_DEFAULT, "free_aligned_sized");
  CHECK(sized_free != NULL && aligned_free != NULL);
  for (size_t size = 0; size < 3 << 20; size = size * 2 + 1) {
    sized_free(malloc(size), size);
    aligned_free(aligned_alloc(256, size), 256, size);
  }
  sized_free(NULL, 10);
  aligned_free(NULL, 16, 10);
}

/* Memory that was returned is not resident any more. */
static void trim(void) {
  size_t bytes = 64 << 20;
  char *big = malloc(bytes);
  memset(big, 1, bytes);
  free(big);
  CHECK_INT(malloc_trim(0), ==, 1);
  CHECK_INT(malloc_trim(0), ==, 0);
}

static void figures(void) {
  size_t before = mallinfo2().hblks;
  void *blocks[2] = {malloc(2 << 20), malloc(50 << 20)};
  CHECK_INT(mallinfo2().hblks, ==, before + 2);
  free(blocks[0]), free(blocks[1]);
  CHECK_INT(mallinfo2().hblks, ==, before);
}

static int look_at_library(struct dl_phdr_info *info, size_t size, void *seen) {
  (void)size;
  if (strstr(info->dlpi_name, "libscalloc_preload") == NULL) return 0;
  *(bool *)seen = true;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type == PT_TLS) CHECK_INT(part->p_memsz, <=, 2 * sizeof(void *));
    if (part->p_type != PT_DYNAMIC) continue;
    bool stays = false;
    for (const ElfW(Dyn) *d = (const ElfW(Dyn) *)(info->dlpi_addr + part->p_vaddr); d->d_tag != DT_NULL; d++)
      stays = stays || (d->d_tag == DT_FLAGS_1 && (d->d_un.d_val & DF_1_NODELETE));
    CHECK(stays);
  }
  return 0;
}

/* Two words of static TLS at most, and never unloaded. */
static void library(void) {
  bool seen = false;
  dl_iterate_phdr(look_at_library, &seen);
  CHECK(seen);
}

int main(void) {
  on_scalloc();
  arguments();
  sized();
  trim();
  figures();
  library();
  return 0;
}
