/*
 * fast_path.c - property 9: a malloc that hits and the owner's free into its hot span execute no locked instruction.
 *
 *   fast_path LIBRARY [--hits N]
 *
 * Shown twice, on x86-64: the processor's trap flag stops the program at every instruction of N hits, and each instruction is
 * looked at before it is executed (lock prefix, xchg with memory, fences); a control with one of each must be counted. And
 * objdump shows none of them in the functions of the shared library. On other processors the test is skipped.
 */
#include "properties.h"

#if defined(__x86_64__)

#include <ucontext.h>

/* ---- single steps ----------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t instructions, locked;

static bool is_prefix(unsigned char byte) {
  return byte == 0x66 || byte == 0x67 || byte == 0xF2 || byte == 0xF3 || byte == 0x2E || byte == 0x36 || byte == 0x3E ||
         byte == 0x26 || byte == 0x64 || byte == 0x65;
}

/* Is the instruction at `code` a locked read-modify-write or a fence? */
static bool is_locked(const unsigned char *code) {
  for (; is_prefix(*code) || *code == 0xF0; code++)
    if (*code == 0xF0) return true;
  if ((*code & 0xF0) == 0x40) code++; /* REX */
  if ((code[0] == 0x86 || code[0] == 0x87) && code[1] >> 6 != 3) return true;
  return code[0] == 0x0F && code[1] == 0xAE && code[2] >= 0xE8; /* lfence, mfence, sfence */
}

static void on_step(int signal, siginfo_t *information, void *context) {
  (void)signal, (void)information;
  const ucontext_t *at = context;
  instructions++;
  locked += is_locked((const unsigned char *)(uintptr_t)at->uc_mcontext.gregs[REG_RIP]);
}

/* The flags are changed on the stack below the red zone. */
#define STEP(operation)                                                                                                        \
  __asm__ volatile("leaq -128(%%rsp), %%rsp\n\tpushfq\n\t" operation ", (%%rsp)\n\tpopfq\n\tleaq 128(%%rsp), %%rsp" ::         \
                       : "memory", "cc")
#define STEPS_ON() STEP("orq $0x100")
#define STEPS_OFF() STEP("andq $-257")

static void check_control(void) {
  word_t word = 1;
  instructions = locked = 0;
  STEPS_ON();
  STEPS_OFF();
  int nothing = (int)instructions;
  CHECK_INT(locked, ==, 0);
  STEPS_ON();
  __asm__ volatile("lock addq $1, %0\n\txchgq %%rax, %0\n\tmfence\n\tlock cmpxchgq %%rax, %0" : "+m"(word)::"rax", "cc");
  STEPS_OFF();
  CHECK_INT(instructions, ==, 2 * nothing + 4);
  CHECK_INT(locked, ==, 4);
}

/* ---- hits ------------------------------------------------------------------------------------------------------------- */

enum { BATCH = 8 };

/* BATCH blocks are allocated and freed again, with a list of at least as many free ones at hand: each call hits. */
static void step_batch(size_t size) {
  void *blocks[BATCH];
  STEPS_ON();
  for (int i = 0; i < BATCH; i++) blocks[i] = scalloc_malloc(size);
  for (int i = 0; i < BATCH; i++) scalloc_free(blocks[i]);
  STEPS_OFF();
}

static bool all_hit(size_t size) {
  const span *s = thread_heap->hot[(size + 15) / 16 * 2];
  uint32_t n = 0;
  if (s == &heap_no_span || s->notify != NEVER) return false;
  for (const void *block = s->free; block && n < BATCH; block = *(void *const *)block) n++;
  return n == BATCH;
}

static void stock(size_t size) {
  void *blocks[4 * BATCH];
  for (int i = 0; i < 4 * BATCH; i++) CHECK((blocks[i] = scalloc_malloc(size)) != NULL);
  for (int i = 0; i < 4 * BATCH; i++) scalloc_free(blocks[i]);
}

static void step_hits(long hits) {
  struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
  check_control();
  long done = 0;
  instructions = locked = 0;
  for (size_t size = 0; done < hits; size = size >= DIRECT_MAX ? 0 : size + 24 < DIRECT_MAX ? size + 24 : DIRECT_MAX) {
    size_t served = size ? size : 1;
    stock(served);
    CHECK(all_hit(served));
    step_batch(served);
    done += BATCH;
  }
  printf("%ld mallocs and frees that hit: %.1f instructions each pair, %d locked\n", done, (double)instructions / (double)done,
         (int)locked);
  CHECK_INT(instructions, >=, 20 * done);
  CHECK_INT(locked, ==, 0);
}

/* ---- the functions of the shared library ------------------------------------------------------------------------------ */

static bool line_is_locked(const char *line) {
  const char *at = strstr(line, "xchg");
  return strstr(line, "lock ") || strstr(line, "fence") || (at && at[-1] != 'p' && strchr(at, '('));
}

/* Lines that objdump shows for a function, or for all with NULL, and how many of them are locked. -1 without objdump. */
static long disassemble(const char *library, const char *function, long *lines) {
  char command[4096], line[512];
  long found = 0;
  *lines = 0;
  snprintf(command, sizeof command, "objdump -d --no-show-raw-insn %s%s '%s' 2>/dev/null", function ? "--disassemble=" : "",
           function ? function : "", library);
  FILE *output = popen(command, "re");
  CHECK(output != NULL);
  while (fgets(line, sizeof line, output)) {
    if (line[0] != ' ') continue;
    ++*lines;
    found += line_is_locked(line);
  }
  return pclose(output) == 0 ? found : -1;
}

static void check_library(const char *library) {
  static const char *const functions[] = {"scalloc_malloc", "scalloc_free", "scalloc_heap_malloc", "scalloc_heap_free"};
  long lines, all = disassemble(library, NULL, &lines);
  if (all < 0) {
    printf("no objdump: the library is not disassembled\n");
    return;
  }
  CHECK_INT(all, >=, 5); /* control: slow paths are full of them */
  for (size_t i = 0; i < LENGTH(functions); i++) {
    long found = disassemble(library, functions[i], &lines);
    printf("%s: %ld instructions, %ld locked\n", functions[i], lines, found);
    CHECK_INT(lines, >=, 8);
    CHECK_INT(found, ==, 0);
  }
}

static void fast_path(void) {
  skip_under_sanitizers();
  CHECK(argument_count > 2);
  check_library(arguments[2]);
  step_hits(argument("--hits", 1000));
}

#else

static void fast_path(void) {
  printf("single steps are counted on x86-64 only\n");
  fflush(stdout);
  _exit(77);
}

#endif

MODES(MODE(fast_path))
