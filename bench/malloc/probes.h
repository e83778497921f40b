/* probes.h: latency of single calls, cost by size of the heap. */
#ifndef PROBES_H
#define PROBES_H

#include "load.h"

extern const program_option latency_options[], growth_options[];

void latency_work(load_thread *thread);
void latency_end(unsigned threads);
void growth_work(load_thread *thread);
void growth_end(unsigned threads);

#endif
