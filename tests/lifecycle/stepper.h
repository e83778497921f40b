/*
 * stepper.h - lets one thread of this process run instruction by instruction, while the main thread looks at the process, which
 * then stands still, between any two of them. x86-64 only: the trap flag makes each instruction end in SIGTRAP.
 */
#ifndef SCALLOC_TESTS_STEPPER_H
#define SCALLOC_TESTS_STEPPER_H

#include "../test.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <ucontext.h>

#if defined(__x86_64__) && !UNDER_TSAN /* defined by who includes this */
#define CAN_STEP 1
#else
#define CAN_STEP 0
#endif

static sem_t stepper_arrived, stepper_go;
static atomic_bool stepper_over;
static long stepper_stride, stepper_count; /* looks at every stride-th instruction, from stepper_count on */
static bool (*stepper_must_go_on)(void); /* if not NULL: asked in the stepped thread, and true where it must not stand still */

#if CAN_STEP
/*
 * Is the thread in this program's own code? Other libraries are left out: the clock of the kernel's library reads again and
 * again until no tick comes in between, which would be for ever.
 */
static bool stepper_inside(const void *context) {
  extern char __executable_start, etext; /* the linker's */
  uintptr_t at = (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
  return at >= (uintptr_t)&__executable_start && at < (uintptr_t)&etext;
}
#else
static bool stepper_inside(const void *context) { return context != NULL; }
#endif

static void stepper_trap(int number, siginfo_t *info, void *context) {
  int saved = errno;
  (void)number;
  (void)info;
  if (stepper_inside(context) && ++stepper_count % stepper_stride == 0 && !(stepper_must_go_on && stepper_must_go_on())) {
    sem_post(&stepper_arrived);
    while (sem_wait(&stepper_go) != 0) continue;
  }
  errno = saved;
}

#if CAN_STEP
/* The red zone is stepped over, since the flags go through the stack. */
#define stepper_flag(change)                                                                                                   \
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" change "\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::: "memory", "cc")
static inline void stepper_on(void) { stepper_flag("orq $0x100, (%%rsp)"); }
static inline void stepper_off(void) { stepper_flag("andq $-257, (%%rsp)"); }
#else
static inline void stepper_on(void) {}
static inline void stepper_off(void) {}
#endif

/* Called by the stepped thread when there is nothing more to look at. */
static inline void stepper_end(void) {
  stepper_off();
  atomic_store(&stepper_over, true);
  sem_post(&stepper_arrived);
}

/*
 * Runs `thread_main` in a thread, which calls stepper_on and, at last, stepper_end; calls look at every stride-th instruction
 * in between. Returns the number of instructions of this program.
 */
static inline long stepper_run(void *(*thread_main)(void *), void *argument, long stride, long offset,
                               void (*look)(long instruction)) {
  pthread_t thread;
  CHECK(sem_init(&stepper_arrived, 0, 0) == 0 && sem_init(&stepper_go, 0, 0) == 0);
  CHECK(sigaction(SIGTRAP, &(struct sigaction){.sa_sigaction = stepper_trap, .sa_flags = SA_SIGINFO}, NULL) == 0);
  atomic_store(&stepper_over, false);
  stepper_stride = stride;
  stepper_count = offset % stride;
  CHECK(pthread_create(&thread, NULL, thread_main, argument) == 0);
  for (;;) {
    while (sem_wait(&stepper_arrived) != 0) continue;
    if (atomic_load(&stepper_over)) break;
    look(stepper_count);
    sem_post(&stepper_go);
  }
  CHECK(pthread_join(thread, NULL) == 0);
  return stepper_count;
}

#endif
