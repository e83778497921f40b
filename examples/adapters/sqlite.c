/*
 * sqlite.c - SQLite on scalloc. Connections are used by any thread and share caches, so it gets the heap of the process, not
 * one of its own: scalloc_malloc serves every thread from a heap of the thread, and any thread may free.
 *
 * Build: cc sqlite.c host.c $(pkg-config --cflags --libs scalloc sqlite3) -pthread
 */
#include <limits.h>
#include <pthread.h>
#include <scalloc/scalloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* ---- the adapter ----------------------------------------------------------------------------------------------------- */

/* SQLite's sizes are int and at most 2^31 - 257; rounded up they may not fit. */
static int as_int(size_t size) { return size < INT_MAX ? (int)size : INT_MAX; }

static void *sql_malloc(int size) { return scalloc_malloc((size_t)size); }
static void *sql_realloc(void *block, int size) { return scalloc_realloc(block, (size_t)size); }
static int sql_size(void *block) { return as_int(scalloc_usable_size(block)); }
static int sql_roundup(int size) { return as_int(scalloc_good_size((size_t)size)); }
static int sql_init(void *unused) { return (void)unused, SQLITE_OK; }
static void sql_shutdown(void *unused) { (void)unused; }

static const sqlite3_mem_methods sql_methods = {sql_malloc,  scalloc_free, sql_realloc,  sql_size,
                                                sql_roundup, sql_init,     sql_shutdown, NULL};

/* Before any other call of SQLite. */
static bool sql_use_scalloc(void) { return sqlite3_config(SQLITE_CONFIG_MALLOC, &sql_methods) == SQLITE_OK; }

/* ---- the work -------------------------------------------------------------------------------------------------------- */

enum { THREADS = 2 };
static const char name[] = "sqlite";

/* %d: rows. Sorts and intermediate results stay in memory, too. */
static const char fill[] = "PRAGMA temp_store = memory;"
                           "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, cents INTEGER);"
                           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                           "  INSERT INTO orders SELECT i, i * 7919 %% 997, printf('item %%d of %%s', i * 31 %% 53, "
                           "substr('abcdefghijklmnopqrstuvwxyz',"
                           "    1 + i %% 19, 3 + i %% 6)), i * 104729 %% 100003 FROM n;"
                           "CREATE INDEX by_item ON orders(item, cents);"
                           "CREATE INDEX by_customer ON orders(customer);"
                           "DELETE FROM orders WHERE id %% 5 = 0;"
                           "UPDATE orders SET item = item || ', reduced', cents = cents / 2 WHERE cents > 90000;";

static const char *const questions[] = {
    "SELECT group_concat(item, '+') FROM (SELECT item FROM orders ORDER BY item DESC, cents LIMIT 3)",
    "SELECT customer || ':' || sum(cents) FROM orders GROUP BY customer ORDER BY sum(cents) DESC, customer LIMIT 1",
    "SELECT sum(p * cents) FROM (SELECT cents, row_number() OVER (ORDER BY cents % 1009, item, id) % 97 AS p FROM orders)",
    "SELECT count(*) FROM orders a JOIN orders b ON a.item = b.item AND a.id < b.id AND a.customer < 50",
    "PRAGMA integrity_check",
};

/* Appends the first column of the first row, or the error. */
static bool ask(sqlite3 *db, const char *sql, char *out, size_t size) {
  sqlite3_stmt *statement = NULL;
  bool fine = sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW;
  const char *text = fine ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(db);
  size_t used = strlen(out);
  snprintf(out + used, size - used, "%s%s", used ? " " : "", text ? text : "NULL");
  sqlite3_finalize(statement);
  return fine;
}

static bool ask_all(sqlite3 *db, char *out, size_t size) {
  bool fine = true;
  out[0] = 0;
  for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) fine = ask(db, questions[i], out, size) && fine;
  return fine;
}

typedef struct worker {
  pthread_t thread;
  int rows;
  sqlite3 *db;
  char answers[180];
  bool good;
} worker;

