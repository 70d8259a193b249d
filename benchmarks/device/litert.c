/* LiteRT, through the C API of its shared library (litert/c/ in its repository): a compiled model
 * on the CPU, which means XNNPACK's kernels where it has them, as in LiteRT's Python package. */
#define _GNU_SOURCE
#include "runner.h"

#include <stdlib.h>
#include <string.h>

typedef int Status;
typedef struct Handle *Handle;

/* litert_layout.h and litert_model_types.h, which call these ABI stable. */
typedef struct {
  unsigned int rank : 7;
  bool has_strides : 1;
  int32_t dimensions[MOST_AXES];
  uint32_t strides[MOST_AXES];
} Layout;
typedef struct {
  int element;
  Layout layout;
} TensorType;
_Static_assert(sizeof(TensorType) == 72, "LiteRtRankedTensorType has 72 bytes");

/* litert_environment_options.h and litert_any.h */
typedef struct {
  int tag;
  struct {
    int type;
    int64_t value;
  } any;
} Option;
enum { AUTO_REGISTER_ACCELERATORS = 24, MIN_LOGGER_SEVERITY = 25, INTEGER = 2, ERRORS = 3 };

/* litert_profiler_event.h */
typedef struct {
  const char *tag;
  int type; /* one of those below, or of others that are no operators */
  uint64_t start_us, elapsed_us;
  int64_t memory_before[3], memory_after[3];
  uint64_t node, subgraph;
  int source;
} Event;
_Static_assert(sizeof(Event) == 104, "ProfiledEventData has 104 bytes");
enum { OPERATOR = 1 << 1, DELEGATES_OPERATOR = 1 << 3 };

enum { ON_CPU = 1, TO_READ = 0, TO_WRITE = 1 };

/* The functions that are called, LiteRt before each name: result, name, arguments. */
#define FUNCTIONS(X)                                                                         \
  X(Status, CreateEnvironment, (int, const Option *, Handle *))                              \
  X(Status, CreateModelFromFile, (Handle, const char *, Handle *))                           \
  X(void, DestroyModel, (Handle))                                                            \
  X(Status, GetNumModelSignatures, (Handle, size_t *))                                       \
  X(Status, GetModelSignature, (Handle, size_t, Handle *))                                   \
  X(Status, GetModelSubgraph, (Handle, size_t, Handle *))                                    \
  X(Status, GetSignatureKey, (Handle, const char **))                                        \
  X(Status, GetSignatureSubgraph, (Handle, Handle *))                                        \
  X(Status, GetNumSignatureInputs, (Handle, size_t *))                                       \
  X(Status, GetNumSignatureOutputs, (Handle, size_t *))                                      \
  X(Status, GetSignatureInputName, (Handle, size_t, const char **))                          \
  X(Status, GetSignatureOutputName, (Handle, size_t, const char **))                         \
  X(Status, GetSignatureInputTensorByIndex, (Handle, size_t, Handle *))                      \
  X(Status, GetSignatureOutputTensorByIndex, (Handle, size_t, Handle *))                     \
  X(Status, GetSubgraphInput, (Handle, size_t, Handle *))                                    \
  X(Status, GetSubgraphOutput, (Handle, size_t, Handle *))                                   \
  X(Status, GetRankedTensorType, (Handle, TensorType *))                                     \
  X(Status, CreateOptions, (Handle *))                                                       \
  X(void, DestroyOptions, (Handle))                                                          \
  X(Status, SetOptionsHardwareAccelerators, (Handle, int))                                   \
  X(Status, CreateOpaqueOptions, (const char *, void *, void (*)(void *), Handle *))         \
  X(Status, AddOpaqueOptions, (Handle, Handle))                                              \
  X(Status, CreateCompiledModel, (Handle, Handle, Handle, Handle *))                         \
  X(void, DestroyCompiledModel, (Handle))                                                    \
  X(Status, GetCompiledModelInputTensorLayout, (Handle, size_t, size_t, Layout *))           \
  X(Status, GetCompiledModelOutputTensorLayouts, (Handle, size_t, size_t, Layout *, bool))   \
  X(Status, GetCompiledModelInputBufferRequirements, (Handle, size_t, size_t, Handle *))     \
  X(Status, GetCompiledModelOutputBufferRequirements, (Handle, size_t, size_t, Handle *))    \
  X(Status, CreateManagedTensorBufferFromRequirements,                                       \
    (Handle, const TensorType *, Handle, Handle *))                                          \
  X(void, DestroyTensorBuffer, (Handle))                                                     \
  X(Status, GetTensorBufferPackedSize, (Handle, size_t *))                                   \
  X(Status, LockTensorBuffer, (Handle, void **, int))                                        \
  X(Status, UnlockTensorBuffer, (Handle))                                                    \
  X(Status, RunCompiledModel, (Handle, size_t, size_t, Handle *, size_t, Handle *))          \
  X(Status, CompiledModelGetProfiler, (Handle, Handle *))                                    \
  X(Status, StartProfiler, (Handle))                                                         \
  X(Status, GetNumProfilerEvents, (Handle, int *))                                           \
  X(Status, GetProfilerEvents, (Handle, int, Event *))

