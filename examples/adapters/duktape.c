/*
 * duktape.c - Duktape on a heap of scalloc: every JavaScript VM has its own, and all of it goes with one call.
 *
 * Build: cc duktape.c host.c $(pkg-config --cflags --libs scalloc duktape)
 */
#include <duktape.h>
#include <scalloc/scalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "host.h"

/* ---- the adapter ----------------------------------------------------------------------------------------------------- */

static void *js_alloc(void *heap, duk_size_t size) { return scalloc_heap_malloc(heap, size); }
static void *js_realloc(void *heap, void *block, duk_size_t size) { return scalloc_heap_realloc(heap, block, size); }
static void js_free(void *heap, void *block) { scalloc_heap_free(heap, block); }

/* Duktape calls it when it can neither go on nor throw. It must not return. */
static void js_fatal(void *heap, const char *message) {
  (void)heap;
  fprintf(stderr, "duktape: %s\n", message ? message : "fatal error");
  exit(EXIT_FAILURE);
}

static duk_context *js_open(scalloc_heap *heap) { return duk_create_heap(js_alloc, js_realloc, js_free, heap, js_fatal); }

/* ---- the same with a limit ------------------------------------------------------------------------------------------- */

static void *limited_alloc(void *b, duk_size_t size) { return budget_realloc(b, NULL, size); }
static void *limited_realloc(void *b, void *block, duk_size_t size) { return budget_realloc(b, block, size); }
static void limited_free(void *b, void *block) { budget_realloc(b, block, 0); }

static duk_context *js_open_limited(budget *b) {
  return duk_create_heap(limited_alloc, limited_realloc, limited_free, b, js_fatal);
}

static const char name[] = "duktape";

/* ---- the work -------------------------------------------------------------------------------------------------------- */

static const char work[] =
    "var seed = 42, index = {}, counters = [], longest = '';\n"
    "function random(n) { seed = (seed * 1103515245 + 12345) % 2147483648; return Math.floor(seed / 65536) % n; }\n"
    "function counter() { var count = 0; return function (by) { return count += by; }; }\n"
    "function word() { for (var s = '', i = 3 + random(9); i > 0; i--) s += String.fromCharCode(97 + random(5)); return s; }\n"
    "for (var i = 0; i < 300 * WORK; i++) {\n"
    "  var w = word();\n"
    "  (index[w] = index[w] || []).push({ line: i, tags: [random(100), 'tag ' + random(1000)] });\n"
    "  if (i % 20 === 0) counters.push(counter());\n"
    "  counters[i % counters.length](i);\n"
    "  if (w.length > longest.length) longest = w;\n"
    "}\n"
    "var words = Object.keys(index).sort(function (a, b) { return index[b].length - index[a].length || (a < b ? -1 : 1); });\n"
    "var json = JSON.stringify(index), copy = JSON.parse(json);\n"
    "var same = words.every(function (w) { return copy[w].length === index[w].length; });\n"
    "var text = words.join(' ').replace(/a+/g, function (m) { return m.length; });\n"
    "var sum = counters.reduce(function (s, c) { return s + c(0); }, 0);\n"
    "[words.length, words[0], index[words[0]].length, json.length, same, text.length, text.slice(0, 40), longest, sum].join(' "
    "');";

static const char hog[] = "(function () { for (var all = [];;) all.push(new Array(100).join('x' + all.length)); })()";
static const char after[] = "(function () { for (var i = 2, f = 1; i <= 20; i++) f *= i; return 'factorial ' + f; })()";

/* Evaluates a script; its result or its error is copied to `out`. False: an error. */
static bool js_run(duk_context *js, const char *script, char *out, size_t size) {
  bool fine = duk_peval_string(js, script) == 0;
  snprintf(out, size, "%s", duk_safe_to_string(js, -1));
  duk_pop(js);
  return fine;
}

static bool js_work(duk_context *js, int percent, char *out, size_t size) {
  duk_push_int(js, percent);
  duk_put_global_string(js, "WORK");
  return js_run(js, work, out, size);
}

/* ---- what it shows --------------------------------------------------------------------------------------------------- */

static int plain(const host_options *options, host_report *report) {
  duk_context *js = duk_create_heap_default();
  if (js == NULL) return EXIT_FAILURE;
  report->good = js_work(js, options->work, report->result, sizeof report->result);
  duk_destroy_heap(js);
  return host_print(report, options);
}

/* One VM with its work done. It is closed by Duktape, which must free all it has; or left as it is, and its heap destroyed. */
static bool one_vm(int percent, bool close, host_report *report) {
  size_t before = host_live();
  scalloc_heap *heap = scalloc_heap_new();
  duk_context *js = heap ? js_open(heap) : NULL;
  if (js == NULL) return host_check(false, name, "there is memory for a VM");
  bool good = host_check(js_work(js, percent, report->result, sizeof report->result), name, "the script ends without an error");
  host_measure(report, before);
  double start = host_microseconds();
  if (close) {
    duk_destroy_heap(js);
    report->close_us = host_microseconds() - start;
    good &= host_check(host_live() == before, name, "nothing is live after duk_destroy_heap");
    scalloc_heap_destroy(heap);
  } else {
    scalloc_heap_destroy(heap);
    report->destroy_us = host_microseconds() - start;
  }
  return host_check(host_live() == before, name, "nothing is live after scalloc_heap_destroy") && good;
}

/*
 * A script that takes all it can get ends in a JavaScript error, and the VM runs the next script. The limit begins when the VM
 * is there: duk_create_heap of 2.7.0 recurses without end when memory ends in the middle of it, whatever the allocator.
 */
static bool short_of_memory(size_t limit, host_report *report) {
  size_t before = host_live();
  budget b = {.heap = scalloc_heap_new()};
  duk_context *js = b.heap ? js_open_limited(&b) : NULL;
  if (js == NULL) return host_check(false, name, "there is memory for a VM");
  b.limit = b.used + limit;
  char answer[80];
  bool good = host_check(!js_run(js, hog, report->refused, sizeof report->refused), name, "a script runs out of memory");
  good &= host_check(strncmp(report->refused, "Error: alloc failed", 19) == 0, name, "Duktape says that memory ran out");
  good &= host_check(b.used <= b.limit, name, "the limit holds");
  good &= host_check(js_run(js, after, answer, sizeof answer) && strcmp(answer, "factorial 2432902008176640000") == 0, name,
                     "the VM can be used after that");
  duk_destroy_heap(js);
  good &= host_check(b.used == 0 && host_live() == before, name, "nothing is live after duk_destroy_heap");
  scalloc_heap_destroy(b.heap);
  return good;
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
