/*
 * nursery.c - how the memory of a young heap becomes blocks.
 *
 * A bin that is empty gets a few blocks at a time, more where it has had many, from the scrap if they fit, else from the fresh part
 * of the newest cell. When the scrap is used up, the largest block that is free becomes the next one: what a growing table left
 * behind is cut up before another page is touched.
 *
 * The child of a fork may find a heap after any of these steps. So memory leaves the place where it is free before it comes into
 * another: what lies between the two is lost to the child, never had twice.
 */
#include "nursery.h"

#include <string.h>

#include "os.h"

enum {
  CARVE_BYTES = 96, /* so many bytes of blocks are made at a time, */
  CARVE_SHARE = 16, /* and as many blocks as there are already, divided by this */
  SCRAP_MIN = 96,
};
_Static_assert(sizeof(cell_more) % 16 == 0, "blocks behind it are aligned");

#define LOOSE (~(((uint64_t)1 << CLASSES_BY_8) - 1)) /* classes above NURSERY_WHOLE_MAX */
_Static_assert((int)NURSERY_WHOLE_MAX == 8 * CLASSES_BY_8 && (int)SCRAP_MIN > NURSERY_WHOLE_MAX, "which have a bit here");

/* What was written before is in memory before what follows. */
always_inline void step_done(void) { atomics_keep_order(); }

static size_t region_bytes(const nursery_region *r) { return (size_t)(r->end - r->at); }

/* Empty in between: no step leaves one end of the old and one of the new. */
static nursery_region region_replace(nursery_region *r, char *at, char *end) {
  nursery_region old = *r;
  r->end = NULL;
  step_done();
  r->at = at;
  step_done();
  r->end = end;
  step_done();
  return old;
}

/* ---- cells ------------------------------------------------------------------------------------------------------------ */

void nursery_begin(heap *h) {
  nursery *n = nursery_of(h);
  memset(n, 0, sizeof *n);
  n->cells = 1;
  cell_note_start(n->starts, (char *)(n + 1));
  step_done();
  region_replace(&n->fresh, (char *)(n + 1), (char *)h + NURSERY_FIRST_BYTES);
}

/* All cells but the first. The child of a fork meanwhile finds none that is somebody else's, and no blocks. */
static void give_more(heap *h) {
  nursery *n = nursery_of(h);
  if (n->more == NULL) return;
  region_replace(&n->fresh, NULL, NULL);
  region_replace(&n->scrap, NULL, NULL);
  memset(n->bins, 0, sizeof n->bins);
  step_done();
  while (n->more != NULL) {
    char *cell = n->more;
    n->more = ((cell_more *)(void *)cell)->next;
    n->cells--;
    step_done();
    cells_give(cell);
  }
}

void nursery_empty(heap *h) {
  give_more(h);
  nursery_begin(h);
}

void nursery_end(heap *h) {
  give_more(h);
  cells_give((const char *)h);
}

