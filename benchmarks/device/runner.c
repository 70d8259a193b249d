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

static const Runtime *const runtimes[] = {&litert, &onnxruntime};

#if defined(__x86_64__)
static const char isa[] = "x86_64";
#elif defined(__aarch64__)
static const char isa[] = "aarch64";
#else
#error "edgedistill measures on x86_64 and aarch64"
#endif

/* The samples of all inputs, as their files hold them. */
typedef struct {
  size_t count; /* samples */
  size_t bytes[MOST_TENSORS];
  const unsigned char *values[MOST_TENSORS];
} Samples;

static long whole(const char *flag, const char *text) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (end == text || *end || errno || value < 0) fail("%s: `%s` is no count", flag, text);
  return value;
}

static double real(const char *flag, const char *text) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= 0)) fail("%s: `%s` is no time", flag, text);
  return value;
}

static void add(Ends *ends, const char *flag, char *text) {
  char *equals = strrchr(text, '=');
  if (!equals || equals == text || !equals[1]) fail("%s: `%s` is not NAME=FILE", flag, text);
  if (ends->count == MOST_TENSORS) fail("%s: more than %d", flag, MOST_TENSORS);
  *equals = 0;
  ends->names[ends->count] = text;
  ends->files[ends->count++] = equals + 1;
}

static bool take_value(Order *order, const char *flag, char *value) {
  if (strcmp(flag, "--runtime") == 0) order->runtime = value;
  else if (strcmp(flag, "--library") == 0) order->library = value;
  else if (strcmp(flag, "--model") == 0) order->model = value;
  else if (strcmp(flag, "--program") == 0) order->program = value;
  else if (strcmp(flag, "--record") == 0) report_into(order->record = value);
  else if (strcmp(flag, "--profile") == 0) order->profile = value;
  else if (strcmp(flag, "--cpus") == 0) order->cpus = value;
  else if (strcmp(flag, "--input") == 0) add(&order->inputs, flag, value);
  else if (strcmp(flag, "--output") == 0) add(&order->outputs, flag, value);
  else if (strcmp(flag, "--threads") == 0) order->threads = (int)whole(flag, value);
  else if (strcmp(flag, "--warmup") == 0) order->warmup = whole(flag, value);
  else if (strcmp(flag, "--minimum") == 0) order->minimum = whole(flag, value);
  else if (strcmp(flag, "--runs") == 0) order->runs = whole(flag, value);
  else if (strcmp(flag, "--seconds") == 0) order->seconds = real(flag, value);
  else if (strcmp(flag, "--minimum-seconds") == 0) order->minimum_seconds = real(flag, value);
  else return false;
  return true;
}

static Order parse(int count, char **arguments) {
  Order order = {.program = "main", .threads = 1, .warmup = 10, .minimum = 10, .runs = 200,
                 .seconds = 5};
  for (int at = 1; at < count; at++) {
    const char *flag = arguments[at];
    if (strcmp(flag, "--memory") == 0) order.memory = true;
    else if (strcmp(flag, "--mark") == 0) order.mark = true;
    else if (at + 1 == count || !take_value(&order, flag, arguments[++at]))
      fail("`%s` is no option, or lacks its value", flag);
  }
  if (!order.runtime || !order.library || !order.model || !order.record || !order.inputs.count)
    fail("--runtime, --library, --model, --input and --record are needed");
  return order;
}

static const Runtime *find_runtime(const char *name) {
  for (size_t place = 0; place < sizeof runtimes / sizeof *runtimes; place++)
    if (strcmp(runtimes[place]->name, name) == 0) return runtimes[place];
  fail("--runtime: `%s` is neither litert nor onnxruntime", name);
}

