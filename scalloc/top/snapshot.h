/*
 * snapshot.h - pictures from a file that scalloc-top --json wrote.
 */
#ifndef SCALLOC_SNAPSHOT_H
#define SCALLOC_SNAPSHOT_H

#include "picture.h"

enum { SNAPSHOT_FORMAT = 1 }; /* of the JSON (report_json.c) */

typedef enum {
  SNAPSHOT_READ,
  SNAPSHOT_UNREADABLE, /* errno */
  SNAPSHOT_EMPTY,      /* there is no picture in it */
  SNAPSHOT_CUT,        /* it ends in the middle of a picture */
  SNAPSHOT_WRONG,      /* it has something that is no picture */
  SNAPSHOT_OTHER,      /* of another version */
  SNAPSHOT_LARGE,      /* more than is read: 1 GB */
} snapshot_result;

/* The last picture in the file, and what of the process belongs to it, into what is zero. Ends this program without memory. */
snapshot_result snapshot_read(const char *path, picture *p, target *t);

#endif