void nursery_need_sets(heap *h) {
  span_list *sets = (span_list *)(void *)((char *)h + NURSERY_FIRST_BYTES);
  if (h->sets == sets) return;
  memset(sets, 0, CLASSES * sizeof(span_list));
  h->sets = sets;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------------- */

static heap *heap_of(nursery *n) { return (heap *)(void *)((char *)n - NURSERY_AT); }

static uint64_t *starts_of(nursery *n, const void *address) {
  char *cell = cell_of(address);
  return cell == (char *)heap_of(n) ? n->starts : ((cell_more *)(void *)cell)->starts;
}

static void put(nursery *n, unsigned class_index, void *block) {
  nursery_bin *bin = &n->bins[class_index];
  block_set_next(block, bin->free);
  bin->free = block;
  bin->carved++;
  n->loose |= (uint64_t)1 << class_index;
}

/* The largest class of which a block fits there. */
static unsigned class_that_fits(const char *at, size_t bytes) {
  if (bytes > NURSERY_MAX) bytes = NURSERY_MAX;
  unsigned c = class_of(bytes);
  if (c > 0 && class_size(c) > bytes) c--;
  if (nursery_is_aligned(at, c)) return c;
  return c >= CLASSES_BY_8 ? CLASSES_BY_8 - 2 : c & ~1u; /* 56, 40, 24 or 8 */
}

/* Memory between blocks becomes free blocks. */
static void dissolve(nursery *n, char *at, size_t bytes) {
  while (bytes >= 8) {
    unsigned c = class_that_fits(at, bytes);
    cell_note_start(starts_of(n, at), at);
    put(n, c, at);
    at += class_size(c);
    bytes -= class_size(c);
  }
}

static void dissolve_region(nursery *n, nursery_region r) { dissolve(n, r.at, region_bytes(&r)); }

void nursery_free_odd(heap *h, void *block, unsigned class_index) {
  nursery_of(h)->bins[class_index].carved--;
  dissolve(nursery_of(h), block, class_size(class_index));
}

/* Where the next block of a size would begin: at the next multiple of 16, if the size is one. */
static char *start_for(const nursery_region *r, size_t size) { return r->at + ((uintptr_t)r->at & ~size & 8); }

static bool has_room(const nursery_region *r, size_t size) { return size <= (size_t)(r->end - start_for(r, size)); }

/* The largest free block, if it is worth it and has room for two of the size, is the scrap from now on. */
static void next_scrap(nursery *n, size_t size) {
  while ((n->loose & LOOSE) != 0) {
    unsigned c = log2_floor(n->loose);
    nursery_bin *bin = &n->bins[c];
    if (class_size(c) < 2 * size || class_size(c) < SCRAP_MIN) return;
    if (bin->free == NULL) {
      n->loose &= ~((uint64_t)1 << c);
      continue;
    }
    char *block = bin->free;
    bin->free = block_next(block);
    bin->carved--;
    step_done();
    dissolve_region(n, region_replace(&n->scrap, block, block + class_size(c)));
    return;
  }
}

/*
 * The next blocks of a class, in the order of their addresses; one fits at least. The bin was empty, but the rest of a scrap or
 * cell may have come into it since.
 */
static void carve(nursery *n, nursery_region *r, nursery_bin *bin, size_t size) {
  char *at = start_for(r, size), *odd = r->at, *block = at;
  uint64_t *starts = starts_of(n, at);
  size_t count = bin->carved / CARVE_SHARE, least = CARVE_BYTES / size, most = (size_t)(r->end - at) / size;
  if (count < least) count = least;
  if (count == 0) count = 1;
  count += count & (size >> 3) & 1; /* two of a size that is not a multiple of 16: the next may be one that is */
  if (count > most) count = most;
  r->at = at + count * size;
  step_done();
  if (odd != at) put(n, 0, odd);
  bin->carved += (unsigned)count;
  cell_note_start(starts, at);
  for (; --count > 0; block += size) {
    block_set_next(block, block + size);
    cell_note_start(starts, block + size);
  }
  block_set_next(block, bin->free);
  step_done();
  bin->free = at;
  if (r->at != r->end) cell_note_start(starts, r->at);
}

static bool grow(heap *h) {
  nursery *n = nursery_of(h);
  char *cell = cells_take();
  if (cell == NULL) return false;
  cell_more *more = (cell_more *)(void *)cell;
  *more = (cell_more){.next = n->more, .heap = h};
  step_done();
  n->more = cell; /* from here on it is found by whoever looks at a fork */
  n->cells++;
  cell_note_start(more->starts, cell + sizeof(cell_more));
  step_done();
  dissolve_region(n, region_replace(&n->fresh, cell + sizeof(cell_more), cell + CELL_BYTES));
  return true;
}

/* The bin of a class that has all the blocks it may have here, if enough of them are free. */
static bool is_worth_it(const nursery_bin *bin) {
  unsigned free = bin->carved - bin->used;
  return free != 0 && free >= bin->carved / 4;
}

span *nursery_refill(heap *h, unsigned class_index) {
  if (class_index >= NURSERY_CLASSES) return NULL;
  nursery *n = nursery_of(h);
  nursery_bin *bin = &n->bins[class_index];
  span *as_span = nursery_span(h, class_index);
  size_t size = class_size(class_index);
  if (bin->carved * size >= NURSERY_CLASS_BYTES) return is_worth_it(bin) ? as_span : NULL;
  if (bin->free != NULL) return as_span;
  if (!has_room(&n->scrap, size)) next_scrap(n, size);
  nursery_region *from = has_room(&n->scrap, size) ? &n->scrap : &n->fresh;
  if (unlikely(!has_room(from, size)) && !grow(h)) return NULL;
  carve(n, from, bin, size);
  return as_span;
}

void nursery_shrink(heap *h, char *block, size_t osize, size_t nsize) {
  nursery *n = nursery_of(h);
  nursery_bin *old = &n->bins[class_of(osize)], *new = &n->bins[class_of(nsize)];
  size_t kept = class_size(class_of(nsize));
  old->carved--;
  half_store_relaxed(&old->used, old->used - 1);
  new->carved++;
  half_store_relaxed(&new->used, new->used + 1);
  dissolve(n, block + kept, class_size(class_of(osize)) - kept);
}

void nursery_bad_size(const void *block) { os_panic("invalid size", block, "not that of a block here"); }

/* ---- looking at it ---------------------------------------------------------------------------------------------------- */

size_t nursery_used(heap *h, unsigned class_index) {
  return heap_is_young(h) && class_index < NURSERY_CLASSES ? half_load_relaxed(&nursery_of(h)->bins[class_index].used) : 0;
}

size_t nursery_carved(heap *h, unsigned class_index) {
  return heap_is_young(h) && class_index < NURSERY_CLASSES ? nursery_of(h)->bins[class_index].carved : 0;
}

size_t nursery_live(heap *h) {
  size_t bytes = 0;
  for (unsigned c = 0; c < NURSERY_CLASSES; c++) bytes += nursery_used(h, c) * class_size(c);
  return bytes;
}

size_t nursery_cells(heap *h) { return heap_is_young(h) ? nursery_of(h)->cells : 0; }

size_t nursery_committed(heap *h) {
  if (!heap_is_young(h)) return 0;
  const nursery *n = nursery_of(h);
  return n->cells * CELL_BYTES - (region_bytes(&n->fresh) & ~(size_t)(PAGE - 1));
}

static bool in_region(const nursery_region *r, const char *at) { return r->at <= at && at < r->end; }

/* How many granules of a cell may have blocks. */
static unsigned granules_of(const heap *h, const char *cell) {
  return (unsigned)((cell == (const char *)h ? (size_t)NURSERY_FIRST_BYTES : CELL_BYTES) / GRANULE);
}

/* The first granule from `from` on where a block of the cell begins, or the end of its blocks. */
static unsigned next_start(heap *h, char *cell, unsigned from) {
  const uint64_t *starts = starts_of(nursery_of(h), cell);
  unsigned end = granules_of(h, cell);
  for (uint64_t word = 0; from < end; from = (from / 64 + 1) * 64)
    if ((word = starts[from / 64] >> from % 64) != 0) return from + (unsigned)__builtin_ctzll(word);
  return end;
}

static void unmark(uint64_t *marks, const char *cell, const char *at) {
  if (at != NULL && cell_of(at) == cell) marks[cell_granule(at) / 64] &= ~((uint64_t)1 << cell_granule(at) % 64);
}

/* Unmarks the free blocks of a cell, and the regions that are none yet. */
static void unmark_free(nursery *n, const char *cell, uint64_t *marks) {
  for (unsigned c = 0; c < NURSERY_CLASSES; c++)
    for (const char *block = n->bins[c].free; block != NULL; block = block_next(block)) unmark(marks, cell, block);
  if (n->fresh.at != n->fresh.end) unmark(marks, cell, n->fresh.at);
  if (n->scrap.at != n->scrap.end) unmark(marks, cell, n->scrap.at);
}

void nursery_each(heap *h, void (*visit)(void *context, void *block, size_t size, size_t room), void *context) {
  if (!heap_is_young(h)) return;
  for (char *cell = (char *)h, *next; cell != NULL; cell = next) {
    uint64_t used[CELL_BYTES / GRANULE / 64];
    memcpy(used, starts_of(nursery_of(h), cell), granules_of(h, cell) / 8);
    next = cell == (char *)h ? nursery_of(h)->more : ((cell_more *)(void *)cell)->next;
    unmark_free(nursery_of(h), cell, used);
    for (unsigned i = 0; i < granules_of(h, cell); i++) {
      if (!(used[i / 64] >> i % 64 & 1)) continue;
      size_t size = (next_start(h, cell, i + 1) - i) * GRANULE;
      visit(context, cell + i * GRANULE, size, size);
    }
  }
}

static bool is_free(nursery *n, const char *block, size_t size) {
  if (in_region(&n->fresh, block) || in_region(&n->scrap, block)) return true;
  for (const void *free = n->bins[class_of(size)].free; free != NULL; free = block_next(free))
    if (free == block) return true;
  return false;
}

bool nursery_extent(heap *h, const void *address, scalloc_block *out) {
  nursery *n = nursery_of(h);
  char *cell = cell_of(address);
  const uint64_t *starts = starts_of(n, address);
  unsigned start = cell_granule(address), end;
  if (start >= granules_of(h, cell)) return false;
  while (!(starts[start / 64] >> start % 64 & 1))
    if (start-- == 0) return false;
  end = next_start(h, cell, start + 1);
  *out = (scalloc_block){.start = cell + start * GRANULE, .size = (end - start) * GRANULE, .heap = h};
  return true;
}

bool nursery_find(heap *h, const void *address, scalloc_block *out) {
  if (!nursery_extent(h, address, out)) return false;
  out->live = !is_free(nursery_of(h), out->start, out->size > NURSERY_MAX ? NURSERY_MAX : out->size);
  return true;
}

bool nursery_owns(heap *h, const void *address) {
  const char *cell = cell_of(address), *mine = nursery_of(h)->more;
  if (cell == (const char *)h) return true;
  while (mine != NULL && mine != cell) mine = ((const cell_more *)(const void *)mine)->next;
  return mine != NULL;
}

bool nursery_has_block(heap *h, const void *block, unsigned class_index) {
  if ((uintptr_t)block % GRANULE != 0 || !nursery_is_aligned(block, class_index) || !nursery_owns(h, block)) return false;
  unsigned at = cell_granule(block);
  return next_start(h, cell_of(block), at) == at &&
         (next_start(h, cell_of(block), at + 1) - at) * GRANULE == class_size(class_index);
}

/* Blocks on the list of a bin; more than it has if the list leaves the heap's cells. */
static unsigned list_length(heap *h, unsigned class_index) {
  const nursery_bin *bin = &nursery_of(h)->bins[class_index];
  unsigned length = 0;
  for (const void *block = bin->free; block != NULL; block = block_next(block), length++)
    if (length == bin->carved || !nursery_has_block(h, block, class_index)) return bin->carved + 1;
  return length;
}

static const char *fault_of_cells(heap *h, size_t bytes) {
  nursery *n = nursery_of(h);
  unsigned cells = 1;
  if (bytes + region_bytes(&n->fresh) + region_bytes(&n->scrap) > n->cells * CELL_BYTES)
    return "more blocks than its cells can hold";
  if (!(span_of_inside(h)->cell_heads & cell_bit(h))) return "its cell does not know it";
  for (const char *cell = n->more; cell != NULL; cell = ((const cell_more *)(const void *)cell)->next, cells++) {
    if (cells == n->cells || cell_of(cell) != cell || !span_has(cell)) return "its cells do not end";
    const span *s = span_of_inside(cell);
    if (!span_is_nursery(s) || !(s->cells & cell_bit(cell)) || (s->cell_heads & cell_bit(cell)))
      return "another's cell among its own";
    if (((const cell_more *)(const void *)cell)->heap != h) return "a cell is another's";
  }
  return cells == n->cells ? NULL : "fewer cells than it counts";
}

const char *nursery_fault(heap *h) {
  nursery *n = nursery_of(h);
  size_t bytes = 0;
  for (unsigned c = 0; c < NURSERY_CLASSES; c++) {
    bytes += n->bins[c].carved * class_size(c);
    if (list_length(h, c) != n->bins[c].carved - n->bins[c].used) return "a bin with a wrong count or a broken list";
  }
  return fault_of_cells(h, bytes);
}

/* It may have been replaced; then it is empty. */
static void repair_region(nursery_region *r) {
  if (r->end == NULL) r->at = NULL;
}

void nursery_repair(heap *h) {
  nursery *n = nursery_of(h);
  repair_region(&n->fresh);
  repair_region(&n->scrap);
  n->cells = 1;
  for (const char *cell = n->more; cell != NULL; cell = ((const cell_more *)(const void *)cell)->next) n->cells++;
  for (unsigned c = 0; c < NURSERY_CLASSES; c++) {
    nursery_bin *bin = &n->bins[c];
    unsigned free = list_length(h, c);
    if (free > bin->carved) bin->free = NULL, free = 0;
    half_store_relaxed(&bin->used, bin->carved - free);
  }
}
