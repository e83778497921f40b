/*
 * tables.c - hash tables from any value to any value, by eqv?; ordinary ones and those whose keys are weak.
 *
 * Blocks do not move, so the address of a key is its hash. A weak table differs in one thing: its store is a block of another
 * kind, and what the collector does with that kind is in collect.c. Threads that share a table use a mutex.
 */
#include "scheme.h"
#include <string.h>

enum { TABLE_STORE, TABLE_WEAK, TABLE_FIELDS };
enum { FIRST_PLACES = 8 };

static size_t places_of(const object *store) { return (count_of(store) - STORE_START) / 2; }
static value *place_at(object *store, size_t i) { return store->field + STORE_START + 2 * i; }

static uint64_t hash(value key) {
  uint64_t h = has_type(key, T_FLONUM) ? flonum_bits(key) : key;
  return (h ^ h >> 32) * 0x9e3779b97f4a7c15u;
}

/* The place of the key, or the empty one where the search ended. */
static value *find(object *store, value key) {
  size_t mask = places_of(store) - 1;
  for (size_t i = hash(key) >> 32 & mask;; i = (i + 1) & mask) {
    value *place = place_at(store, i);
    if (place[0] == UNBOUND || same(place[0], key)) return place;
  }
}

static value new_store(thread *t, bool weak, size_t places) {
  object *store = new_object(t, weak ? KIND_WEAK : KIND_FIELDS, T_STORE, STORE_START + 2 * places, 0);
  store->field[STORE_COUNT] = store->field[STORE_USED] = fixnum(0);
  store->field[STORE_LINK] = FALSE;
  for (size_t i = 0; i < places; i++) {
    place_at(store, i)[0] = UNBOUND;
    place_at(store, i)[1] = FALSE;
  }
  return object_value(store);
}

value make_table(thread *t, bool weak) {
  push(t, new_store(t, weak, FIRST_PLACES));
  object *table = new_object(t, KIND_FIELDS, T_TABLE, TABLE_FIELDS, 0);
  table->field[TABLE_STORE] = pop(t);
  table->field[TABLE_WEAK] = boolean(weak);
  return object_value(table);
}

static object *store_of(value table) { return object_of(fields_of(table)[TABLE_STORE]); }
static int64_t number_at(const object *store, int which) { return fixnum_of(store->field[which]); }
static void add_to(object *store, int which, int64_t n) { store->field[which] = fixnum(number_at(store, which) + n); }

value table_get(value table, value key, value otherwise) {
  const value *place = find(store_of(table), key);
  return place[0] == UNBOUND ? otherwise : place[1];
}

/* Entries move to a store with room for twice as many; places of deleted ones are forgotten. */
static void rehash(thread *t, value table) {
  size_t places = FIRST_PLACES;
  while (places < 4 * ((size_t)number_at(store_of(table), STORE_COUNT) + 1)) places *= 2;
  object *new = object_of(new_store(t, fields_of(table)[TABLE_WEAK] == TRUE, places)), *old = store_of(table);
  for (size_t i = 0; i < places_of(old); i++) {
    const value *from = place_at(old, i);
    if (from[0] == UNBOUND || from[0] == DELETED) continue;
    value *to = find(new, from[0]);
    to[0] = from[0];
    to[1] = from[1];
    add_to(new, STORE_COUNT, 1);
    add_to(new, STORE_USED, 1);
  }
  fields_of(table)[TABLE_STORE] = object_value(new);
}

void table_put(thread *t, value *table_key_value) {
  value table = table_key_value[0], key = table_key_value[1];
  object *store = store_of(table);
  value *place = find(store, key);
  if (place[0] == UNBOUND) {
    if (4 * ((size_t)number_at(store, STORE_USED) + 1) > 3 * places_of(store)) rehash(t, table);
    store = store_of(table);
    place = find(store, key);
    place[0] = key;
    add_to(store, STORE_COUNT, 1);
    add_to(store, STORE_USED, 1);
  }
  place[1] = table_key_value[2];
}

/* ---- primitives */

static value p_make_table(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  return make_table(t, false);
}

static value p_make_weak_table(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  return make_table(t, true);
}

static value p_ref(thread *t, size_t count, value *args) {
  need_type(t, args[0], T_TABLE, "a table is wanted");
  return table_get(args[0], args[1], count == 3 ? args[2] : FALSE);
}

static value p_set(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_TABLE, "a table is wanted");
  table_put(t, args);
  return UNSPECIFIED;
}

static value p_delete(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_TABLE, "a table is wanted");
  value *place = find(store_of(args[0]), args[1]);
  if (place[0] == UNBOUND) return FALSE;
  place[0] = DELETED;
  place[1] = FALSE;
  add_to(store_of(args[0]), STORE_COUNT, -1);
  return TRUE;
}

static value p_count(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_TABLE, "a table is wanted");
  return store_of(args[0])->field[STORE_COUNT];
}

/* A list of the keys; while it grows, a weak table may lose some that are not in it yet. */
static value p_keys(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_TABLE, "a table is wanted");
  push(t, NIL);
  for (size_t i = 0; i < places_of(store_of(args[0])); i++) {
    value key = place_at(store_of(args[0]), i)[0], rest = t->sp[-1];
    if (key == UNBOUND || key == DELETED) continue;
    t->sp[-1] = key;
    push(t, rest);
    cons_top(t);
  }
  return pop(t);
}

const primitive_entry table_primitives[] = {{"make-table", p_make_table, 0, 0}, {"make-weak-table", p_make_weak_table, 0, 0},
                                            {"table-ref", p_ref, 2, 3},         {"table-set!", p_set, 3, 3},
                                            {"table-delete!", p_delete, 2, 2},  {"table-count", p_count, 1, 1},
                                            {"table-keys", p_keys, 1, 1},       {NULL, NULL, 0, 0}};
