/* Runs a model file on a device and writes down what that took.
 *
 * One process is one measurement. It needs nothing of the device but its kernel and the libraries
 * that lie beside it; README.md says what goes in and what comes out. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PROFILED_RUNS = 22, MEMORY_RUNS = 3, MOST_BLOCKS = 10 };

static const Runtime* const runtimes[] = {&litert, &onnxruntime};

#if defined(__x86_64__)
static const char isa[] = "x86_64";
#elif defined(__aarch64__)
static const char isa[] = "aarch64";
#else
#error "edgedistill measures on x86_64 and aarch64"
#endif

/* What is measured; the samples of all inputs are as their files hold them. */
typedef struct {
  const Runtime* runtime;
  const Order* order;
  Program* program;
  size_t samples;
  size_t bytes[MOST_TENSORS];
  const unsigned char* values[MOST_TENSORS];
} Work;

static const Runtime* find_runtime(const char* name) {
  for (size_t place = 0; place < sizeof runtimes / sizeof *runtimes; place++)
    if (strcmp(runtimes[place]->name, name) == 0) return runtimes[place];
  fail("--runtime: `%s` is neither litert nor onnxruntime", name);
}

static void read_inputs(Work* work) {
  const Ends* inputs = &work->order->inputs;
  for (size_t place = 0; place < inputs->count; place++) {
    const char* path = inputs->files[place];
    FILE* file = open_file(path, "rb");
    if (fseek(file, 0, SEEK_END) != 0) fail("%s: %s", path, strerror(errno));
    long size = ftell(file);
    rewind(file);
    unsigned char* values = allocate(1, (size_t)size);
    if (size <= 0 || fread(values, 1, (size_t)size, file) != (size_t)size)
      fail("%s: is empty or cannot be read", path);
    fclose(file);
    work->bytes[place] = (size_t)size;
    work->values[place] = values;
  }
}

/* How many samples the files hold, by what the program takes for one. */
static void count_samples(Work* work) {
  const Ends* inputs = &work->order->inputs;
  for (size_t place = 0; place < inputs->count; place++) {
    size_t one = work->runtime->input_bytes(work->program, place), bytes = work->bytes[place];
    if (one == 0 || bytes % one)
      fail("%s: %zu bytes are no samples of `%s`, of %zu bytes each", inputs->files[place], bytes,
           inputs->names[place], one);
    if (place && bytes / one != work->samples)
      fail("%s: %zu samples, and %zu of the inputs before", inputs->files[place], bytes / one,
           work->samples);
    work->samples = bytes / one;
  }
}

static double load(Work* work) {
  double begin = now_ms();
  work->program = work->runtime->load(work->order, false);
  return now_ms() - begin;
}

static void run(const Work* work, Program* program, size_t turn) {
  const void* inputs[MOST_TENSORS];
  size_t sample = turn % work->samples;
  for (size_t place = 0; place < work->order->inputs.count; place++)
    inputs[place] = work->values[place] + sample * (work->bytes[place] / work->samples);
  work->runtime->run(program, inputs);
}

/* Milliseconds of a run. The marks stand inside: who counts between them takes no times. */
static double timed(const Work* work, size_t turn, bool marked) {
  double begin = now_ms();
  if (marked) mark(true);
  run(work, work->program, turn);
  if (marked) mark(false);
  return now_ms() - begin;
}

/* Milliseconds, one for each run. */
typedef struct {
  size_t count, room;
  double* ms;
} Times;

static void append(Times* times, double ms) {
  if (times->count == times->room) {
    times->room = times->room ? 2 * times->room : 1024;
    times->ms = realloc(times->ms, times->room * sizeof *times->ms);
    if (!times->ms) fail("out of memory");
  }
  times->ms[times->count++] = ms;
}

static int compare(const void* left, const void* right) {
  double a = *(const double*)left, b = *(const double*)right;
  return (a > b) - (a < b);
}

static double median(const double* ms, size_t count) {
  double* sorted = allocate(count, sizeof *sorted);
  memcpy(sorted, ms, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare);
  double found = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
  free(sorted);
  return found;
}

/* Blocks of runs, until the median of one is within 5 % of the last one's: two at least, ten at
 * most, and no third begins after as long as is to be measured. */
static Times warm_up(const Work* work) {
  Times times = {0};
  size_t size = (size_t)work->order->warmup;
  double last = 0, begin = now_ms();
  for (int block = 0; size && block < MOST_BLOCKS; block++) {
    for (size_t turn = 0; turn < size; turn++) append(&times, timed(work, times.count, false));
    double now = median(times.ms + times.count - size, size);
    bool settled = now <= 1.05 * last && now >= 0.95 * last;
    if (block && (settled || now_ms() - begin > 1e3 * work->order->seconds)) break;
    last = now;
  }
  return times;
}

