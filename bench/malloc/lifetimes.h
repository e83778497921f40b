/* lifetimes.h: loads made of cycles, and what it costs to visit blocks. */
#ifndef LIFETIMES_H
#define LIFETIMES_H

#include "load.h"

extern const program_option producer_consumer_options[], sizes_options[], locality_options[];

void producer_consumer_begin(unsigned threads);
void producer_consumer_work(load_thread *thread);
void producer_consumer_end(unsigned threads);
void sizes_work(load_thread *thread);
void sizes_end(unsigned threads);
void locality_work(load_thread *thread);
void locality_end(unsigned threads);

#endif
