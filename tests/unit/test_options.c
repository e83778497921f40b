/* test_options.c - defaults, the environment, scalloc_option_set, and the moment after which nothing changes. */
#include "unit.h"

#include <limits.h>

#include "options.h"

static const char *const names[] = {"SCALLOC_ARENA_BYTES",    "SCALLOC_LIMIT_BYTES", "SCALLOC_REUSE_THRESHOLD",
                                    "SCALLOC_PURGE_DELAY_MS", "SCALLOC_STATS",       "SCALLOC_PURGE_THREAD"};
static const long smallest[] = {0, 0, 0, -1, 0, 0};
static const long largest[] = {LONG_MAX, LONG_MAX, 100, 1000000000, 3, 1};

static long value_of(size_t option) {
  switch (option) {
  case 0:
    return (long)options.arena_bytes;
  case 1:
    return (long)options.limit_bytes;
  case 2:
    return (long)options.reuse_threshold;
  case 3:
    return options.purge_delay_ms;
  case 4:
    return options.stats;
  default:
    return options.purge_thread;
  }
}

static long default_of(size_t option) {
  static const long defaults[] = {0, 0, REUSE_THRESHOLD_DEFAULT, PURGE_DELAY_MS_DEFAULT, 0, 0};
  return defaults[option];
}

static unsigned times_in(const char *text, const char *part) {
  unsigned n = 0;
  for (; (text = strstr(text, part)) != NULL; text++) n++;
  return n;
}

static void without_settings_the_defaults_hold(void) {
  options_freeze();
  for (size_t i = 0; i < LENGTH(names); i++) CHECK_INT(value_of(i), ==, default_of(i));
  CHECK_INT(strlen(os_fake_stderr()), ==, 0);
}

static void read_and_expect(size_t option, const char *text, long value) {
  os_fake_setenv(names[option], text);
  options_freeze();
  CHECK_INT(value_of(option), ==, value);
  CHECK_INT(strlen(os_fake_stderr()), ==, 0);
  for (size_t i = 0; i < LENGTH(names); i++)
    if (i != option) CHECK_INT(value_of(i), ==, default_of(i));
}

static void read_smallest(long option) {
  char text[32];
  snprintf(text, sizeof text, "%ld", smallest[option]);
  read_and_expect((size_t)option, text, smallest[option]);
}

static void read_largest(long option) {
  char text[32];
  snprintf(text, sizeof text, "%ld", largest[option]);
  read_and_expect((size_t)option, text, largest[option]);
}

static void read_zeros_in_front(long option) { read_and_expect((size_t)option, "00000000000000000000000000000001", 1); }

static void the_environment_sets_each_option(void) {
  unit_each(read_smallest, 0, LENGTH(names));
  unit_each(read_largest, 0, LENGTH(names));
  unit_each(read_zeros_in_front, 0, LENGTH(names));
}

static const char *const bad[] = {"",
                                  "-",
                                  "abc",
                                  "1x",
                                  " 1",
                                  "1 ",
                                  "+1",
                                  "0x10",
                                  "1.0",
                                  "1e3",
                                  "--1",
                                  "-2",
                                  "1\n",
                                  "5-",
                                  "9223372036854775808",
                                  "-9223372036854775808",
                                  "18446744073709551617",
                                  "99999999999999999999999999"};

static void read_bad(long number) {
  size_t option = (size_t)number / LENGTH(bad);
  const char *text = bad[(size_t)number % LENGTH(bad)];
  char said[100];
  os_fake_setenv(names[option], text);
  options_freeze();
  options_freeze();
  CHECK_INT(value_of(option), ==, default_of(option));
  snprintf(said, sizeof said, "scalloc: %s=%s is not", names[option], text);
  CHECK_INT(times_in(os_fake_stderr(), said), ==, 1);
  CHECK_INT(times_in(os_fake_stderr(), " ignored\n"), ==, 1);
}

static void a_bad_value_is_reported_once_and_ignored(void) { unit_each(read_bad, 0, LENGTH(bad) * LENGTH(names)); }

