/*
 * html.c - style and small parts of the pages.
 */
#include "html.h"

#include <stdint.h>

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--line:#dcdcd8;--text:#1c1d1f;--soft:#63656b;--accent:#2563a8;"
    "--accent-soft:#a9c8ea;--track:#ecebe7}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#17181b;--card:#1f2125;--line:#363940;--text:#e9e9e6;--soft:#a3a6ad;"
    "--accent:#7db4f0;--accent-soft:#31506f;--track:#2b2e34}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:28px 24px 56px}h1{font-size:26px;margin:0;overflow-wrap:anywhere}\n"
    "h2{font-size:18px;margin:0 0 2px}p{margin:0 0 14px;color:var(--soft)}section{background:var(--card);border:1px solid "
    "var(--line);border-radius:10px;padding:18px 20px;margin-top:20px;overflow-x:auto}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:18px}\n"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}.tile b{display:block;"
    "font-size:21px;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}\n"
    "table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;color:var(--soft);font-size:13px;"
    "border-bottom:1px solid var(--line);padding:4px 12px 6px 0;white-space:nowrap}\n"
    "td{padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:middle}tr:last-child td{border-bottom:0}\n"
    "td:first-child,th:first-child{padding-left:2px}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".bar{background:var(--track);border-radius:4px;height:12px;min-width:110px}.bar i{display:block;height:12px;"
    "border-radius:4px;background:var(--accent)}\n"
    ".dot{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:8px}\n"
    ".squares{display:flex;flex-wrap:wrap;gap:2px;min-width:300px;max-width:420px}.squares i{width:14px;height:14px;"
    "border-radius:2px;border:1px solid var(--line);background:linear-gradient(to top,var(--accent) var(--f),var(--track) "
    "var(--f))}.squares em{font-style:normal;font-size:12px;color:var(--soft);margin-left:4px}\n"
    "svg{display:block;width:100%;min-width:640px;height:auto}svg "
    "text{fill:var(--soft);font-size:12px}.grid{stroke:var(--line)}"
    ".peak{fill:var(--accent-soft)}.used{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}\n"
    ".key{display:flex;gap:20px;font-size:13px;color:var(--soft);margin:8px 0 0}.key "
    "i{display:inline-block;width:18px;height:10px;"
    "border-radius:2px;margin-right:6px}\n"
    "footer{margin-top:24px;color:var(--soft);font-size:13px}\n";

void html_text(FILE *file, const char *text) {
  for (; *text; text++) {
    switch (*text) {
    case '<':
      fputs("&lt;", file);
      break;
    case '>':
      fputs("&gt;", file);
      break;
    case '&':
      fputs("&amp;", file);
      break;
    case '"':
      fputs("&quot;", file);
      break;
    default:
      fputc(*text, file);
    }
  }
}

html_figure html_bytes(double bytes) {
  static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
  html_figure f;
  size_t unit = 0;
  for (; (bytes >= 1000 || bytes <= -1000) && unit < 4; unit++) bytes /= 1024;
  snprintf(f.text, sizeof f.text, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return f;
}

html_figure html_bytes_or(size_t bytes, const char *unknown) {
  return bytes == SIZE_MAX ? html_word(unknown) : html_bytes((double)bytes);
}

html_figure html_count(unsigned long long count) {
  char digits[24];
  html_figure f;
  size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", count), at = 0;
  for (size_t i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) f.text[at++] = ',';
    f.text[at++] = digits[i];
  }
  f.text[at] = '\0';
  return f;
}

html_figure html_word(const char *word) {
  html_figure f;
  snprintf(f.text, sizeof f.text, "%s", word);
  return f;
}

double html_percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

void html_begin(FILE *file, const char *subject) {
  fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Heap map: ",
        file);
  html_text(file, subject);
  fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>Heap map of ", style);
  html_text(file, subject);
  fputs("</h1>\n", file);
}

void html_end(FILE *file, const char *footer) {
  fprintf(file, "<footer>%s A KB is 1024 bytes.</footer>\n</main>\n</body>\n</html>\n", footer);
}

void html_tile(FILE *file, const char *name, html_figure value) {
  fprintf(file, "<div class=\"tile\"><span>%s</span><b>%s</b></div>\n", name, value.text);
}

void html_dot(FILE *file, const char *colour) { fprintf(file, "<i class=\"dot\" style=\"background:%s\"></i>", colour); }
