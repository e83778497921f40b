/*
 * plain.c - answers the calls that -fsanitize=thread puts before every plain load and store of the core: they are steps of the
 * explorer like the atomic ones.
 */
#include "explore_private.h"
#include "model_ops.h"

#define ANNOUNCED(bytes)                                                                                                       \
  void __tsan_read##bytes(void *p);                                                                                            \
  void __tsan_read##bytes(void *p) { model_plain_read(p, bytes); }                                                             \
  void __tsan_write##bytes(void *p);                                                                                           \
  void __tsan_write##bytes(void *p) { model_plain_write(p, bytes); }
ANNOUNCED(1)
ANNOUNCED(2)
ANNOUNCED(4)
ANNOUNCED(8)
ANNOUNCED(16)
#define UNALIGNED(bytes)                                                                                                       \
  void __tsan_unaligned_read##bytes(void *p);                                                                                  \
  void __tsan_unaligned_read##bytes(void *p) { model_plain_read(p, bytes); }                                                   \
  void __tsan_unaligned_write##bytes(void *p);                                                                                 \
  void __tsan_unaligned_write##bytes(void *p) { model_plain_write(p, bytes); }
UNALIGNED(2)
UNALIGNED(4)
UNALIGNED(8)
UNALIGNED(16)

void __tsan_read_range(void *p, size_t bytes);
void __tsan_read_range(void *p, size_t bytes) { model_plain_read(p, bytes); }
void __tsan_write_range(void *p, size_t bytes);
void __tsan_write_range(void *p, size_t bytes) { model_plain_write(p, bytes); }

/* Word by word, each a store of its own. */
void *model_memset(void *to, int byte, size_t bytes) {
  unsigned char *p = to;
  uint64_t word = (unsigned char)byte * UINT64_C(0x0101010101010101);
  for (; bytes >= 8; p += 8, bytes -= 8) {
    model_plain_write(p, 8);
    __builtin_memcpy(p, &word, 8);
  }
  for (; bytes > 0; p++, bytes--) {
    model_plain_write(p, 1);
    *(volatile unsigned char *)p = (unsigned char)byte;
  }
  return to;
}

void __tsan_init(void);
void __tsan_init(void) {}
void __tsan_func_entry(void *caller);
void __tsan_func_entry(void *caller) { (void)caller; }
void __tsan_func_exit(void);
void __tsan_func_exit(void) {}
