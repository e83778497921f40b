/*
 * sandbox_main.c - a sandbox for scripts that nobody trusts, and a list of scripts that show why.
 *
 *   example-sandbox                 runs the list: each must end in time and in its memory, and leave nothing behind
 *   example-sandbox FILE            runs a script of yours
 *
 * Build: cc sandbox*.c $(pkg-config --cflags --libs scalloc-lua lua5.4)
 */
#include <scalloc/scalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sandbox.h"

static const sandbox_limits limits = {.memory = 8 << 20, .block = 2 << 20, .instructions = 20000000, .seconds = 0.5};
static const char *const end_names[] = {"done", "error", "no memory", "no time"};

/* `ends`: how it may end, a bit for each sandbox_end */
enum { DONE = 1 << SANDBOX_DONE, FAILS = 1 << SANDBOX_ERROR, MEMORY = 1 << SANDBOX_NO_MEMORY, TIME = 1 << SANDBOX_NO_TIME };
typedef struct {
  const char *name;
  int ends;
  const char *script;
} attack;

static const attack attacks[] = {
    {"harmless", DONE, "local t = {} for i = 1, 1000 do t[i] = i * i end return table.concat(t, ' ', 1, 5)"},
    {"useful", DONE, "local n = 0 for word in ('a bc def'):gmatch('%a+') do n = n + #word end return ('%d'):format(n)"},
    {"settings", DONE, "local k, v = ('threads = 4'):match('^%s*([%w_]+)%s*=%s*(.-)%s*$') return k .. v"},
    {"endless loop", TIME, "while true do end"},
    {"endless loop that catches", TIME, "while true do pcall(function() while true do end end) end"},
    {"catches in a handler", FAILS, "local function f() while true do end end while true do xpcall(f, f) end"},
    {"endless loop in a coroutine's __close", TIME,
     "local function f() while true do end end local m = setmetatable({}, {__close = f}) "
     "while true do pcall(coroutine.wrap(function() local x <close> = m while true do end end)) end"},
    {"endless loop in __close", TIME,
     "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end"},
    {"endless coroutines", TIME, "while true do coroutine.wrap(function() while true do end end)() end"},
    {"coroutine that catches", TIME,
     "local function f() while true do pcall(function() while true do end end) end end while true do pcall(coroutine.wrap(f)) "
     "end"},
    {"string doubled", MEMORY, "local s = 'x' while true do s = s .. s end"},
    {"string.rep", MEMORY, "return ('x'):rep(3000000)"},
    {"string.rep of much", TIME, "return ('x'):rep(1000000000)"},
    {"string.rep that catches", TIME | MEMORY, "while true do pcall(string.rep, 'x', 3000000) end"},
    {"string.rep of nothing", TIME, "return (''):rep(1 << 60)"},
    {"string.format", MEMORY, "local s = ('x'):rep(1000) while true do s = ('%s%s'):format(s, s) end"},
    {"concatenation of many", MEMORY, "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"},
    {"table.concat", MEMORY,
     "local s = ('x'):rep(1000000) local t = {} for i = 1, 1000 do t[i] = s end return table.concat(t)"},
    {"table of numbers", MEMORY, "local t = {} for i = 1, 1e9 do t[i] = i end"},
    {"table of tables", MEMORY, "local t = {} for i = 1, 1e9 do t[i] = {} end"},
    {"table of keys", MEMORY, "local t = {} for i = 1, 1e9 do t['k' .. i] = true end"},
    {"large table at once", FAILS, "return table.pack(table.unpack({}, 1, 200000), table.unpack({}, 1, 200000))"},
    {"globals", MEMORY, "for i = 1, 1e9 do _G['v' .. i] = {i} end"},
    {"closures", MEMORY, "local f for i = 1, 1e9 do local g = f f = function() return g, i end end"},
    {"coroutines", MEMORY, "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(function() end) end"},
    {"coroutines within each other", FAILS | MEMORY, "local function f() return coroutine.wrap(f)() end return f()"},
    {"recursion", FAILS | MEMORY, "local function f() return 1 + f() end return f()"},
    {"recursion that catches", FAILS | MEMORY | TIME | DONE, "local function f() pcall(f) f() end f()"},
    {"recursion through C", FAILS | MEMORY, "local function f() return (('x'):gsub('x', f)) end return f()"},
    {"recursion of metamethods", FAILS,
     "local t = setmetatable({}, {__index = function(t, k) return t[k .. 'x'] end}) return t.x"},
    {"chain of metatables", FAILS, "local t = {} for i = 1, 5000 do t = setmetatable({}, {__index = t}) end return t.x"},
    {"deep source text", FAILS, "return load(('('):rep(100000) .. '1' .. (')'):rep(100000))() "},
    {"long source text", MEMORY,
     "local t = {} for i = 1, 200000 do t[i] = 'x' .. i .. '=1' end return load(table.concat(t, ' '))()"},
    {"many constants", MEMORY, "local s = 'return {' for i = 1, 30 do s = s .. s:sub(9) .. i .. ',' end return load(s .. '}')"},
    {"bytecode", FAILS, "return load('\\27Lua')()"},
    {"error without end", FAILS, "error(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"forged lack of memory", FAILS, "error('not enough memory', 0)"},
    {"finalizer", FAILS, "setmetatable({}, {__gc = function() while true do end end}) return 'armed'"},
    {"finalizer that fails", FAILS, "for i = 1, 1000 do setmetatable({}, {__gc = error}) end"},
    {"finalizer added later", DONE,
     "local m = {} local t = setmetatable({}, m) m.__gc = function() while true do end end t = nil "
     "for i = 1, 1000 do t = {i} end return 'harmless'"},
    {"pattern that backtracks", TIME, "return ('a'):rep(100000):find(('.-'):rep(10) .. 'b')"},
    {"pattern of one repetition", TIME, "local s = ('a'):rep(500000) return s:find('a-b')"},
    {"pattern that is long", TIME, "return ('a'):rep(1000000):find('[' .. ('c'):rep(1000000) .. ']')"},
    {"pattern that nearly matches", TIME, "return ('a'):rep(1000000):find(('a'):rep(500000) .. '.c')"},
    {"text that nearly matches", TIME, "return ('a'):rep(1000000):find(('a'):rep(500000) .. 'c', 1, true)"},
    {"pattern of options", TIME, "return ('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40))"},
    {"pattern that looks back", TIME, "return ('a'):rep(100000):find('(a*)%1b')"},
    {"pattern with a literal b", DONE, "return ('a-b'):rep(1000):find('[a-b]b') or ('b'):rep(100000):find('bbbbbbb')"},
    {"replacement of nothing", TIME, "return (('a'):rep(1000000):gsub('(x-)', ('%1'):rep(500000)))"},
    {"sort of long strings", TIME,
     "local a, b = ('a'):rep(500000) .. 'x', ('a'):rep(500000) .. 'y' "
     "local t = {} for i = 1, 20000 do t[i] = i % 2 == 0 and a or b end table.sort(t)"},
    {"sort of zeros", TIME,
     "local a, b = ('\\0'):rep(500000) .. 'x', ('\\0'):rep(500000) .. 'y' "
     "local t = {} for i = 1, 200 do t[i] = i % 2 == 0 and a or b end table.sort(t)"},
    {"comparison of zeros", TIME,
     "local a, b = ('\\0'):rep(1000000) .. 'x', ('\\0'):rep(1000000) .. 'y' while true do local x = a < b end"},
    {"numbers that are long", TIME, "local s = ('1'):rep(1000000) while true do tonumber(s) local x = s + 0 end"},
    {"lower case", TIME, "local s = ('A'):rep(1000000) while true do s:lower() end"},
    {"insert at the front", TIME,
     "local t = {} for i = 1, 100000 do t[i] = i end while true do table.insert(t, 1, 0) t[#t] = nil end"},
    {"string.rep of nothing, often", TIME, "for i = 1, 100 do (''):rep(1000000000) end"},
    {"balance without end", TIME, "return ('('):rep(1000000):find('%b()')"},
    {"gsub that grows", MEMORY | TIME, "local s = 'xxxxxxxx' while true do s = s:gsub('x', 'xxxxxxxx') end"},
    {"gmatch", TIME | MEMORY, "local s = ('a'):rep(100000) while true do for a in s:gmatch('a') do end end"},
    {"length that lies", FAILS, "return table.insert(setmetatable({}, {__len = function() return 1 << 50 end}), 1, 'x')"},
    {"length far away", TIME, "local t = {} for i = 0, 50 do t[1 << i] = 1 t[(1 << i) + 1] = 1 end table.insert(t, 1, 0)"},
    {"table.move", TIME, "return table.move({}, 1, 1 << 50, 2)"},
    {"table.move backwards", FAILS | TIME, "return table.move({}, -(1 << 62), 0, 2)"},
    {"sort that cheats", FAILS | DONE | TIME,
     "local t = {} for i = 1, 50000 do t[i] = i end table.sort(t, function() return true end)"},
    {"unpack", FAILS | TIME, "return table.unpack({}, 1, 1 << 40)"},
    {"the libraries", DONE,
     "return tostring(io) .. tostring(debug) .. tostring(require) .. tostring(os.exit) .. tostring(string.dump)"},
    {"the metatable of strings", DONE, "return tostring(getmetatable('').__index == string and ('').dump)"},
};

static long long live_bytes(void) {
  char json[4096];
  scalloc_stats_json(json, sizeof json);
  const char *at = strstr(json, "\"live\"");
  return at ? strtoll(at + strlen("\"live\":"), NULL, 10) : -1;
}

static long resident_kb(void) {
  long pages = 0, ignored;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &ignored, &pages) != 2) pages = 0;
  if (file) fclose(file);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int run_list(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  int wrong = 0;
  long baseline = 0;
  long long live = 0;
  size_t count = sizeof attacks / sizeof attacks[0];
  for (size_t i = 0; i < count; i++) {
    const attack *one = &attacks[i];
    sandbox_result r = sandbox_run(one->script, strlen(one->script), &limits);
    int good = (one->ends >> r.end & 1) && r.peak <= limits.memory && r.seconds < 2 * limits.seconds;
    printf("%-30s %-10s %6.1f KB %9ld instructions %6.0f ms  %.60s\n", one->name, end_names[r.end], (double)r.peak / 1024,
           r.instructions, r.seconds * 1e3, r.text);
    if (!good) printf("  ^ not as it should be\n");
    wrong += !good;
    if (i == 0) {
      scalloc_purge();
      live = live_bytes(), baseline = resident_kb();
    }
  }
  scalloc_purge();
  long more = resident_kb() - baseline;
  printf("%zu scripts; afterwards %lld bytes live (%lld before), resident memory %+ld KB\n", count, live_bytes(), live, more);
  return wrong > 0 || live_bytes() != live || more > 1024 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_file(const char *name) {
  static char script[1 << 20];
  FILE *file = fopen(name, "r");
  if (file == NULL) {
    perror(name);
    return EXIT_FAILURE;
  }
  size_t length = fread(script, 1, sizeof script, file);
  fclose(file);
  sandbox_result r = sandbox_run(script, length, &limits);
  printf("%s: %s\n%zu bytes at the peak, %ld instructions, %.3f s\n", end_names[r.end], r.text, r.peak, r.instructions,
         r.seconds);
  return r.end == SANDBOX_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv) { return argc > 1 ? run_file(argv[1]) : run_list(); }
