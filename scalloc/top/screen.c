/*
 * screen.c - plain termios and the escape sequences that every terminal since the VT220 and xterm knows.
 */
#include "screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static struct termios before;
static bool taken;
static sigset_t open_mask; /* with which the loop sleeps: handlers run only then, so none is overlooked */
static volatile sig_atomic_t asked_to_end, asked_to_stop, resized;

/* Handlers only note: the terminal is given back by the loop, which each of these signals wakes. */
static void note(int number) {
  if (number == SIGWINCH)
    resized = 1;
  else if (number == SIGTSTP)
    asked_to_stop = 1;
  else
    asked_to_end = number;
}

static void take(void) {
  struct termios raw = before;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
  fflush(stdout);
  taken = true;
}

bool screen_begin(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
  if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) return false;
  struct sigaction action = {.sa_handler = note};
  sigset_t closed;
  sigemptyset(&closed);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    sigaddset(&closed, numbers[i]);
    sigaction(numbers[i], &action, NULL);
  }
  sigprocmask(SIG_BLOCK, &closed, &open_mask);
  take();
  return true;
}

void screen_end(void) {
  if (!taken) return;
  taken = false;
  fputs("\033[?25h\033[?1049l", stdout);
  fflush(stdout);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void screen_size(unsigned *rows, unsigned *columns) {
  struct winsize size;
  *rows = 24;
  *columns = 80;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return;
  *rows = size.ws_row;
  *columns = size.ws_col;
}

/* Line by line over the old text, so that nothing flickers. */
void screen_show(const char *text) {
  fputs("\033[H", stdout);
  for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) printf("%.*s\033[K\n", (int)(end - text), text);
  printf("%s\033[J", text);
  fflush(stdout);
}

static void stop(void) {
  screen_end();
  kill(getpid(), SIGSTOP);
  take(); /* continued */
  asked_to_stop = 0;
}

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

screen_event screen_wait(int ms) {
  long until = now_ms() + ms;
  for (;;) {
    long left = until - now_ms();
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (asked_to_end) return SCREEN_QUIT;
    if (asked_to_stop) {
      stop();
      return SCREEN_REDRAW;
    }
    if (resized) {
      resized = 0;
      return SCREEN_REDRAW;
    }
    if (left <= 0) return SCREEN_TIME;
    struct timespec time = {left / 1000, left % 1000 * 1000000};
    if (ppoll(&input, 1, &time, &open_mask) <= 0 || input.revents == 0) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q') return SCREEN_QUIT; /* also where the terminal is gone */
  }
}

int screen_signal(void) { return asked_to_end; }
