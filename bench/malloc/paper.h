/* paper.h: the loads of the paper. */
#ifndef PAPER_H
#define PAPER_H

#include "load.h"

extern const program_option threadtest_options[], shbench_options[], larson_options[], sharing_options[];

void threadtest_work(load_thread *thread);
void shbench_work(load_thread *thread);
void larson_work(load_thread *thread);
void active_work(load_thread *thread);
void passive_begin(unsigned n);
void passive_work(load_thread *thread);
void passive_end(unsigned n);

#endif
