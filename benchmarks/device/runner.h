/* What the parts of the runner share: one inference engine behind two runtimes, and its report. */
#ifndef EDGEDISTILL_RUNNER_H
#define EDGEDISTILL_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MOST_TENSORS = 64, MOST_AXES = 8 };

/* Names with a file each, in the order of the arguments. */
typedef struct {
  size_t count;
  const char* names[MOST_TENSORS];
  const char* files[MOST_TENSORS];
} Ends;

/* What to run, as the arguments say it. */
typedef struct {
  const char *runtime, *library, *model, *program, *record, *profile, *cpus;
  Ends inputs, outputs;
  int threads;
  long warmup, minimum, runs;
  double seconds, minimum_seconds;
  bool memory, mark;
} Order;

/* An output of the last run; `data` stays valid until the next. */
typedef struct {
  const char* type; /* numpy's word */
  size_t rank;
  int64_t shape[MOST_AXES];
  size_t bytes;
  const void* data;
} Answer;

typedef struct Program Program; /* of a loaded file, ready to run */

/* What a runtime does. Whatever fails ends the process through `fail`. */
typedef struct {
  const char* name;
  /* Load the runtime itself; returns its version, NULL where it does not tell. */
  const char* (*open)(const char* library);
  /* From the file to a program that can run. With `profile`, one that watches its operators. */
  Program* (*load)(const Order* order, bool profile);
  /* Bytes of one sample of the input at that place of `order->inputs`. */
  size_t (*input_bytes)(const Program* program, size_t place);
  /* One inference of one sample; `inputs` in the order of `order->inputs`. */
  void (*run)(Program* program, const void* const* inputs);
  /* The output at that place of `order->outputs`. */
  Answer (*answer)(const Program* program, size_t place);
  /* Write into `order->profile` what the runs of a watching program did. */
  void (*write_profile)(Program* program, const Order* order);
  void (*release)(Program* program);
} Runtime;

extern const Runtime litert, onnxruntime;

/* arguments.c */
Order parse(int count, char** arguments);

/* report.c */
void report_into(const char* record);
_Noreturn void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
void* allocate(size_t count, size_t size);
FILE* open_file(const char* path, const char* mode);
void close_file(FILE* file, const char* path);
void json_text(FILE* file, const char* text);
void json_numbers(FILE* file, const char* key, const double* values, size_t count);

/* clock.c */
void count_looks(bool now);

/* system.c */
void* open_library(const char* path);
void* find_symbol(void* library, const char* name);
double now_ms(void);
void pin(const char* cpus);
void mark(bool begin);
long begin_peak(void);
long peak_kb(void);

#endif