static Samples read_samples(const Ends *inputs) {
  Samples all = {0};
  for (size_t place = 0; place < inputs->count; place++) {
    const char *path = inputs->files[place];
    FILE *file = open_file(path, "rb");
    if (fseek(file, 0, SEEK_END) != 0) fail("%s: %s", path, strerror(errno));
    long size = ftell(file);
    rewind(file);
    unsigned char *values = allocate(1, (size_t)size);
    if (size <= 0 || fread(values, 1, (size_t)size, file) != (size_t)size)
      fail("%s: is empty or cannot be read", path);
    fclose(file);
    all.bytes[place] = (size_t)size;
    all.values[place] = values;
  }
  return all;
}

/* How many samples the files hold, by what the program takes for one. */
static void count_samples(Samples *all, const Order *order, const Runtime *runtime,
                          const Program *program) {
  for (size_t place = 0; place < order->inputs.count; place++) {
    size_t one = runtime->input_bytes(program, place), bytes = all->bytes[place];
    const char *path = order->inputs.files[place];
    if (one == 0 || bytes % one)
      fail("%s: %zu bytes are no samples of `%s`, of %zu bytes each", path, bytes,
           order->inputs.names[place], one);
    if (place && bytes / one != all->count)
      fail("%s: %zu samples, and %zu of the inputs before", path, bytes / one, all->count);
    all->count = bytes / one;
  }
}

static void run_sample(const Runtime *runtime, Program *program, const Order *order,
                       const Samples *all, size_t turn) {
  const void *inputs[MOST_TENSORS];
  size_t sample = turn % all->count;
  for (size_t place = 0; place < order->inputs.count; place++)
    inputs[place] = all->values[place] + sample * (all->bytes[place] / all->count);
  runtime->run(program, inputs);
}

static double timed(const Runtime *runtime, Program *program, const Order *order,
                    const Samples *all, size_t turn) {
  double begin = now_ms();
  run_sample(runtime, program, order, all, turn);
  return now_ms() - begin;
}

/* Milliseconds, one for each run. */
typedef struct {
  size_t count, room;
  double *ms;
} Times;

static void append(Times *times, double ms) {
  if (times->count == times->room) {
    times->room = times->room ? 2 * times->room : 1024;
    times->ms = realloc(times->ms, times->room * sizeof *times->ms);
    if (!times->ms) fail("out of memory");
  }
  times->ms[times->count++] = ms;
}

