/* scalloc_stats_json and scalloc_stats_prometheus: well-formed, cut like snprintf, and their numbers add up. */
#include "../test.h"
#include <ctype.h>
#include <pthread.h>

/* ---- a JSON checker: the whole grammar but for escapes, which have no place here ------------------------------------- */

static const char *value(const char *at); /* each returns where the thing ends, NULL if it is none */

static const char *blank(const char *at) { return at + strspn(at, " \t\r\n"); }

static const char *string(const char *at) {
  if (*at != '"') return NULL;
  const char *end = strchr(at + 1, '"');
  return end && end > at + 1 && !memchr(at, '\\', (size_t)(end - at)) ? end + 1 : NULL;
}

static const char *number(const char *at) {
  if (*at == '-') at++;
  if (!isdigit((unsigned char)*at) || (*at == '0' && isdigit((unsigned char)at[1]))) return NULL;
  return at + strspn(at, "0123456789");
}

static const char *members(const char *at) {
  for (;;) {
    if (!(at = string(blank(at))) || *(at = blank(at)) != ':') return NULL;
    if (!(at = value(at + 1))) return NULL;
    at = blank(at);
    if (*at == '}') return at + 1;
    if (*at++ != ',') return NULL;
  }
}

static const char *value(const char *at) {
  at = blank(at);
  if (*at == '{') return *blank(at + 1) == '}' ? blank(at + 1) + 1 : members(at + 1);
  return *at == '"' ? string(at) : number(at);
}

static void it_is_one_json_object(void) {
  char json[4096];
  size_t length = scalloc_stats_json(json, sizeof json);
  CHECK_INT(length, ==, strlen(json));
  CHECK(json[0] == '{');
  const char *end = value(json);
  CHECK(end != NULL);
  CHECK(*blank(end) == 0);
  stats_parse(json); /* every key is there */
}

static void is_cut_like_snprintf(size_t (*print)(char *buffer, size_t size)) {
  char whole[4096], part[4096];
  size_t length = print(whole, sizeof whole);
  CHECK(length > 0 && length < sizeof whole);
  CHECK_INT(print(NULL, 0), ==, length);
  for (size_t size = 0; size <= length + 2; size++) {
    memset(part, 'x', sizeof part);
    CHECK_INT(print(part, size), ==, length);
    size_t kept = size == 0 ? 0 : size - 1 < length ? size - 1 : length;
    CHECK(memcmp(part, whole, kept) == 0);
    if (size > 0) CHECK(part[kept] == 0);
    CHECK(all_bytes(part + (size < kept + 1 ? size : kept + 1), sizeof part - length - 3, 'x')); /* nothing behind it */
  }
}

static void both_are_cut_like_snprintf(void) {
  is_cut_like_snprintf(scalloc_stats_json);
  is_cut_like_snprintf(scalloc_stats_prometheus);
}

/* ---- the text that Prometheus scrapes --------------------------------------------------------------------------------- */

/* The value of one sample, whose family was told to be of that type just before its first one. */
static long long sample(const char *text, const char *type, const char *family, const char *labels) {
  char head[128], line[128];
  long long number;
  int length;
  snprintf(head, sizeof head, "\n# TYPE %s %s\n%s", family, type, family);
  CHECK(strstr(text, head) != NULL);
  snprintf(line, sizeof line, "\n%s%s ", family, labels);
  const char *at = strstr(text, line);
  CHECK(at != NULL);
  CHECK(sscanf(at + strlen(line), "%lld%n", &number, &length) == 1 && at[strlen(line) + (size_t)length] == '\n');
  CHECK(strstr(at + 1, line) == NULL); /* once */
  return number;
}

static void prometheus_gets_the_same_figures(void) {
  char text[4096];
  stats s = stats_now();
  size_t length = scalloc_stats_prometheus(text, sizeof text);
  CHECK(length < sizeof text && length == strlen(text) && text[length - 1] == '\n' && strncmp(text, "# HELP ", 7) == 0);
  CHECK_INT(sample(text, "gauge", "scalloc_arena_reserved_bytes", ""), ==, s.reserved);
  CHECK_INT(sample(text, "gauge", "scalloc_arena_spans_opened", ""), ==, s.opened);
  CHECK_INT(sample(text, "gauge", "scalloc_spans", "{state=\"hot\"}"), ==, s.hot);
  CHECK_INT(sample(text, "gauge", "scalloc_spans", "{state=\"floating\"}"), ==, s.floating);
  CHECK_INT(sample(text, "gauge", "scalloc_spans", "{state=\"reusable\"}"), ==, s.reusable);
  CHECK_INT(sample(text, "gauge", "scalloc_spans", "{state=\"pooled\"}"), ==, s.pooled);
  CHECK_INT(sample(text, "gauge", "scalloc_spans", "{state=\"large\"}"), ==, s.large);
  CHECK_INT(sample(text, "gauge", "scalloc_live_bytes", ""), ==, s.live);
  CHECK_INT(sample(text, "gauge", "scalloc_committed_bytes", ""), ==, s.committed);
  CHECK_INT(sample(text, "gauge", "scalloc_page_tables_bytes", ""), ==, s.page_tables);
  CHECK_INT(sample(text, "gauge", "scalloc_limit_bytes", ""), ==, s.limit);
  CHECK_INT(sample(text, "counter", "scalloc_purges_total", ""), ==, s.purges);
  CHECK_INT(sample(text, "counter", "scalloc_remote_frees_total", ""), ==, s.remote_frees);
  CHECK_INT(sample(text, "counter", "scalloc_adoptions_total", ""), ==, s.adoptions);
}

