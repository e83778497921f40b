/*
 * report.h - a picture for people and for programs: as text for a terminal, as JSON, for Prometheus, as a page.
 */
#ifndef SCALLOC_REPORT_H
#define SCALLOC_REPORT_H

#include <stdio.h>

#include "html.h"
#include "picture.h"

typedef struct {
  unsigned rows, columns; /* 0 rows: as many as there are */
  bool bars;              /* the terminal has block characters */
} report_room;

/* "on DAY at TIME", or "at its end, DAY TIME". */
html_figure report_when(const picture *p);

/* Lines of text, none longer than the terminal is wide; the classes that hold least are left out where there is no room. */
void report_text(FILE *file, const picture *p, const target *t, report_room room);

/* One object on one line, which snapshot.h reads. */
void report_json(FILE *file, const picture *p, const target *t);

/* The exposition format of Prometheus; every sample has the label pid. */
void report_prometheus(FILE *file, const picture *p, const target *t);

/* A whole HTML page (html.h). */
void report_page(FILE *file, const picture *p, const target *t);

#endif
