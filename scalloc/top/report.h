/*
 * report.h - a picture for people and for programs: as text for a terminal, as JSON, as a page.
 */
#ifndef SCALLOC_REPORT_H
#define SCALLOC_REPORT_H

#include <stdio.h>

#include "picture.h"

typedef struct {
  unsigned rows, columns; /* 0 rows: as many as there are */
  bool bars;              /* the terminal has block characters */
} report_room;

/* Lines of text, none longer than the terminal is wide; the classes that hold least are left out where there is no room. */
void report_text(FILE *file, const picture *p, const target *t, report_room room);

/* One object on one line. */
void report_json(FILE *file, const picture *p, const target *t);

/* A whole HTML page (html.h). `when`: the sentence below its heading. */
void report_page(FILE *file, const picture *p, const target *t, const char *when);

#endif