#define FIELD(result, name, arguments) result(*name) arguments;
static struct { FUNCTIONS(FIELD) } api;
static Handle environment;

/* A tensor at the edge of the program. */
typedef struct {
  const char *name;
  Handle tensor, buffer;
  TensorType type;
  size_t bytes;
  void *copy; /* of an output's values */
} End;

struct Program {
  Handle model, compiled;
  size_t signature, input_count, output_count, runs;
  End inputs[MOST_TENSORS], outputs[MOST_TENSORS];                       /* in the file's order */
  size_t input_places[MOST_TENSORS], output_places[MOST_TENSORS]; /* of the order's names */
};

/* litert_common.h */
static const char *in_words(Status status) {
  switch (status) {
    case 1: return "invalid argument";
    case 2: return "out of memory";
    case 3: return "runtime failure";
    case 4: return "missing input";
    case 5: return "unsupported";
    case 6: return "not found";
    case 500: return "no TFLite file, or it cannot be read";
    case 501: return "no TFLite file, or a damaged one";
    case 504: return "compilation failed";
    default: return "see litert_common.h";
  }
}

static void check(Status status, const char *what) {
  if (status) fail("LiteRT cannot %s (status %d: %s)", what, status, in_words(status));
}

/* litert_model_types.h; numpy's word and the bytes of one number. */
static const char *type_name(int element, size_t *bytes) {
  static const struct {
    int element;
    size_t bytes;
    const char *name;
  } types[] = {
      {1, 4, "float32"}, {2, 4, "int32"},    {3, 1, "uint8"},   {4, 8, "int64"},
      {6, 1, "bool"},    {7, 2, "int16"},    {9, 1, "int8"},    {10, 2, "float16"},
      {11, 8, "float64"}, {13, 8, "uint64"}, {16, 4, "uint32"}, {17, 2, "uint16"},
  };
  for (size_t place = 0; place < sizeof types / sizeof *types; place++)
    if (types[place].element == element) {
      *bytes = types[place].bytes;
      return types[place].name;
    }
  fail("LiteRT: a tensor of type %d, which the runner does not know", element);
}

static const char *open_runtime(const char *path) {
  void *library = open_library(path);
#define FIND(result, name, arguments) *(void **)&api.name = find_symbol(library, "LiteRt" #name);
  FUNCTIONS(FIND)
  const Option options[] = {{AUTO_REGISTER_ACCELERATORS, {INTEGER, ON_CPU}},
                            {MIN_LOGGER_SEVERITY, {INTEGER, ERRORS}}};
  check(api.CreateEnvironment(2, options, &environment), "start");
  return NULL;
}

static void add_options(Handle options, const char *identifier, const char *toml) {
  Handle opaque;
  char *payload = strdup(toml);
  if (!payload) fail("out of memory");
  check(api.CreateOpaqueOptions(identifier, payload, free, &opaque), "take options");
  check(api.AddOpaqueOptions(options, opaque), "take options");
}

static Handle compile(Handle model, const Order *order, bool profile) {
  Handle options, compiled;
  char toml[64];
  snprintf(toml, sizeof toml, "num_threads = %d\n", order->threads);
  check(api.CreateOptions(&options), "take options");
  check(api.SetOptionsHardwareAccelerators(options, ON_CPU), "take options");
  add_options(options, "xnnpack", toml);
  if (profile) add_options(options, "runtime_options_string", "enable_profiling = true\n");
  Status status = api.CreateCompiledModel(environment, model, options, &compiled);
  if (status)
    fail("%s: LiteRT cannot load it (status %d: %s)", order->model, status, in_words(status));
  api.DestroyOptions(options);
  return compiled;
}

static const char *key_of(Handle model, size_t place, Handle *graph) {
  const char *key;
  Handle signature;
  check(api.GetModelSignature(model, place, &signature), "read a signature");
  check(api.GetSignatureSubgraph(signature, graph), "find a signature's graph");
  check(api.GetSignatureKey(signature, &key), "read a signature's name");
  return key;
}

/* The signature of that name; for `main` also that of the file's first graph, as an interpreter
 * without signatures runs it. */
