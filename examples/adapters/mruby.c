/*
 * mruby.c - mruby on a heap of scalloc: every Ruby VM has its own, and all of it goes with one call.
 *
 * Build: cc mruby.c host.c $(pkg-config --cflags --libs scalloc) -lmruby -lm
 */
#include <mruby.h>
#include <mruby/compile.h>
#include <mruby/string.h>
#include <mruby/variable.h>
#include <scalloc/scalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "host.h"

/* ---- the adapter ----------------------------------------------------------------------------------------------------- */

/* Size 0 frees, and the block may be NULL then: not a case for realloc, whose realloc(NULL, 0) is a block. */
static void *ruby_allocf(mrb_state *mrb, void *block, size_t size, void *heap) {
  (void)mrb;
  if (size != 0) return scalloc_heap_realloc(heap, block, size);
  scalloc_heap_free(heap, block);
  return NULL;
}

static mrb_state *ruby_open(scalloc_heap *heap) { return mrb_open_allocf(ruby_allocf, heap); }

/* ---- the same with a limit ------------------------------------------------------------------------------------------- */

static void *limited_allocf(mrb_state *mrb, void *block, size_t size, void *b) {
  (void)mrb;
  return budget_realloc(b, block, size);
}

static mrb_state *ruby_open_limited(budget *b) { return mrb_open_allocf(limited_allocf, b); }

static const char name[] = "mruby";

/* ---- the work -------------------------------------------------------------------------------------------------------- */

static const char work[] =
    "$seed, $index, $counters = 42, {}, []\n"
    "def random(n) ($seed = ($seed * 1103515245 + 12345) % 2147483648) / 65536 % n end\n"
    "def counter() count = 0; lambda { |by| count += by } end\n"
    "def word() s = ''; (3 + random(9)).times { s << (97 + random(5)).chr }; s end\n"
    "longest = ''\n"
    "(300 * $work).times do |i|\n"
    "  w = word\n"
    "  ($index[w] ||= []) << { :line => i, :tags => [random(100), \"tag #{random(1000)}\"] }\n"
    "  $counters << counter if i % 20 == 0\n"
    "  $counters[i % $counters.size].call(i)\n"
    "  longest = w if w.size > longest.size\n"
    "end\n"
    "words = $index.keys.sort { |a, b| (c = $index[b].size <=> $index[a].size) != 0 ? c : a <=> b }\n"
    "dump = $index.inspect\n"
    "tags = {}\n"
    "$index.each_value { |list| list.each { |e| tags[e[:tags][1]] = (tags[e[:tags][1]] || 0) + e[:tags][0] } }\n"
    "text = words.join(' ').gsub('aa', '2')\n"
    "sum = $counters.inject(0) { |s, c| s + c.call(0) }\n"
    "[words.size, words[0], $index[words[0]].size, dump.size, tags.size, tags['tag 7'], text.size, text[0, 40], longest,\n"
    " sum].join(' ')\n";

static const char hog[] = "lambda { all = []; loop { all << 'x' * 1000 } }.call";
static const char after[] = "'factorial ' + (1..20).inject { |f, i| f * i }.to_s";

/* Runs a script; its result or its error is copied to `out`. False: an error. */
static bool ruby_run(mrb_state *mrb, const char *script, char *out, size_t size) {
  int arena = mrb_gc_arena_save(mrb);
  mrb_value value = mrb_load_string(mrb, script);
  bool fine = mrb->exc == NULL;
  if (fine) {
    snprintf(out, size, "%s", mrb_string_p(value) ? RSTRING_PTR(value) : "no string");
  } else {
    mrb_value error = mrb_obj_value(mrb->exc);
    mrb->exc = NULL;
    mrb_value text = mrb_funcall(mrb, error, "message", 0);
    snprintf(out, size, "%s: %s", mrb_obj_classname(mrb, error), mrb_string_p(text) ? RSTRING_PTR(text) : "");
  }
  mrb_gc_arena_restore(mrb, arena);
  return fine;
}

static bool ruby_work(mrb_state *mrb, int percent, char *out, size_t size) {
  mrb_gv_set(mrb, mrb_intern_lit(mrb, "$work"), mrb_fixnum_value(percent));
  return ruby_run(mrb, work, out, size);
}

/* ---- what it shows --------------------------------------------------------------------------------------------------- */

static int plain(const host_options *options, host_report *report) {
  mrb_state *mrb = mrb_open();
  if (mrb == NULL) return EXIT_FAILURE;
  report->good = ruby_work(mrb, options->work, report->result, sizeof report->result);
  mrb_close(mrb);
  return host_print(report, options);
}

/* One VM with its work done. It is closed by mruby, which must free all it has; or left as it is, and its heap destroyed. */
static bool one_vm(int percent, bool close, host_report *report) {
  size_t before = host_live();
  scalloc_heap *heap = scalloc_heap_new();
  mrb_state *mrb = heap ? ruby_open(heap) : NULL;
  if (mrb == NULL) return host_check(false, name, "there is memory for a VM");
  bool good =
      host_check(ruby_work(mrb, percent, report->result, sizeof report->result), name, "the script ends without an error");
  host_measure(report, before);
  double start = host_microseconds();
  if (close) {
    mrb_close(mrb);
    report->close_us = host_microseconds() - start;
    good &= host_check(host_live() == before, name, "nothing is live after mrb_close");
    scalloc_heap_destroy(heap);
  } else {
    scalloc_heap_destroy(heap);
    report->destroy_us = host_microseconds() - start;
  }
  return host_check(host_live() == before, name, "nothing is live after scalloc_heap_destroy") && good;
}

/*
 * A script that takes all it can get ends in NoMemoryError, and the VM runs the next script. The limit leaves room to compile:
 * what runs survives a refusal anywhere, but the compiler of 3.1 does not, whatever the allocator.
 */
static bool short_of_memory(size_t limit, host_report *report) {
  size_t before = host_live();
  budget b = {.heap = scalloc_heap_new()};
  mrb_state *mrb = b.heap ? ruby_open_limited(&b) : NULL;
  if (mrb == NULL) return host_check(false, name, "there is memory for a VM");
  b.limit = b.used + limit;
  char answer[80];
  bool good = host_check(!ruby_run(mrb, hog, report->refused, sizeof report->refused), name, "a script runs out of memory");
  good &= host_check(strncmp(report->refused, "NoMemoryError", 13) == 0, name, "mruby says that memory ran out");
  good &= host_check(b.used <= b.limit, name, "the limit holds");
  good &= host_check(ruby_run(mrb, after, answer, sizeof answer) && strcmp(answer, "factorial 2432902008176640000") == 0, name,
                     "the VM can be used after that");
  mrb_close(mrb);
  good &= host_check(b.used <= 64 && host_live() == before + b.used, name, "the counter agrees after mrb_close");
  scalloc_heap_destroy(b.heap); /* 3.1 may forget a block where memory ran out; its heap does not */
  return host_check(host_live() == before, name, "nothing is live after scalloc_heap_destroy") && good;
}

int main(int argc, char **argv) {
  host_options options = host_read_options(argc, argv, name, 4000000);
  host_report report = {.name = name};
  if (options.plain) return plain(&options, &report);
  char first[sizeof report.result];
  report.good = one_vm(options.work, true, &report);
  memcpy(first, report.result, sizeof first);
  report.good = one_vm(options.work, false, &report) && report.good;
  report.good = host_check(strcmp(first, report.result) == 0, name, "both VMs say the same") && report.good;
  if (options.limit != 0) report.good = short_of_memory(options.limit, &report) && report.good;
  return host_print(&report, &options);
}
