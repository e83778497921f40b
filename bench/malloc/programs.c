/* The programs of malloc-load. */
#include "lifetimes.h"
#include "paper.h"
#include "probes.h"
#include "today.h"

const load_program load_programs[] = {
    {"threadtest", "allocates many blocks of one size and frees them all, again and again", threadtest_options, NULL,
     threadtest_work, NULL},
    {"shbench", "batches of small sizes, some of which stay", shbench_options, NULL, shbench_work, NULL},
    {"larson", "a server: blocks replaced at random, threads that hand theirs on", larson_options, NULL, larson_work, NULL},
    {"active_sharing", "threads write to a block each, allocated by themselves", sharing_options, NULL, active_work, NULL},
    {"passive_sharing", "the same, beginning with blocks allocated side by side by one", sharing_options, passive_begin,
     passive_work, passive_end},
    {"producer_consumer", "blocks of some lifetime, a part of them freed by other threads", producer_consumer_options,
     producer_consumer_begin, producer_consumer_work, producer_consumer_end},
    {"sizes", "ranges of sizes from 16 B to 4 MB", sizes_options, NULL, sizes_work, sizes_end},
    {"locality", "visits blocks in the order of their allocation, or not", locality_options, NULL, locality_work, locality_end},
    {"interpreter", "frames, boxed numbers and strings of an evaluator", interpreter_options, NULL, interpreter_work, NULL},
    {"symmetric", "each thread sends messages to each; the receiver frees", messages_options, messages_begin, symmetric_work,
     messages_end},
    {"asymmetric", "half of the threads send, half receive and free", messages_options, asymmetric_begin, asymmetric_work,
     messages_end},
    {"stress", "threads that come and go, sizes of all kinds, blocks passed on", stress_options, NULL, stress_work, stress_end},
    {"large", "blocks of 100 KB to 25 MB, buffers grown by realloc", large_options, NULL, large_work, NULL},
    {"refill", "fills a heap with one size after another, a few blocks of each stay", refill_options, NULL, refill_work,
     refill_end},
    {"forks", "a server that forks a worker for each request", forks_options, NULL, forks_work, NULL},
    {"latency", "the time of single calls", latency_options, NULL, latency_work, latency_end},
    {"growth", "the cost of a call among 10^3 to 10^7 live blocks", growth_options, NULL, growth_work, growth_end},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