/* A database in memory, made and asked on this thread; the main thread closes it. */
static void *worker_run(void *argument) {
  worker *w = argument;
  char sql[sizeof fill + 20];
  snprintf(sql, sizeof sql, fill, w->rows);
  w->good = sqlite3_open(":memory:", &w->db) == SQLITE_OK && sqlite3_exec(w->db, sql, NULL, NULL, NULL) == SQLITE_OK &&
            ask_all(w->db, w->answers, sizeof w->answers);
  if (!w->good) fprintf(stderr, "%s: %s\n", name, sqlite3_errmsg(w->db));
  return NULL;
}

static bool run_workers(worker *workers, int percent, host_report *report) {
  bool good = true;
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){.rows = (500 + i) * percent};
    if (pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) != 0) exit(EXIT_FAILURE);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(workers[i].thread, NULL);
    good = workers[i].good && good;
    size_t used = strlen(report->result);
    snprintf(report->result + used, sizeof report->result - used, "%s%s", used ? "; " : "", workers[i].answers);
  }
  return host_check(good, name, "every statement succeeds");
}

/* ---- what it shows --------------------------------------------------------------------------------------------------- */

/* A statement that needs more than there is fails with SQLITE_NOMEM and leaves no trace; the connection goes on. */
static bool short_of_memory(worker *w, host_report *report) {
  static const char hog[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000)"
                            "  INSERT INTO orders SELECT NULL, i, printf('%1000d', i), i FROM n";
  char answers[sizeof w->answers];
  bool good = host_check(sqlite3_exec(w->db, hog, NULL, NULL, NULL) == SQLITE_NOMEM, name, "memory runs out: SQLITE_NOMEM");
  snprintf(report->refused, sizeof report->refused, "%s", sqlite3_errmsg(w->db));
  scalloc_purge(); /* what the statement has left in empty spans of this thread serves any size again */
  good &= host_check(sqlite3_get_autocommit(w->db) != 0, name, "the statement is rolled back");
  return host_check(ask_all(w->db, answers, sizeof answers) && strcmp(answers, w->answers) == 0, name,
                    "the same questions have the same answers after that") &&
         good;
}

/* The largest block that SQLite ever asks for: it gets it whenever scalloc has it. */
static bool largest_block(void) {
  enum { LARGEST = 2147483390 };
  void *same = scalloc_malloc(LARGEST);
  bool there = same != NULL;
  scalloc_free(same);
  void *block = sqlite3_malloc64(LARGEST);
  bool good = there ? block != NULL && sqlite3_msize(block) >= LARGEST : block == NULL;
  sqlite3_free(block);
  return host_check(good, name, "the largest block has its size, or is refused under the limit");
}

static bool close_all(worker *workers) {
  bool good = true;
  for (int i = 0; i < THREADS; i++) good = sqlite3_close(workers[i].db) == SQLITE_OK && good;
  return host_check(sqlite3_shutdown() == SQLITE_OK && good, name, "SQLite closes");
}

static int plain(const host_options *options, host_report *report) {
  worker workers[THREADS];
  report->good = run_workers(workers, options->work, report);
  report->good = close_all(workers) && report->good;
  return host_print(report, options);
}

int main(int argc, char **argv) {
  host_options options = host_read_options(argc, argv, name, 64000000);
  host_report report = {.name = name, .destroy_us = -1};
  if (options.plain) return plain(&options, &report);
  if (options.limit != 0 && !scalloc_option_set("SCALLOC_LIMIT_BYTES", (long)options.limit)) return EXIT_FAILURE;
  size_t before = host_live();
  if (!sql_use_scalloc()) return EXIT_FAILURE;
  worker workers[THREADS];
  report.good = run_workers(workers, options.work, &report);
  host_measure(&report, before);
  report.good &= host_check(report.live == (size_t)sqlite3_memory_used(), name, "SQLite counts what scalloc counts");
  if (options.limit != 0 && report.good) report.good = short_of_memory(&workers[0], &report);
  report.good &= largest_block();
  double start = host_microseconds();
  report.good &= close_all(workers);
  report.close_us = host_microseconds() - start;
  report.good &= host_check(host_live() == before, name, "nothing is live after sqlite3_shutdown");
  return host_print(&report, &options);
}
