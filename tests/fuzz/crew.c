/* crew.c - the threads behind crew.h. All of its data belongs to thread 0 but for what a semaphore has handed over. */
#include "crew.h"

#include "model.h"

#include <pthread.h>
#include <semaphore.h>

typedef struct hand {
  pthread_t thread;
  sem_t go, done;
  crew_job job; /* NULL: leave */
  crew_job farewell;
  bool runs;
} hand;

static hand hands[CREW];
static pthread_key_t leaving;

static void wait_for(sem_t *semaphore) {
  while (sem_wait(semaphore) != 0) CHECK_INT(errno, ==, EINTR);
}

/* Keys are destroyed in the order of their making, and the allocator made its own before main: it has let go of the thread. */
static void say_farewell(void *argument) {
  hand *h = argument;
  if (h->farewell) h->farewell();
}

static void make_key(void) { CHECK(pthread_key_create(&leaving, say_farewell) == 0); }

static void *work(void *argument) {
  hand *h = argument;
  CHECK(pthread_setspecific(leaving, h) == 0);
  for (;;) {
    wait_for(&h->go);
    if (h->job == NULL) return NULL;
    h->job();
    sem_post(&h->done);
  }
}

static void start(hand *h) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  CHECK(pthread_once(&once, make_key) == 0);
  CHECK(sem_init(&h->go, 0, 0) == 0 && sem_init(&h->done, 0, 0) == 0);
  CHECK(pthread_create(&h->thread, NULL, work, h) == 0);
  h->runs = true;
}

void crew_run(unsigned k, crew_job job) {
  hand *h = &hands[k % CREW];
  if (h == hands) {
    job();
    return;
  }
  if (!h->runs) start(h);
  h->job = job;
  sem_post(&h->go);
  wait_for(&h->done);
}

void crew_end(unsigned k, crew_job farewell) {
  hand *h = &hands[k % CREW];
  if (!h->runs) return;
  h->job = NULL;
  h->farewell = farewell;
  sem_post(&h->go);
  CHECK(pthread_join(h->thread, NULL) == 0);
  sem_destroy(&h->go);
  sem_destroy(&h->done);
  h->runs = false;
}
