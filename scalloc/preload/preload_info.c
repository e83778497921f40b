/*
 * preload_info.c - the functions that tell about memory: mallinfo, mallinfo2, malloc_info. Exact while no other
 * thread allocates. O(spans).
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>

#include "preload.h"
#include "walk.h"

/* names.h has them; here they are glibc's. */
#undef arena
#undef options

exported struct mallinfo2 mallinfo2(void) {
  walk_totals t = walk_all();
  return (struct mallinfo2){
      .arena = t.committed,
      .hblks = t.large_blocks,
      .uordblks = t.live,
      .fordblks = t.committed - (t.live < t.committed ? t.live : t.committed),
      .ordblks = t.hot + t.floating + t.reusable + t.pooled,
  };
}

static int clipped(size_t n) { return n > INT_MAX ? INT_MAX : (int)n; }

/* Deprecated in glibc for its int; a figure that does not fit is the greatest that does. */
exported struct mallinfo mallinfo(void) {
  struct mallinfo2 all = mallinfo2();
  return (struct mallinfo){.arena = clipped(all.arena),
                           .ordblks = clipped(all.ordblks),
                           .hblks = clipped(all.hblks),
                           .uordblks = clipped(all.uordblks),
                           .fordblks = clipped(all.fordblks)};
}

exported int malloc_info(int options, FILE *fp) {
  if (options != 0) return EINVAL;
  walk_totals t = walk_all();
  fprintf(fp,
          "<malloc version=\"scalloc\">\n"
          "<spans hot=\"%zu\" floating=\"%zu\" reusable=\"%zu\" pooled=\"%zu\" large=\"%zu\"/>\n"
          "<bytes live=\"%zu\" committed=\"%zu\"/>\n"
          "</malloc>\n",
          t.hot, t.floating, t.reusable, t.pooled, t.large, t.live, t.committed);
  return 0;
}
