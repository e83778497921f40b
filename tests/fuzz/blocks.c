/*
 * blocks.c - every way to make, free and resize a block, each with what it must bring about. A refusal leaves the model as it was.
 */
#include "blocks.h"

#include "input.h"

enum { KEPT_ERRNO = 4711, MOST_BYTES = 24 << 20 };

/* ---- heaps ------------------------------------------------------------------------------------------------------------ */

scalloc_heap *heap_in_use(unsigned i) {
  if (model.heaps[i] == NULL) CHECK((model.heaps[i] = scalloc_heap_new()) != NULL);
  return model.heaps[i];
}

#ifdef HAVE_LUA_ALLOC
static void *lua_in_use(unsigned i) {
  if (model.lua[i] == NULL) {
    scalloc_lua_config config = {.size = sizeof config};
    CHECK((model.lua[i] = scalloc_lua_heap_new(i % 2 ? &config : NULL)) != NULL);
    model.accounts[i] = (lua_account){0, 0};
    CHECK_INT(scalloc_lua_used(model.lua[i]), ==, 0);
    CHECK_INT(scalloc_lua_peak(model.lua[i], false), ==, 0);
  }
  return model.lua[i];
}
#endif

void drop_heap(unsigned i) {
  model_drop_heap(OF_HEAP, i);
  scalloc_heap_destroy(model.heaps[i]);
  model.heaps[i] = NULL;
}

void drop_lua(unsigned i) {
  model_drop_heap(OF_LUA, i);
#ifdef HAVE_LUA_ALLOC
  scalloc_lua_heap_destroy(model.lua[i]);
#endif
  model.lua[i] = NULL;
}

void *lua_call(unsigned heap, bool any, void *at, size_t osize, size_t nsize) {
#ifdef HAVE_LUA_ALLOC
  return scalloc_lua_alloc(any ? NULL : lua_in_use(heap), at, osize, nsize);
#else
  (void)heap, (void)any, (void)osize;
  if (nsize != 0) return scalloc_realloc(at, nsize);
  scalloc_free(at);
  return NULL;
#endif
}

static void lua_account_of(const block *b, size_t size) {
  if (b->origin != OF_LUA) return;
  lua_account *account = &model.accounts[b->heap];
  account->used += size - b->size;
  if (account->used > account->peak) account->peak = account->used;
}

/* ---- new blocks ------------------------------------------------------------------------------------------------------- */

typedef enum way { MALLOC, CALLOC, ALIGNED, REALLOC } way;

typedef struct request {
  block b; /* origin, heap, size; the rest to come */
  way way;
  size_t alignment, count; /* of ALIGNED; of CALLOC: elements of which `size` is the whole, 0 = an overflow */
  bool is_lua, is_vast;
} request;

#ifdef HAVE_LUA_ALLOC
static const origin origins[] = {PLAIN, PLAIN, PLAIN, OF_HEAP, OF_HEAP, LUA_ANY, OF_LUA, OF_LUA};
#else
static const origin origins[] = {PLAIN, PLAIN, PLAIN, OF_HEAP, OF_HEAP, LUA_ANY, LUA_ANY, LUA_ANY};
#endif

static request take_request(void) {
  static const way ways[] = {MALLOC, MALLOC, MALLOC, MALLOC, CALLOC, CALLOC, ALIGNED, REALLOC};
  unsigned b = take();
  request r = {.b = {.origin = origins[b & 7], .heap = b >> 3 & 3}, .way = ways[b >> 5], .alignment = 1, .count = 1};
  r.is_lua = r.b.origin >= LUA_ANY;
  if (r.b.origin == OF_LUA) r.b.heap %= LUA_HEAPS;
  if (r.way == ALIGNED) r.alignment = take_alignment();
  r.b.size = take_size();
  if (r.way == CALLOC) r.count = is_impossible(r.b.size) ? take() % 2 : r.b.size % 3 == 0 ? 3 : 1;
  r.is_vast = r.b.size >= VAST && !is_impossible(r.b.size);
  if (r.is_vast && r.way != ALIGNED) r.way = MALLOC; /* nobody clears so much */
  return r;
}