static int compare(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double median(const double *ms, size_t count) {
  double *sorted = allocate(count, sizeof *sorted);
  memcpy(sorted, ms, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare);
  double found = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
  free(sorted);
  return found;
}

/* Blocks of runs, until the median of one is within 5 % of the last one's, ten at most. */
static Times warm_up(const Runtime *runtime, Program *program, const Order *order,
                     const Samples *all) {
  Times times = {0};
  size_t size = (size_t)order->warmup;
  double last = 0;
  for (int block = 0; size && block < MOST_BLOCKS; block++) {
    for (size_t turn = 0; turn < size; turn++)
      append(&times, timed(runtime, program, order, all, times.count));
    double now = median(times.ms + times.count - size, size);
    if (block && now <= 1.05 * last && now >= 0.95 * last) break;
    last = now;
  }
  return times;
}

static Times measure(const Runtime *runtime, Program *program, const Order *order,
                     const Samples *all) {
  Times times = {0};
  double begin = now_ms(), passed = 0;
  while (times.count < (size_t)order->minimum || passed < order->minimum_seconds ||
         (times.count < (size_t)order->runs && passed < order->seconds)) {
    if (order->mark) mark(true);
    double ms = timed(runtime, program, order, all, times.count);
    if (order->mark) mark(false);
    append(&times, ms);
    passed = (now_ms() - begin) / 1e3;
  }
  return times;
}

/* Every sample once more: the outputs' bytes into their files, their kinds into the record. */
static void write_outputs(FILE *record, const Runtime *runtime, Program *program,
                          const Order *order, const Samples *all) {
  FILE *files[MOST_TENSORS];
  for (size_t place = 0; place < order->outputs.count; place++)
    files[place] = open_file(order->outputs.files[place], "wb");
  for (size_t sample = 0; sample < all->count; sample++) {
    run_sample(runtime, program, order, all, sample);
    for (size_t place = 0; place < order->outputs.count; place++) {
      Answer found = runtime->answer(program, place);
      fwrite(found.data, 1, found.bytes, files[place]);
    }
  }
  fputs("\"outputs\": {", record);
  for (size_t place = 0; place < order->outputs.count; place++) {
    Answer found = runtime->answer(program, place);
    close_file(files[place], order->outputs.files[place]);
    fputs(place ? ", " : "", record);
    json_text(record, order->outputs.names[place]);
    fprintf(record, ": {\"dtype\": \"%s\", \"shape\": [", found.type);
    for (size_t axis = 0; axis < found.rank; axis++)
      fprintf(record, "%s%lld", axis ? ", " : "", (long long)found.shape[axis]);
    fputs("]}", record);
  }
  fputs("}", record);
}

static void profile(const Runtime *runtime, const Order *order, const Samples *all) {
  Program *watching = runtime->load(order, true);
  for (size_t turn = 0; turn < PROFILED_RUNS; turn++)
    run_sample(runtime, watching, order, all, 0);
  runtime->write_profile(watching, order);
  runtime->release(watching);
}

static void write_times(FILE *record, const Runtime *runtime, const Order *order, Samples *all) {
  double begin = now_ms();
  Program *program = runtime->load(order, false);
  double cold = now_ms() - begin;
  count_samples(all, order, runtime, program);
  Times warmup = warm_up(runtime, program, order, all);
  Times samples = measure(runtime, program, order, all);
  begin = now_ms();
  Program *again = runtime->load(order, false);
  double warm = now_ms() - begin;
  runtime->release(again);
  fprintf(record, "\"cold_load_ms\": %.6f, \"warm_load_ms\": %.6f, \"first_run_ms\": %.6f, ", cold,
          warm, warmup.count ? warmup.ms[0] : samples.count ? samples.ms[0] : 0);
  json_numbers(record, "warmup_ms", warmup.ms, warmup.count);
  fputs(", ", record);
  json_numbers(record, "samples_ms", samples.ms, samples.count);
  fputs(", ", record);
  write_outputs(record, runtime, program, order, all);
  runtime->release(program);
  if (order->profile) profile(runtime, order, all);
}

static void write_memory(FILE *record, const Runtime *runtime, const Order *order, Samples *all) {
  long empty = begin_peak();
  Program *program = runtime->load(order, false);
  count_samples(all, order, runtime, program);
  for (size_t turn = 0; turn < MEMORY_RUNS * all->count; turn++)
    run_sample(runtime, program, order, all, turn);
  long peak = peak_kb();
  if (empty < 0 || peak < 0) fputs("\"empty_kb\": null, \"peak_kb\": null", record);
  else fprintf(record, "\"empty_kb\": %ld, \"peak_kb\": %ld", empty, peak);
  runtime->release(program);
}

int main(int count, char **arguments) {
  Order order = parse(count, arguments);
  const Runtime *runtime = find_runtime(order.runtime);
  if (order.cpus) pin(order.cpus);
  Samples all = read_samples(&order.inputs);
  double begin = now_ms();
  const char *version = runtime->open(order.library);
  double open = now_ms() - begin;
  char *text = NULL;
  size_t size = 0;
  FILE *record = open_memstream(&text, &size);
  if (!record) fail("out of memory");
  fprintf(record, "{\"runtime\": \"%s\", \"version\": ", runtime->name);
  if (version) json_text(record, version);
  else fputs("null", record);
  fprintf(record, ", \"isa\": \"%s\", \"open_ms\": %.6f, ", isa, open);
  (order.memory ? write_memory : write_times)(record, runtime, &order, &all);
  fputs("}\n", record);
  fclose(record);
  FILE *file = open_file(order.record, "w");
  fwrite(text, 1, size, file);
  close_file(file, order.record);
  return 0;
}
