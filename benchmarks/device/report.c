/* The record, and the one line that says why there is none. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char* record_path;

static const struct {
  int number;
  const char* words;
} deaths[] = {
    {SIGILL, "the runtime needs an instruction that this processor does not have (SIGILL)"},
    {SIGSEGV, "the runtime crashed (SIGSEGV): the file is damaged, or made to do that"},
    {SIGBUS, "the runtime crashed (SIGBUS): the file is damaged, or made to do that"},
    {SIGFPE, "the runtime crashed (SIGFPE): the file is damaged, or made to do that"},
    {SIGTRAP, "the runtime refused this processor or gave up (SIGTRAP)"},
    {SIGABRT, "the runtime gave up (SIGABRT): memory ran out, or the file is damaged"},
};

static void say(int file, const char* text) {
  if (write(file, text, strlen(text)) < 0) return; /* nobody is left to be told */
}

/* As `fail`, with nothing but what a signal's handler may call. */
static void die(int number) {
  const char* words = "";
  for (size_t place = 0; place < sizeof deaths / sizeof *deaths; place++)
    if (deaths[place].number == number) words = deaths[place].words;
  int record = open(record_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  say(record, "{\"error\": \"");
  say(record, words);
  say(record, "\"}\n");
  say(STDERR_FILENO, "edgedistill_runner: ");
  say(STDERR_FILENO, words);
  say(STDERR_FILENO, "\n");
  _exit(1);
}

/* From here on a failure is written into that file too, and a crash is one. */
void report_into(const char* record) {
  static char room[1 << 16]; /* where a stack that ran out has none left */
  stack_t stack = {.ss_sp = room, .ss_size = sizeof room};
  struct sigaction action = {.sa_handler = die, .sa_flags = (int)SA_RESETHAND | SA_ONSTACK};
  record_path = record;
  sigaltstack(&stack, NULL);
  for (size_t place = 0; place < sizeof deaths / sizeof *deaths; place++)
    sigaction(deaths[place].number, &action, NULL);
}

/* End the process with exit code 1 and one line on stderr, which `record` repeats. */
void fail(const char* format, ...) {
  char line[1024];
  va_list values;
  va_start(values, format);
  vsnprintf(line, sizeof line, format, values);
  va_end(values);
  for (char* at = line; *at; at++)
    if (*at == '\n' || *at == '\r') *at = ' ';
  FILE* record = record_path ? fopen(record_path, "w") : NULL;
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

void* allocate(size_t count, size_t size) {
  void* memory = calloc(count ? count : 1, size ? size : 1);
  if (!memory) fail("out of memory (%zu times %zu bytes)", count, size);
  return memory;
}

FILE* open_file(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (!file) fail("%s: %s", path, strerror(errno));
  return file;
}

/* Also tells of what was written and did not reach the disk. */
void close_file(FILE* file, const char* path) {
  bool failed = ferror(file) != 0;
  if (fclose(file) != 0 || failed) fail("%s: cannot be written: %s", path, strerror(errno));
}

/* Bytes that are no ASCII pass as they are: names are UTF-8. */
void json_text(FILE* file, const char* text) {
  fputc('"', file);
  for (const unsigned char* at = (const unsigned char*)text; *at; at++) {
    if (*at == '"' || *at == '\\') fprintf(file, "\\%c", *at);
    else if (*at < 0x20) fprintf(file, "\\u%04x", *at);
    else fputc(*at, file);
  }
  fputc('"', file);
}

/* `"key": [values]`, with nanoseconds where the values are milliseconds. */
void json_numbers(FILE* file, const char* key, const double* values, size_t count) {
  fprintf(file, "\"%s\": [", key);
  for (size_t place = 0; place < count; place++)
    fprintf(file, "%s%.6f", place ? ", " : "", values[place]);
  fputc(']', file);
}