static void *ask(const request *r) {
  size_t size = r->b.size;
  if (r->is_lua) return lua_call(r->b.heap, r->b.origin == LUA_ANY, NULL, 4 + size % 7, size);
  scalloc_heap *heap = r->b.origin == OF_HEAP ? heap_in_use(r->b.heap) : NULL;
  size_t count = r->count ? r->count : SIZE_MAX / 8 + 2, each = r->count ? size / r->count : 8 + size % 8;
  switch (r->way) {
  case CALLOC:
    return heap ? scalloc_heap_calloc(heap, count, each) : scalloc_calloc(count, each);
  case ALIGNED:
    return heap ? scalloc_heap_aligned_alloc(heap, r->alignment, size) : scalloc_aligned_alloc(r->alignment, size);
  case REALLOC:
    return heap ? scalloc_heap_realloc(heap, NULL, size) : scalloc_realloc(NULL, size);
  default:
    return heap ? scalloc_heap_malloc(heap, size) : scalloc_malloc(size);
  }
}

/* A refusal is NULL with the right errno, and only where there is a reason. */
static void check_refusal(bool expected, int code) {
  CHECK(expected || model.pressed);
  CHECK_INT(errno, ==, code);
}

static void check_refused_request(const request *r) {
  bool wrong = !r->is_lua && r->way == ALIGNED && (r->alignment == 0 || (r->alignment & (r->alignment - 1)) != 0);
  bool nothing = r->is_lua && r->b.size == 0;
  if (!nothing) check_refusal(wrong || r->is_vast || is_impossible(r->b.size) || r->alignment >> 47, wrong ? EINVAL : ENOMEM);
}

static size_t lua_alignment(size_t size) { return size % 16 == 0 ? 16 : 8; }
static size_t core_alignment(size_t size) { return size > 8 ? 16 : 8; }

static bool is_zero(const unsigned char *at, size_t size) {
  if (size <= 1 * MB) return all_bytes(at, size, 0);
  for (size_t i = 0; i < size; i = pattern_next(i, size)) /* where patterns lay */
    if (at[i] != 0) return false;
  return true;
}

static void check_new(const request *r, const unsigned char *at) {
  size_t size = r->b.size, usable = scalloc_usable_size(at), good = scalloc_good_size(size);
  CHECK(!is_impossible(size));
  CHECK_INT((uintptr_t)at % (r->is_lua ? lua_alignment(size) : core_alignment(size)), ==, 0);
  CHECK_INT(scalloc_good_size(good), ==, good);
  if (r->is_lua) return;
  CHECK(r->way != ALIGNED || (uintptr_t)at % r->alignment == 0);
  CHECK(r->way == ALIGNED || usable == good || (model.pressed && usable > good));
  CHECK(r->way != CALLOC || is_zero(at, size));
}

static bool has_room(const request *r) {
  size_t need = is_impossible(r->b.size) ? 0 : r->b.size + (r->alignment < 16 * MB ? r->alignment : 0);
  if (model.count == BLOCKS || !afford(r->is_vast ? MB : need)) return false;
  if (r->way == CALLOC) afford(need); /* to look for zeros */
  if (r->is_vast) return model.vast_bytes == 0;
  return model.bytes - model.vast_bytes + need <= MOST_BYTES;
}

static bool make(const request *r) {
  block b = r->b;
  if (!has_room(r)) return false;
  errno = 0;
  b.at = ask(r);
  if (b.at == NULL) {
    check_refused_request(r);
    return false;
  }
  check_new(r, b.at);
  model_add(b);
  b.size = 0;
  lua_account_of(&b, r->b.size);
  return true;
}

void op_new(void) {
  request r = take_request();
  make(&r);
}

void op_new_many(void) {
  unsigned n = take_count();
  request r = take_request();
  while (n-- > 0 && make(&r)) continue;
}

/* ---- frees ------------------------------------------------------------------------------------------------------------ */

