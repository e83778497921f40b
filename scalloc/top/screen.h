/*
 * screen.h - the terminal: its other screen, keys without a line, and everything as it was before at every end.
 */
#ifndef SCALLOC_SCREEN_H
#define SCALLOC_SCREEN_H

#include <stdbool.h>

typedef enum { SCREEN_TIME, SCREEN_REDRAW, SCREEN_QUIT } screen_event;

/* Takes the terminal. False: standard input or output is none. */
bool screen_begin(void);

/* Gives it back. Does nothing where it is not taken. */
void screen_end(void);

/* Rows and columns there are now. */
void screen_size(unsigned *rows, unsigned *columns);

/* Shows a text of whole lines in place of the one before. */
void screen_show(const char *text);

/* Waits for so many milliseconds, for another size, for the key q, or for a signal that asks to end. Ctrl-Z stops meanwhile. */
screen_event screen_wait(int ms);

/* The signal that asked to end; 0: none did. */
int screen_signal(void);

#endif