static size_t find_signature(Handle model, const Order *order) {
  size_t count, main_one = SIZE_MAX, length = 0;
  char names[512] = "";
  Handle graph, first_graph;
  check(api.GetNumModelSignatures(model, &count), "count signatures");
  check(api.GetModelSubgraph(model, 0, &first_graph), "find the first graph");
  for (size_t place = 0; place < count; place++) {
    const char *key = key_of(model, place, &graph);
    if (strcmp(key, order->program) == 0) return place;
    if (graph == first_graph && main_one == SIZE_MAX) main_one = place;
    if (length < sizeof names)
      length += (size_t)snprintf(names + length, sizeof names - length, " `%s`",
                                 graph == first_graph ? "main" : key);
  }
  if (strcmp(order->program, "main") == 0 && main_one != SIZE_MAX) return main_one;
  fail("%s: has no program `%s`, but%s", order->model, order->program, names);
}

static size_t packed_bytes(const TensorType *type, const char *name) {
  size_t bytes;
  type_name(type->element, &bytes);
  for (unsigned axis = 0; axis < type->layout.rank; axis++) {
    if (type->layout.dimensions[axis] < 0) fail("`%s` has an axis of no fixed size", name);
    bytes *= (size_t)type->layout.dimensions[axis];
  }
  return bytes;
}

static void make_buffer(End *end, Handle requirements) {
  end->bytes = packed_bytes(&end->type, end->name);
  check(api.CreateManagedTensorBufferFromRequirements(environment, &end->type, requirements,
                                                      &end->buffer),
        "make a buffer");
  size_t bytes;
  check(api.GetTensorBufferPackedSize(end->buffer, &bytes), "measure a buffer");
  if (bytes < end->bytes) fail("`%s`: a buffer of %zu bytes for %zu", end->name, bytes, end->bytes);
}

static void make_inputs(Program *it, Handle signature) {
  check(api.GetNumSignatureInputs(signature, &it->input_count), "count inputs");
  if (it->input_count > MOST_TENSORS) fail("more than %d inputs", MOST_TENSORS);
  for (size_t place = 0; place < it->input_count; place++) {
    End *end = &it->inputs[place];
    Handle needs;
    check(api.GetSignatureInputName(signature, place, &end->name), "name an input");
    check(api.GetSignatureInputTensorByIndex(signature, place, &end->tensor), "find an input");
    check(api.GetRankedTensorType(end->tensor, &end->type), "tell an input's type");
    check(api.GetCompiledModelInputTensorLayout(it->compiled, it->signature, place,
                                                &end->type.layout),
          "tell an input's shape");
    check(api.GetCompiledModelInputBufferRequirements(it->compiled, it->signature, place, &needs),
          "tell an input's buffer");
    make_buffer(end, needs);
  }
}

static void make_outputs(Program *it, Handle signature) {
  Layout layouts[MOST_TENSORS];
  check(api.GetNumSignatureOutputs(signature, &it->output_count), "count outputs");
  if (it->output_count > MOST_TENSORS) fail("more than %d outputs", MOST_TENSORS);
  check(api.GetCompiledModelOutputTensorLayouts(it->compiled, it->signature, it->output_count,
                                                layouts, true),
        "tell the outputs' shapes");
  for (size_t place = 0; place < it->output_count; place++) {
    End *end = &it->outputs[place];
    Handle needs;
    check(api.GetSignatureOutputName(signature, place, &end->name), "name an output");
    check(api.GetSignatureOutputTensorByIndex(signature, place, &end->tensor), "find an output");
    check(api.GetRankedTensorType(end->tensor, &end->type), "tell an output's type");
    end->type.layout = layouts[place];
    check(api.GetCompiledModelOutputBufferRequirements(it->compiled, it->signature, place, &needs),
          "tell an output's buffer");
    make_buffer(end, needs);
    end->copy = allocate(1, end->bytes);
  }
}

static size_t named(const End *ends, size_t count, const char *name) {
  for (size_t place = 0; place < count; place++)
    if (strcmp(ends[place].name, name) == 0) return place;
  return SIZE_MAX;
}

/* Where in the signature the ends of these names are. A file's own words may call them otherwise
 * than its signature does; then they are those of the graph, in its order. */
static void match(const Ends *wanted, const End *ends, size_t count, Handle graph,
                  Status (*of_graph)(Handle, size_t, Handle *), size_t *places, const char *kind) {
  if (wanted->count != count)
    fail("the program has %zu %ss, and %zu were given", count, kind, wanted->count);
  bool all = true;
  for (size_t place = 0; place < count; place++) {
    places[place] = named(ends, count, wanted->names[place]);
    all &= places[place] != SIZE_MAX;
  }
  for (size_t place = 0; !all && place < count; place++) {
    Handle tensor;
    check(of_graph(graph, place, &tensor), "find a graph's ends");
    for (places[place] = 0; ends[places[place]].tensor != tensor; places[place]++)
      if (places[place] + 1 == count) fail("`%s` is no %s", wanted->names[place], kind);
  }
}