static void give_core(const block *b, unsigned how) {
  errno = KEPT_ERRNO;
  if (how % 8 == 4)
    CHECK(scalloc_realloc(b->at, 0) == NULL);
  else if (how % 8 == 5 && b->origin == OF_HEAP)
    CHECK(scalloc_heap_realloc(model.heaps[b->heap], b->at, 0) == NULL);
  else if (how % 2 == 0 && b->origin == OF_HEAP)
    scalloc_heap_free(model.heaps[b->heap], b->at);
  else if (how % 8 == 3)
    scalloc_free_sized(b->at, b->size);
  else
    scalloc_free(b->at);
  if (how % 8 < 4) CHECK_INT(errno, ==, KEPT_ERRNO);
}

static block give(size_t number, unsigned how) {
  block b = model.blocks[number];
  model_remove(number);
  lua_account_of(&b, 0);
  if (b.origin >= LUA_ANY)
    CHECK(lua_call(b.heap, b.origin == LUA_ANY, b.at, b.size, 0) == NULL);
  else
    give_core(&b, how);
  return b;
}

void op_free(void) {
  size_t number = take_block();
  scalloc_block found;
  if (model.count == 0) return;
  block b = give(number, take());
  afford(b.size);
  if (scalloc_find(b.at, &found)) CHECK(!found.live);
}

void op_free_many(void) {
  unsigned n = take_count(), how = take();
  size_t at = take_block(), stride = 1 + (how >> 3) % 8;
  for (; n > 0 && model.count > 0 && afford(model.blocks[at % model.count].size); n--, at += stride - 1)
    give(at % model.count, how);
}

void give_everything(void) {
  while (model.count > 0) give(model.count / 2, (unsigned)model.count);
}

/* ---- other sizes ------------------------------------------------------------------------------------------------------ */

/* Where a block ends up: it is the old one's heap's if it stayed, else that of the call. */
static void *ask_resize(block *b, size_t size, unsigned how) {
  unsigned char *old = b->at, *at;
  if (b->origin >= LUA_ANY) return lua_call(b->heap, b->origin == LUA_ANY, old, b->size, size);
  if (how % 4 == 3) {
    at = scalloc_heap_realloc(heap_in_use(how >> 2 & 3), old, size);
    if (at && at != old) b->origin = OF_HEAP, b->heap = how >> 2 & 3;
  } else if (how % 4 == 2 && b->origin == OF_HEAP) {
    at = scalloc_heap_realloc(model.heaps[b->heap], old, size);
  } else {
    at = scalloc_realloc(old, size);
    if (at && at != old) b->origin = PLAIN;
  }
  return at;
}

static void check_resized(const block *old, const block *b, size_t size) {
  bool stuck = model.pressed && b->at == old->at; /* a shrink without memory stays */
  size_t alignment = b->origin < LUA_ANY ? core_alignment(size) : stuck ? 8 : lua_alignment(size);
  CHECK(!is_impossible(size));
  CHECK(model_kept(old, b->at, size));
  CHECK_INT((uintptr_t)b->at % alignment, ==, 0);
}

static bool resize(size_t number, size_t size, unsigned how) {
  block old = model.blocks[number], b = old;
  bool too_much = size > old.size && !is_impossible(size) && model.bytes - model.vast_bytes + size > MOST_BYTES;
  if (size == 0 || too_much || (size >= VAST && !is_impossible(size)) || !afford(old.size < VAST ? old.size : MB)) return false;
  if (!is_impossible(size) && !afford(size)) return false;
  model_verify(&old);
  errno = 0;
  b.at = ask_resize(&b, size, how);
  if (b.at == NULL) {
    CHECK(size > old.size); /* a shrink never fails */
    check_refusal(is_impossible(size), ENOMEM);
    model_verify(&old);
    return false;
  }
  check_resized(&old, &b, size);
  lua_account_of(&old, size);
  b.size = size;
  model_replace(number, b);
  return true;
}

void op_resize(void) {
  size_t number = take_block(), size = take_size();
  unsigned how = take();
  if (model.count > 0) resize(number, size, how);
}

void op_resize_many(void) {
  unsigned n = take_count();
  size_t at = take_block(), size = take_size();
  unsigned how = take();
  for (; n > 0 && model.count > 0; n--, at++)
    if (!resize(at % model.count, size + n % 2, how)) return;
}

void op_stretch(void) {
  size_t number = take_block();
  if (model.count > 0 && afford(model.blocks[number].usable)) model_stretch(number);
}
