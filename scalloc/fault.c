/* fault.c - finds the words. Reads the span table as it is; the process ends here, so what it finds need not be exact. */
#include "fault.h"

#if TRACKED
#include "large.h"
#include "live.h"
#include "os.h"

typedef struct {
  char text[160];
  size_t length;
} words;

static void add(words *w, const char *text) {
  while (*text && w->length < sizeof w->text - 1) w->text[w->length++] = *text++;
  w->text[w->length] = 0;
}

static void add_number(words *w, size_t n) {
  char digits[24];
  size_t at = sizeof digits;
  digits[--at] = 0;
  do digits[--at] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  add(w, digits + at);
}

static void add_counted(words *w, const char *before, size_t n, const char *after) {
  add(w, before);
  add_number(w, n);
  add(w, after);
}

_Noreturn void fault_outside(const void *address) {
  os_panic("invalid pointer", address, "not in the arena of this allocator");
}

/* A block that was given back: in so many words for each use. */
static _Noreturn void freed(const void *address, block_use use, const char *where) {
  words w = {.length = 0};
  if (use != USE_FREE) add(&w, use == USE_REALLOC ? "realloc of a block that is free" : "usable_size of a block that is free");
  if (use == USE_FREE) add(&w, "the block is free already");
  add(&w, where);
  os_panic(use == USE_FREE ? "double free" : "use after free", address, w.text);
}

static _Noreturn void interior(const void *address, const char *start, size_t size) {
  words w = {.length = 0};
  bool live = live_is(start);
  add_counted(&w, "at byte ", (size_t)((const char *)address - start), live ? " of a live block" : " of a free block");
  if (live) add_counted(&w, " of ", size - half_load_relaxed(note_of(start)), " bytes");
  os_panic("interior pointer", address, w.text);
}

/* In a span of a size class; `ended`: the span is empty, and its slot still tells what it was. */
static _Noreturn void in_small(const span *s, const char *address, block_use use, bool ended) {
  size_t offset = (size_t)(address - span_start(s));
  if (s->block == 0 || offset < s->first || offset >= s->bump)
    os_panic("invalid pointer", address, ended ? "in memory that is not allocated" : "no block was ever handed out there");
  const char *start = address - (offset - s->first) % s->block;
  if (start != address) interior(address, start, s->block);
  if (!(half_load_relaxed(note_of(address)) & NOTE_FREED) && !ended)
    os_panic("invalid pointer", address, "no block was ever handed out there");
  freed(address, use, ended ? ", and so are all of its span" : "");
}

static _Noreturn void in_large(const span *head, const char *address, block_use use) {
  const char *start = span_start(head) + head->first;
  if (address != start) interior(address, start, head->large_bytes - head->first);
  freed(address, use, "");
}

_Noreturn void fault_no_block(const void *address, block_use use) {
  span *s = span_of_inside(address);
  span_state state = span_state_now(s);
  if ((uintptr_t)address % 8 != 0) os_panic("misaligned pointer", address, "blocks start at multiples of 8");
  if (state == SPAN_HOT || state == SPAN_FLOATING || state == SPAN_REUSABLE) in_small(s, address, use, false);
  if (state == SPAN_LENT) os_panic("invalid pointer", address, "in a span of a runtime's heap");
  if (state == SPAN_LARGE) in_large(s, address, use);
  const span *head = large_head(s);
  if (head) in_large(head, address, use);
  if (s->block == 0 && s->large_bytes != 0 && (const char *)address == span_start(s) + s->first)
    freed(address, use, ", and so is its memory");
  in_small(s, address, use, true);
}

_Noreturn void fault_overflow(const char *block, size_t size, size_t at) {
  words w = {.length = 0};
  add_counted(&w, "byte ", at, " of a block of ");
  add_counted(&w, "", size, " bytes was written");
  os_panic("overflow", block, w.text);
}

_Noreturn void fault_underflow(const char *block, size_t before) {
  words w = {.length = 0};
  add_counted(&w, "byte ", before, " before the block was written");
  os_panic("underflow", block, w.text);
}

_Noreturn void fault_access(const char *address, const char *block, size_t size, bool live) {
  words w = {.length = 0};
  if (block == NULL) os_panic("use after free", address, "access to memory of a large block that is free");
  add_counted(&w, "access to byte ", (size_t)(address - block), " of a ");
  add_counted(&w, live ? "guarded block of " : "freed block of ", size, " bytes");
  os_panic(live ? "overflow" : "use after free", block, w.text);
}

_Noreturn void fault_late_write(const char *block, size_t bytes, size_t at) {
  words w = {.length = 0};
  add_counted(&w, "byte ", at, " of a free block of ");
  add_counted(&w, "", bytes, " bytes was written");
  os_panic("write after free", block, w.text);
}

_Noreturn void fault_size(const char *block, size_t size, size_t said) {
  words w = {.length = 0};
  add_counted(&w, "said to have ", said, " bytes, ");
  add_counted(&w, "but ", size, " were asked for");
  os_panic("size mismatch", block, w.text);
}

_Noreturn void fault_heap(const char *block) { os_panic("wrong heap", block, "the block belongs to another heap"); }
#endif