static Times measure(const Work* work) {
  const Order* order = work->order;
  Times times = {0};
  double begin = now_ms(), passed = 0;
  while (times.count < (size_t)order->minimum || passed < order->minimum_seconds ||
         (times.count < (size_t)order->runs && passed < order->seconds)) {
    append(&times, timed(work, times.count, order->mark));
    passed = (now_ms() - begin) / 1e3;
  }
  return times;
}

/* Every sample once more: the outputs' bytes into their files. */
static void write_outputs(const Work* work) {
  const Ends* outputs = &work->order->outputs;
  FILE* files[MOST_TENSORS];
  for (size_t place = 0; place < outputs->count; place++)
    files[place] = open_file(outputs->files[place], "wb");
  for (size_t sample = 0; sample < work->samples; sample++) {
    run(work, work->program, sample);
    for (size_t place = 0; place < outputs->count; place++) {
      Answer found = work->runtime->answer(work->program, place);
      fwrite(found.data, 1, found.bytes, files[place]);
    }
  }
  for (size_t place = 0; place < outputs->count; place++)
    close_file(files[place], outputs->files[place]);
}

/* Types and shapes of the outputs of the last run. */
static void describe_outputs(const Work* work, FILE* record) {
  const Ends* outputs = &work->order->outputs;
  fputs("\"outputs\": {", record);
  for (size_t place = 0; place < outputs->count; place++) {
    Answer found = work->runtime->answer(work->program, place);
    fputs(place ? ", " : "", record);
    json_text(record, outputs->names[place]);
    fprintf(record, ": {\"dtype\": \"%s\", \"shape\": [", found.type);
    for (size_t axis = 0; axis < found.rank; axis++)
      fprintf(record, "%s%lld", axis ? ", " : "", (long long)found.shape[axis]);
    fputs("]}", record);
  }
  fputs("}", record);
}

static void profile(const Work* work) {
  Program* watching = work->runtime->load(work->order, true);
  count_looks(work->order->mark);
  for (size_t turn = 0; turn < PROFILED_RUNS; turn++) run(work, watching, 0);
  count_looks(false);
  work->runtime->write_profile(watching, work->order);
  work->runtime->release(watching);
}

static void write_times(Work* work, FILE* record) {
  double cold = load(work);
  count_samples(work);
  Times warmup = warm_up(work), samples = measure(work);
  Program* program = work->program;
  double warm = load(work); /* beside the first, as an app's second model is */
  work->runtime->release(program);
  fprintf(record, "\"cold_load_ms\": %.6f, \"warm_load_ms\": %.6f, ", cold, warm);
  json_numbers(record, "warmup_ms", warmup.ms, warmup.count);
  fputs(", ", record);
  json_numbers(record, "samples_ms", samples.ms, samples.count);
  fputs(", ", record);
  write_outputs(work);
  describe_outputs(work, record);
  work->runtime->release(work->program);
  if (work->order->profile) profile(work);
}

static void write_memory(Work* work, FILE* record) {
  long empty = begin_peak();
  load(work);
  count_samples(work);
  for (size_t turn = 0; turn < MEMORY_RUNS * work->samples; turn++) run(work, work->program, turn);
  long peak = peak_kb();
  if (empty < 0 || peak < 0) fputs("\"empty_kb\": null, \"peak_kb\": null", record);
  else fprintf(record, "\"empty_kb\": %ld, \"peak_kb\": %ld", empty, peak);
  work->runtime->release(work->program);
}

int main(int count, char** arguments) {
  Order order = parse(count, arguments);
  Work work = {.runtime = find_runtime(order.runtime), .order = &order};
  if (order.cpus) pin(order.cpus);
  read_inputs(&work);
  double begin = now_ms();
  const char* version = work.runtime->open(order.library);
  double opened = now_ms() - begin;
  char* text = NULL;
  size_t size = 0;
  FILE* record = open_memstream(&text, &size);
  if (!record) fail("out of memory");
  fprintf(record, "{\"runtime\": \"%s\", \"version\": ", work.runtime->name);
  if (version) json_text(record, version);
  else fputs("null", record);
  fprintf(record, ", \"isa\": \"%s\", \"open_ms\": %.6f, ", isa, opened);
  (order.memory ? write_memory : write_times)(&work, record);
  fputs("}\n", record);
  fclose(record);
  FILE* file = open_file(order.record, "w");
  fwrite(text, 1, size, file);
  close_file(file, order.record);
  return 0;
}
