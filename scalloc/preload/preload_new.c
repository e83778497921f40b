/*
 * preload_new.c - C++'s operator new and delete, by the names they have in the object code, so that no C++ compiler is needed.
 *
 * What only C++ can do is left to the program's C++ library, which is asked when there is no memory and never before: to tell the
 * new_handler, to throw std::bad_alloc (std::__throw_bad_alloc, of libstdc++ and libc++), and to catch what a handler throws. For
 * the last the nothrow forms go on with operator new[](size_t, nothrow_t) of the C++ library, which calls operator new[](size_t),
 * ours, in a try block. That form and the aligned one beside it are therefore not replaced: they lead here all the same.
 */
#include <dlfcn.h>
#include <string.h>

#include "os.h"
#include "preload.h"
#include "profile.h"
#include "scalloc/scalloc.h"

_Static_assert(sizeof(size_t) == sizeof(unsigned long), "the names say unsigned long (m)");

typedef void (*new_handler)(void);
typedef new_handler new_handler_getter(void);
typedef struct nothrow nothrow; /* std::nothrow_t, by reference */

/* Of the C++ library; NULL where the program has none, or loaded it later for a plugin alone. */
extern new_handler_getter get_new_handler __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));
extern void *library_new(size_t, const nothrow *) __asm__("_ZnamRKSt9nothrow_t") __attribute__((weak));
extern void *library_new_aligned(size_t, size_t, const nothrow *) __asm__("_ZnamSt11align_val_tRKSt9nothrow_t")
    __attribute__((weak));

/*
 * Sets a pointer to a function of a C++ library that is in the process without being in the scope of this one; leaves it if there
 * is none.
 */
static void look_up(const char *name, void *pointer) {
  static const char *const libraries[] = {"libstdc++.so.6", "libc++.so.1", "libc++abi.so.1"};
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD), *found = library ? dlsym(library, name) : NULL;
    if (found == NULL) continue;
    memcpy(pointer, &found, sizeof found);
    return;
  }
}

static _Noreturn void no_memory(size_t size) {
  void (*throwing)(void) = throw_bad_alloc;
  if (throwing == NULL) look_up("_ZSt17__throw_bad_allocv", &throwing);
  if (throwing != NULL) throwing();
  os_panic("operator new", (const void *)size, "out of memory for so many bytes, and no C++ library to throw std::bad_alloc");
}

static void *allocate(size_t size, size_t alignment) {
  return alignment == 0 ? preload_malloc(size) : profile_block(scalloc_aligned_alloc(alignment, size), size);
}

/* Until there is memory, or the handler ends the loop by an exception. */
static never_inline void *new_slow(size_t size, size_t alignment) {
  void *block;
  while ((block = allocate(size, alignment)) == NULL) {
    new_handler_getter *ask = get_new_handler;
    if (ask == NULL) look_up("_ZSt15get_new_handlerv", &ask);
    new_handler handler = ask != NULL ? ask() : NULL;
    if (handler == NULL) no_memory(size);
    handler();
  }
  return block;
}

static void *allocate_new(size_t size) {
  void *block = preload_malloc(size);
  return likely(block != NULL) ? block : new_slow(size, 0);
}

/* What is no alignment is no shortage of memory, about which a handler could do something. */
static void *allocate_aligned_new(size_t size, size_t alignment) {
  void *block = profile_block(scalloc_aligned_alloc(alignment, size), size);
  if (likely(block != NULL)) return block;
  if (alignment == 0 || (alignment & (alignment - 1)) != 0) no_memory(size);
  return new_slow(size, alignment);
}

/* ---- new: size; alignment; nothrow ------------------------------------------------------------------------------------ */

exported void *new_plain(size_t size) __asm__("_Znwm");
exported void *new_array(size_t size) __asm__("_Znam");
exported void *new_nothrow(size_t size, const nothrow *tag) __asm__("_ZnwmRKSt9nothrow_t");
exported void *new_aligned(size_t size, size_t alignment) __asm__("_ZnwmSt11align_val_t");
exported void *new_array_aligned(size_t size, size_t alignment) __asm__("_ZnamSt11align_val_t");
exported void *new_aligned_nothrow(size_t size, size_t alignment,
                                   const nothrow *tag) __asm__("_ZnwmSt11align_val_tRKSt9nothrow_t");

void *new_plain(size_t size) { return allocate_new(size); }
void *new_array(size_t size) { return allocate_new(size); }
void *new_aligned(size_t size, size_t alignment) { return allocate_aligned_new(size, alignment); }
void *new_array_aligned(size_t size, size_t alignment) { return allocate_aligned_new(size, alignment); }

static never_inline void *nothrow_slow(size_t size, const nothrow *tag) {
  void *(*library)(size_t, const nothrow *) = library_new;
  if (library == NULL) look_up("_ZnamRKSt9nothrow_t", &library);
  return library ? library(size, tag) : NULL;
}

void *new_nothrow(size_t size, const nothrow *tag) {
  void *block = preload_malloc(size);
  return likely(block != NULL) ? block : nothrow_slow(size, tag);
}

void *new_aligned_nothrow(size_t size, size_t alignment, const nothrow *tag) {
  void *block = profile_block(scalloc_aligned_alloc(alignment, size), size);
  if (likely(block != NULL)) return block;
  void *(*library)(size_t, size_t, const nothrow *) = library_new_aligned;
  if (library == NULL) look_up("_ZnamSt11align_val_tRKSt9nothrow_t", &library);
  return library ? library(size, alignment, tag) : NULL;
}

/* ---- delete: block; size; alignment; nothrow -------------------------------------------------------------------------- */

#define unused __attribute__((unused))
#define DELETE(name, mangled, arguments, size)                                                                                 \
  exported void name arguments __asm__(mangled);                                                                               \
  void name arguments { preload_free(block, size); }                                                                           \
  _Static_assert(true, "")

DELETE(delete_plain, "_ZdlPv", (void *block), ANY_SIZE);
DELETE(delete_array, "_ZdaPv", (void *block), ANY_SIZE);
DELETE(delete_sized, "_ZdlPvm", (void *block, size_t size), size);
DELETE(delete_array_sized, "_ZdaPvm", (void *block, size_t size), size);
DELETE(delete_nothrow, "_ZdlPvRKSt9nothrow_t", (void *block, unused const nothrow *tag), ANY_SIZE);
DELETE(delete_array_nothrow, "_ZdaPvRKSt9nothrow_t", (void *block, unused const nothrow *tag), ANY_SIZE);
DELETE(delete_aligned, "_ZdlPvSt11align_val_t", (void *block, unused size_t alignment), ANY_SIZE);
DELETE(delete_array_aligned, "_ZdaPvSt11align_val_t", (void *block, unused size_t alignment), ANY_SIZE);
DELETE(delete_sized_aligned, "_ZdlPvmSt11align_val_t", (void *block, size_t size, unused size_t alignment), size);
DELETE(delete_array_sized_aligned, "_ZdaPvmSt11align_val_t", (void *block, size_t size, unused size_t alignment), size);
DELETE(delete_aligned_nothrow, "_ZdlPvSt11align_val_tRKSt9nothrow_t",
       (void *block, unused size_t alignment, unused const nothrow *tag), ANY_SIZE);
DELETE(delete_array_aligned_nothrow, "_ZdaPvSt11align_val_tRKSt9nothrow_t",
       (void *block, unused size_t alignment, unused const nothrow *tag), ANY_SIZE);