static Handle profiler_of(const Program *it) {
  Handle profiler;
  check(api.CompiledModelGetProfiler(it->compiled, &profiler), "find the profiler");
  return profiler;
}

static Program *load(const Order *order, bool profile) {
  Program *it = allocate(1, sizeof *it);
  Handle signature, graph;
  Status status = api.CreateModelFromFile(environment, order->model, &it->model);
  if (status)
    fail("%s: LiteRT cannot load it (status %d: %s)", order->model, status, in_words(status));
  it->signature = find_signature(it->model, order);
  it->compiled = compile(it->model, order, profile);
  check(api.GetModelSignature(it->model, it->signature, &signature), "read a signature");
  check(api.GetSignatureSubgraph(signature, &graph), "find a signature's graph");
  make_inputs(it, signature);
  make_outputs(it, signature);
  match(&order->inputs, it->inputs, it->input_count, graph, api.GetSubgraphInput,
        it->input_places, "input");
  match(&order->outputs, it->outputs, it->output_count, graph, api.GetSubgraphOutput,
        it->output_places, "output");
  if (profile) check(api.StartProfiler(profiler_of(it)), "start the profiler");
  return it;
}

static size_t input_bytes(const Program *it, size_t place) {
  return it->inputs[it->input_places[place]].bytes;
}

static void run(Program *it, const void *const *inputs) {
  Handle given[MOST_TENSORS], got[MOST_TENSORS];
  for (size_t place = 0; place < it->input_count; place++) {
    End *end = &it->inputs[it->input_places[place]];
    void *memory;
    check(api.LockTensorBuffer(end->buffer, &memory, TO_WRITE), "write an input");
    memcpy(memory, inputs[place], end->bytes);
    check(api.UnlockTensorBuffer(end->buffer), "write an input");
  }
  for (size_t place = 0; place < it->input_count; place++) given[place] = it->inputs[place].buffer;
  for (size_t place = 0; place < it->output_count; place++) got[place] = it->outputs[place].buffer;
  check(api.RunCompiledModel(it->compiled, it->signature, it->input_count, given,
                             it->output_count, got),
        "run the program");
  it->runs++;
}

static Answer answer(const Program *it, size_t place) {
  const End *end = &it->outputs[it->output_places[place]];
  size_t bytes;
  void *memory;
  Answer found = {.type = type_name(end->type.element, &bytes), .rank = end->type.layout.rank};
  for (size_t axis = 0; axis < found.rank; axis++)
    found.shape[axis] = end->type.layout.dimensions[axis];
  check(api.LockTensorBuffer(end->buffer, &memory, TO_READ), "read an output");
  memcpy(end->copy, memory, end->bytes);
  check(api.UnlockTensorBuffer(end->buffer), "read an output");
  found.bytes = end->bytes;
  found.data = end->copy;
  return found;
}

/* {"runs", "operators": [{"name", "delegated", "us"}, ...]}: each operator each time that it ran, in
 * that order. A delegate names those that it made of the file's; what it left to LiteRT keeps its
 * type in the file. */
static void write_profile(Program *it, const Order *order) {
  int count;
  check(api.GetNumProfilerEvents(profiler_of(it), &count), "count what ran");
  Event *events = allocate((size_t)count, sizeof *events);
  check(api.GetProfilerEvents(profiler_of(it), count, events), "tell what ran");
  FILE *file = open_file(order->profile, "w");
  const char *between = "";
  fprintf(file, "{\"runs\": %zu, \"operators\": [", it->runs);
  for (const Event *event = events; event < events + count; event++) {
    if (event->type != OPERATOR && event->type != DELEGATES_OPERATOR) continue;
    fprintf(file, "%s\n{\"name\": ", between);
    json_text(file, event->tag);
    fprintf(file, ", \"delegated\": %s, \"us\": %llu}",
            event->type == OPERATOR ? "false" : "true", (unsigned long long)event->elapsed_us);
    between = ",";
  }
  fputs("\n]}\n", file);
  close_file(file, order->profile);
  free(events);
}

static void release(Program *it) {
  for (size_t place = 0; place < it->input_count; place++)
    api.DestroyTensorBuffer(it->inputs[place].buffer);
  for (size_t place = 0; place < it->output_count; place++) {
    api.DestroyTensorBuffer(it->outputs[place].buffer);
    free(it->outputs[place].copy);
  }
  api.DestroyCompiledModel(it->compiled);
  api.DestroyModel(it->model);
  free(it);
}

const Runtime litert = {"litert", open_runtime, load, input_bytes, run, answer, write_profile,
                        release};
