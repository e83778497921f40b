/* today.h: today's loads. */
#ifndef TODAY_H
#define TODAY_H

#include "load.h"

extern const program_option interpreter_options[], messages_options[], stress_options[], large_options[], refill_options[],
    forks_options[];

void interpreter_work(load_thread *thread);
void messages_begin(unsigned threads);
void asymmetric_begin(unsigned threads);
void symmetric_work(load_thread *thread);
void asymmetric_work(load_thread *thread);
void messages_end(unsigned threads);
void stress_work(load_thread *thread);
void stress_end(unsigned threads);
void large_work(load_thread *thread);
void refill_work(load_thread *thread);
void refill_end(unsigned threads);
void forks_work(load_thread *thread);

#endif
