/* The record, and the one line that says why there is none. */
#include "runner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *record_path;

/* From here on a failure is written into that file too. */
void report_into(const char *record) { record_path = record; }

/* End the process with exit code 1 and one line on stderr, which `record` repeats. */
void fail(const char *format, ...) {
  char line[1024];
  va_list values;
  va_start(values, format);
  vsnprintf(line, sizeof line, format, values);
  va_end(values);
  for (char *at = line; *at; at++)
    if (*at == '\n' || *at == '\r') *at = ' ';
  FILE *record = record_path ? fopen(record_path, "w") : NULL;
  if (record) {
    fputs("{\"error\": ", record);
    json_text(record, line);
    fputs("}\n", record);
    fclose(record);
  }
  fprintf(stderr, "edgedistill_runner: %s\n", line);
  fflush(stderr);
  _Exit(1); /* what a runtime does at exit may hang once it has failed */
}

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size ? size : 1);
  if (!memory) fail("out of memory (%zu times %zu bytes)", count, size);
  return memory;
}

FILE *open_file(const char *path, const char *mode) {
  FILE *file = fopen(path, mode);
  if (!file) fail("%s: %s", path, strerror(errno));
  return file;
}

/* Also tells of what was written and did not reach the disk. */
void close_file(FILE *file, const char *path) {
  bool failed = ferror(file) != 0;
  if (fclose(file) != 0 || failed) fail("%s: cannot be written: %s", path, strerror(errno));
}

/* Bytes that are no ASCII pass as they are: names are UTF-8. */
void json_text(FILE *file, const char *text) {
  fputc('"', file);
  for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
    if (*at == '"' || *at == '\\') fprintf(file, "\\%c", *at);
    else if (*at < 0x20) fprintf(file, "\\u%04x", *at);
    else fputc(*at, file);
  }
  fputc('"', file);
}

/* `"key": [values]`, with nanoseconds where the values are milliseconds. */
void json_numbers(FILE *file, const char *key, const double *values, size_t count) {
  fprintf(file, "\"%s\": [", key);
  for (size_t place = 0; place < count; place++)
    fprintf(file, "%s%.6f", place ? ", " : "", values[place]);
  fputc(']', file);
}
