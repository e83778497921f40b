/* plugin.c - a plugin that is loaded with RTLD_DEEPBIND: its malloc is the C library's. */
#include <stdlib.h>
#include <string.h>

void *plugin_malloc(size_t size);
void *plugin_aligned(size_t alignment, size_t size);
char *plugin_strdup(const char *text);
void plugin_free(void *block);

void *plugin_malloc(size_t size) { return malloc(size); }
void *plugin_aligned(size_t alignment, size_t size) { return aligned_alloc(alignment, size); }
char *plugin_strdup(const char *text) { return strdup(text); }
void plugin_free(void *block) { free(block); }
