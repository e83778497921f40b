# Makes a C program of the C blocks of a document: each becomes a function, and main calls them all. A block returns a value other
# than 0 to fail.
BEGIN {
  print "#include <errno.h>\n#include <stdbool.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
  print "#include <lauxlib.h>\n#include <lua.h>\n#include <lualib.h>\n#include <scalloc/lua_alloc.h>\n"
  print "static void raise_flag(void *flag, scalloc_lua_heap *heap, size_t used, size_t limit) {"
  print "  (void)heap, (void)used, (void)limit;\n  *(int *)flag = 1;\n}\n"
  print "static size_t blocks_seen;"
  print "static void count_a_block(void *userdata, const scalloc_lua_block *block) {"
  print "  (void)userdata;\n  blocks_seen += block->size > 0;\n}\n"
}
/^```c$/ { inside = 1; n++; start[n] = FNR; printf "static int block_%d(void) {\n#line %d \"%s\"\n", n, FNR + 1, FILENAME; next }
/^```$/ && inside { inside = 0; print "  return 0;\n}\n"; next }
inside { print }
END {
  print "int main(void) {\n  int failed = 0;"
  for (i = 1; i <= n; i++)
    printf "  if (block_%d() != 0) failed = 1, fprintf(stderr, \"the block at line %d failed\\n\");\n", i, start[i]
  print "  if (blocks_seen == 0) failed = 1;\n  char why[200];"
  print "  if (!scalloc_check(why, sizeof why)) failed = 1, fprintf(stderr, \"%s\\n\", why);"
  printf "  return %d < 10 || failed;\n}\n", n
}
