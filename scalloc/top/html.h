/*
 * html.h - what the pages of scalloc-top and of scalloc-lua --heap-map have in common: one HTML file, no script, nothing loaded
 * from elsewhere, light and dark.
 */
#ifndef SCALLOC_HTML_H
#define SCALLOC_HTML_H

#include <stdio.h>

typedef struct {
  char text[32];
} html_figure;

html_figure html_bytes(double bytes);                         /* "12.3 MB"; a KB is 1024 bytes */
html_figure html_bytes_or(size_t bytes, const char *unknown); /* the word where they are SIZE_MAX */
html_figure html_word(const char *word);                      /* as it is, cut where it is too long */
html_figure html_count(unsigned long long count);             /* "1,234,567" */

/* Of the whole, 0 where there is nothing. */
double html_percent(double part, double whole);

/* Text as such, whatever is in it. */
void html_text(FILE *file, const char *text);

/* From <!DOCTYPE> to the first heading, "Heap map of <subject>", inside of main. */
void html_begin(FILE *file, const char *subject);

/* A footer with this text, which is HTML, and the end of all. */
void html_end(FILE *file, const char *footer);

/* In a div of class tiles: a figure and what it is. */
void html_tile(FILE *file, const char *name, html_figure value);

/* The i of a dot in this colour. */
void html_dot(FILE *file, const char *colour);

#endif