static void read_too_large(long option) {
  char text[32], said[100];
  snprintf(text, sizeof text, "%ld", largest[option] + 1);
  os_fake_setenv(names[option], text);
  options_freeze();
  CHECK_INT(value_of((size_t)option), ==, default_of((size_t)option));
  snprintf(said, sizeof said, "scalloc: %s=%s ", names[option], text);
  CHECK_INT(times_in(os_fake_stderr(), said), ==, 1);
}

static void a_value_out_of_range_is_a_bad_value(void) { unit_each(read_too_large, 2, LENGTH(names)); }

static void a_very_long_value_is_reported_in_one_line(void) {
  static char text[1000];
  memset(text, 'x', sizeof text - 1);
  os_fake_setenv(names[0], text);
  options_freeze();
  CHECK_INT(strlen(os_fake_stderr()), <=, 200);
  CHECK_INT(times_in(os_fake_stderr(), "\n"), ==, 1);
}

static void option_set_takes_the_same_values(void) {
  for (size_t i = 0; i < LENGTH(names); i++) {
    CHECK(scalloc_option_set(names[i], smallest[i]));
    CHECK_INT(value_of(i), ==, smallest[i]);
    CHECK(scalloc_option_set(names[i], largest[i]));
    CHECK_INT(value_of(i), ==, largest[i]);
  }
}

static void option_set_refuses_bad_values_and_names(void) {
  for (size_t i = 0; i < LENGTH(names); i++) {
    errno = 0;
    CHECK(!scalloc_option_set(names[i], smallest[i] - 1));
    CHECK_INT(errno, ==, EINVAL);
    CHECK(largest[i] == LONG_MAX || !scalloc_option_set(names[i], largest[i] + 1));
    CHECK_INT(value_of(i), ==, default_of(i));
  }
  errno = 0;
  CHECK(!scalloc_option_set("SCALLOC_NO_SUCH_THING", 0));
  CHECK_INT(errno, ==, EINVAL);
  CHECK(!scalloc_option_set("scalloc_stats", 1));
  CHECK(!scalloc_option_set("", 1));
}

static void option_set_wins_over_the_environment(void) {
  os_fake_setenv("SCALLOC_PURGE_DELAY_MS", "7");
  os_fake_setenv("SCALLOC_REUSE_THRESHOLD", "nonsense");
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 9));
  CHECK(scalloc_option_set("SCALLOC_REUSE_THRESHOLD", 50));
  options_freeze();
  CHECK_INT(options.purge_delay_ms, ==, 9);
  CHECK_INT(options.reuse_threshold, ==, 50);
  CHECK_INT(strlen(os_fake_stderr()), ==, 0);
}

static void the_first_allocation_freezes_the_options(void) {
  os_fake_setenv("SCALLOC_PURGE_DELAY_MS", "7");
  CHECK(scalloc_malloc(1) != NULL);
  CHECK_INT(options.purge_delay_ms, ==, 7);
  for (size_t i = 0; i < LENGTH(names); i++) {
    errno = 0;
    CHECK(!scalloc_option_set(names[i], 1));
    CHECK_INT(errno, ==, EINVAL);
  }
  CHECK_INT(options.purge_delay_ms, ==, 7);
  os_fake_setenv("SCALLOC_STATS", "1");
  options_freeze();
  CHECK(!options.stats);
}

static void a_heap_freezes_them_too(void) {
  CHECK(scalloc_heap_new() != NULL);
  CHECK(!scalloc_option_set("SCALLOC_STATS", 1));
}

UNIT_MAIN(CASE(without_settings_the_defaults_hold), CASE(the_environment_sets_each_option),
          CASE(a_bad_value_is_reported_once_and_ignored), CASE(a_value_out_of_range_is_a_bad_value),
          CASE(a_very_long_value_is_reported_in_one_line), CASE(option_set_takes_the_same_values),
          CASE(option_set_refuses_bad_values_and_names), CASE(option_set_wins_over_the_environment),
          CASE(the_first_allocation_freezes_the_options), CASE(a_heap_freezes_them_too))
