/*
 * canary.h - tracked builds: bytes behind every block that nobody may write, and freed memory that must stay zero.
 *
 * Between the bytes asked for and the end of a block lie at least TRACK_TAIL bytes. The first CANARY_NEAR of them and the last
 * CANARY_FAR hold a pattern made of their address and a secret of the process, never 0, never 255, never ASCII, so that a write
 * by one byte too many shows whatever it commonly writes. Those between, in blocks whose class is much larger, stay zero, which
 * costs no memory.
 */
#ifndef SCALLOC_CANARY_H
#define SCALLOC_CANARY_H

#include "platform.h"

enum { CANARY_NEAR = 64, CANARY_FAR = 16 };

/* Writes the pattern into the zero bytes from `start` to `end`, exclusive. */
void canary_write(char *start, char *end);

/* The first byte that is not as written; NULL: all are. */
const char *canary_damage(const char *start, const char *end);

/* The first byte that is not zero; NULL: all are. */
const char *canary_not_zero(const char *start, const char *end);

#endif