/* ---- the numbers ----------------------------------------------------------------------------------------------------- */

static void live_is_what_is_handed_out(size_t size, size_t bytes) {
  static void *blocks[1000000];
  size_t count = bytes / size, usable = 0;
  stats before = stats_now();
  for (size_t i = 0; i < count; i++) {
    CHECK(blocks[i] = scalloc_malloc(size));
    usable += scalloc_usable_size(blocks[i]);
    *(char *)blocks[i] = 1;
  }
  stats full = stats_now();
  CHECK_INT(full.live - before.live, ==, usable);
  CHECK_INT(full.committed, >=, full.live);
  CHECK_INT(full.hot + full.floating + full.reusable + full.large, >, 0);
  check_span_sum(full);
  for (size_t i = 0; i < count / 2; i++) scalloc_free(blocks[i]);
  stats half = stats_now();
  CHECK_INT(half.live, <, full.live);
  CHECK_INT(half.live, >, before.live);
  check_span_sum(half);
  for (size_t i = count / 2; i < count; i++) scalloc_free(blocks[i]);
  stats after = stats_now();
  CHECK_INT(after.live, ==, before.live);
  check_span_sum(after);
}

static void large_spans_are_those_of_big_blocks(void) {
  stats before = stats_now();
  void *block = scalloc_malloc(9 * MB);
  stats with = stats_now();
  CHECK_INT(with.large - before.large, >=, 5); /* 9 MB lie in at least 5 spans of 2 MB */
  CHECK_INT(with.large - before.large, <=, 6);
  scalloc_free(block);
  CHECK_INT(stats_now().large, ==, before.large);
}

static void opened_is_a_high_water_mark(void) {
  stats before = stats_now();
  CHECK_INT(before.reserved, >, 0);
  CHECK_INT(before.opened << SPAN_SHIFT, <=, before.reserved);
  void *blocks[100];
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = scalloc_malloc(3 * MB);
  stats full = stats_now();
  CHECK_INT(full.opened, >=, 2 * LENGTH(blocks));
  for (size_t i = 0; i < LENGTH(blocks); i++) scalloc_free(blocks[i]);
  CHECK_INT(stats_now().opened, ==, full.opened);
  CHECK_INT(stats_now().reserved, ==, before.reserved);
}

static void a_purge_is_counted(void) {
  void *block = scalloc_malloc(20 * MB);
  memset(block, 1, 20 * MB);
  long rss = rss_kb();
  stats before = stats_now();
  scalloc_free(block);
  scalloc_purge();
  CHECK_INT(stats_now().purges, >, before.purges);
  CHECK_INT(stats_now().committed, <=, before.committed - 20 * (long long)MB);
  CHECK_INT(rss - rss_kb(), >=, 19 * KB);
}

enum { REMOTE = 5000 };
static void *remote[REMOTE];

static void *free_remote(void *argument) {
  for (size_t i = 0; i < REMOTE; i++) scalloc_free(remote[i]);
  return argument;
}

static void frees_by_other_threads_are_counted(void) {
  stats before = stats_now();
  for (size_t i = 0; i < REMOTE; i++) remote[i] = scalloc_malloc(64);
  CHECK_INT(stats_now().remote_frees, ==, before.remote_frees);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_remote, NULL) == 0 && pthread_join(thread, NULL) == 0);
  CHECK_INT(stats_now().remote_frees - before.remote_frees, ==, REMOTE);
  CHECK_INT(stats_now().live, ==, before.live);
}

int main(void) {
  without_quarantine();
  it_is_one_json_object(); /* before the first allocation */
  scalloc_free(scalloc_malloc(1));
  it_is_one_json_object();
  both_are_cut_like_snprintf();
  prometheus_gets_the_same_figures();
  check_span_sum(stats_now());
  live_is_what_is_handed_out(16, 10 * MB);
  live_is_what_is_handed_out(100, 20 * MB);
  live_is_what_is_handed_out(3000, 30 * MB);
  live_is_what_is_handed_out(200000, 60 * MB);
  live_is_what_is_handed_out(5000000, 200 * MB);
  large_spans_are_those_of_big_blocks();
  opened_is_a_high_water_mark();
  a_purge_is_counted();
  frees_by_other_threads_are_counted();
  it_is_one_json_object();
  both_are_cut_like_snprintf();
  prometheus_gets_the_same_figures();
  check_heap();
  return 0;
}
