/* LiteRT, through the C API of its shared library (litert/c/ in its repository): a compiled model
 * on the CPU, which means XNNPACK's kernels where it has them, as in LiteRT's Python package. */
#define _GNU_SOURCE
#include "litert.h"

#include <stdlib.h>
#include <string.h>

/* A tensor at the edge of the program. */
typedef struct {
  const char* name;
  Handle tensor, buffer;
  TensorType type;
  size_t bytes;
  void* copy; /* of an output's values */
} End;

struct Program {
  Handle model, compiled;
  size_t signature, input_count, output_count, runs;
  End inputs[MOST_TENSORS], outputs[MOST_TENSORS];                /* in the signature's order */
  size_t input_places[MOST_TENSORS], output_places[MOST_TENSORS]; /* of the order's names */
};

static Handle compile(Handle model, const Order* order, bool profile) {
  Handle options, compiled;
  char toml[64];
  snprintf(toml, sizeof toml, "num_threads = %d\n", order->threads);
  lrt_check(lrt.CreateOptions(&options), "take options");
  lrt_check(lrt.SetOptionsHardwareAccelerators(options, ON_CPU), "take options");
  lrt_add_options(options, "xnnpack", toml);
  if (profile) lrt_add_options(options, "runtime_options_string", "enable_profiling = true\n");
  Status status = lrt.CreateCompiledModel(lrt_environment, model, options, &compiled);
  if (status)
    fail("%s: LiteRT cannot load it (status %d: %s)", order->model, status, lrt_in_words(status));
  lrt.DestroyOptions(options);
  return compiled;
}

static const char* key_of(Handle model, size_t place, Handle* graph) {
  const char* key;
  Handle signature;
  lrt_check(lrt.GetModelSignature(model, place, &signature), "read a signature");
  lrt_check(lrt.GetSignatureSubgraph(signature, graph), "find a signature's graph");
  lrt_check(lrt.GetSignatureKey(signature, &key), "read a signature's name");
  return key;
}

/* The signature of that name; for `main` also that of the file's first graph, as an interpreter
 * without signatures runs it. */
static size_t find_signature(Handle model, const Order* order) {
  size_t count, main_one = SIZE_MAX, length = 0;
  char names[512] = "";
  Handle graph, first_graph;
  lrt_check(lrt.GetNumModelSignatures(model, &count), "count signatures");
  lrt_check(lrt.GetModelSubgraph(model, 0, &first_graph), "find the first graph");
  for (size_t place = 0; place < count; place++) {
    const char* key = key_of(model, place, &graph);
    if (strcmp(key, order->program) == 0) return place;
    if (graph == first_graph && main_one == SIZE_MAX) main_one = place;
    if (length < sizeof names)
      length += (size_t)snprintf(names + length, sizeof names - length, " `%s`",
                                 graph == first_graph ? "main" : key);
  }
  if (strcmp(order->program, "main") == 0 && main_one != SIZE_MAX) return main_one;
  fail("%s: has no program `%s`, but%s", order->model, order->program, names);
}

static size_t packed_bytes(const TensorType* type, const char* name) {
  size_t bytes;
  lrt_type_name(type->element, &bytes);
  for (unsigned axis = 0; axis < type->layout.rank; axis++) {
    if (type->layout.dimensions[axis] < 0) fail("`%s` has an axis of no fixed size", name);
    bytes *= (size_t)type->layout.dimensions[axis];
  }
  return bytes;
}

static void make_buffer(End* end, Handle requirements) {
  end->bytes = packed_bytes(&end->type, end->name);
  lrt_check(lrt.CreateManagedTensorBufferFromRequirements(lrt_environment, &end->type, requirements,
                                                          &end->buffer),
            "make a buffer");
  size_t bytes;
  lrt_check(lrt.GetTensorBufferPackedSize(end->buffer, &bytes), "measure a buffer");
  if (bytes < end->bytes) fail("`%s`: a buffer of %zu bytes for %zu", end->name, bytes, end->bytes);
}

static void make_inputs(Program* it, Handle signature) {
  lrt_check(lrt.GetNumSignatureInputs(signature, &it->input_count), "count inputs");
  if (it->input_count > MOST_TENSORS) fail("more than %d inputs", MOST_TENSORS);
  for (size_t place = 0; place < it->input_count; place++) {
    End* end = &it->inputs[place];
    Handle needs;
    lrt_check(lrt.GetSignatureInputName(signature, place, &end->name), "name an input");
    lrt_check(lrt.GetSignatureInputTensorByIndex(signature, place, &end->tensor), "find an input");
    lrt_check(lrt.GetRankedTensorType(end->tensor, &end->type), "tell an input's type");
    lrt_check(lrt.GetCompiledModelInputTensorLayout(it->compiled, it->signature, place,
                                                    &end->type.layout),
              "tell an input's shape");
    lrt_check(
        lrt.GetCompiledModelInputBufferRequirements(it->compiled, it->signature, place, &needs),
        "tell an input's buffer");
    make_buffer(end, needs);
  }
}

static void make_outputs(Program* it, Handle signature) {
  Layout layouts[MOST_TENSORS];
  lrt_check(lrt.GetNumSignatureOutputs(signature, &it->output_count), "count outputs");
  if (it->output_count > MOST_TENSORS) fail("more than %d outputs", MOST_TENSORS);
  lrt_check(lrt.GetCompiledModelOutputTensorLayouts(it->compiled, it->signature, it->output_count,
                                                    layouts, true),
            "tell the outputs' shapes");
  for (size_t place = 0; place < it->output_count; place++) {
    End* end = &it->outputs[place];
    Handle needs;
    lrt_check(lrt.GetSignatureOutputName(signature, place, &end->name), "name an output");
    lrt_check(lrt.GetSignatureOutputTensorByIndex(signature, place, &end->tensor),
              "find an output");
    lrt_check(lrt.GetRankedTensorType(end->tensor, &end->type), "tell an output's type");
    end->type.layout = layouts[place];
    lrt_check(
        lrt.GetCompiledModelOutputBufferRequirements(it->compiled, it->signature, place, &needs),
        "tell an output's buffer");
    make_buffer(end, needs);
    end->copy = allocate(1, end->bytes);
  }
}

static size_t named(const End* ends, size_t count, const char* name) {
  for (size_t place = 0; place < count; place++)
    if (strcmp(ends[place].name, name) == 0) return place;
  return SIZE_MAX;
}

/* Where in the signature the ends of these names are. A file's own words may call them otherwise
 * than its signature does; then they are those of the graph, in its order. */
static void match(const Ends* wanted, const End* ends, size_t count, Handle graph,
                  Status (*of_graph)(Handle, size_t, Handle*), size_t* places, const char* kind) {
  if (wanted->count != count)
    fail("the program has %zu %ss, and %zu were given", count, kind, wanted->count);
  bool all = true;
  for (size_t place = 0; place < count; place++) {
    places[place] = named(ends, count, wanted->names[place]);
    all &= places[place] != SIZE_MAX;
  }
  for (size_t place = 0; !all && place < count; place++) {
    Handle tensor;
    lrt_check(of_graph(graph, place, &tensor), "find a graph's ends");
    for (places[place] = 0; ends[places[place]].tensor != tensor; places[place]++)
      if (places[place] + 1 == count) fail("`%s` is no %s", wanted->names[place], kind);
  }
}

static Handle profiler_of(const Program* it) {
  Handle profiler;
  lrt_check(lrt.CompiledModelGetProfiler(it->compiled, &profiler), "find the profiler");
  return profiler;
}

static Program* load(const Order* order, bool profile) {
  Program* it = allocate(1, sizeof *it);
  Handle signature, graph;
  Status status = lrt.CreateModelFromFile(lrt_environment, order->model, &it->model);
  if (status)
    fail("%s: LiteRT cannot load it (status %d: %s)", order->model, status, lrt_in_words(status));
  it->signature = find_signature(it->model, order);
  it->compiled = compile(it->model, order, profile);
  lrt_check(lrt.GetModelSignature(it->model, it->signature, &signature), "read a signature");
  lrt_check(lrt.GetSignatureSubgraph(signature, &graph), "find a signature's graph");
  make_inputs(it, signature);
  make_outputs(it, signature);
  match(&order->inputs, it->inputs, it->input_count, graph, lrt.GetSubgraphInput, it->input_places,
        "input");
  match(&order->outputs, it->outputs, it->output_count, graph, lrt.GetSubgraphOutput,
        it->output_places, "output");
  if (profile) lrt_check(lrt.StartProfiler(profiler_of(it)), "start the profiler");
  return it;
}

static size_t input_bytes(const Program* it, size_t place) {
  return it->inputs[it->input_places[place]].bytes;
}

static void run(Program* it, const void* const* inputs) {
  Handle given[MOST_TENSORS], got[MOST_TENSORS];
  for (size_t place = 0; place < it->input_count; place++) {
    End* end = &it->inputs[it->input_places[place]];
    void* memory;
    lrt_check(lrt.LockTensorBuffer(end->buffer, &memory, TO_WRITE), "write an input");
    memcpy(memory, inputs[place], end->bytes);
    lrt_check(lrt.UnlockTensorBuffer(end->buffer), "write an input");
  }
  for (size_t place = 0; place < it->input_count; place++) given[place] = it->inputs[place].buffer;
  for (size_t place = 0; place < it->output_count; place++) got[place] = it->outputs[place].buffer;
  lrt_check(lrt.RunCompiledModel(it->compiled, it->signature, it->input_count, given,
                                 it->output_count, got),
            "run the program");
  it->runs++;
}

static Answer answer(const Program* it, size_t place) {
  const End* end = &it->outputs[it->output_places[place]];
  size_t bytes;
  void* memory;
  Answer found = {.type = lrt_type_name(end->type.element, &bytes), .rank = end->type.layout.rank};
  for (size_t axis = 0; axis < found.rank; axis++)
    found.shape[axis] = end->type.layout.dimensions[axis];
  lrt_check(lrt.LockTensorBuffer(end->buffer, &memory, TO_READ), "read an output");
  memcpy(end->copy, memory, end->bytes);
  lrt_check(lrt.UnlockTensorBuffer(end->buffer), "read an output");
  found.bytes = end->bytes;
  found.data = end->copy;
  return found;
}

/* Events are written one behind the other. Where those of another version are longer or shorter,
 * that shows in the room behind them. */
static Event* read_events(Handle profiler, size_t* count) {
  enum { UNTOUCHED = 0xAB };
  int found;
  lrt_check(lrt.GetNumProfilerEvents(profiler, &found), "count what ran");
  *count = (size_t)found;
  unsigned char* room = allocate(*count + 1, 2 * sizeof(Event));
  memset(room, UNTOUCHED, (*count + 1) * 2 * sizeof(Event));
  lrt_check(lrt.GetProfilerEvents(profiler, found, (Event*)room), "tell what ran");
  const unsigned char* end = room + *count * sizeof(Event);
  if (*count && (*end != UNTOUCHED || end[-8] == UNTOUCHED))
    fail("this LiteRT's profiler is of another version than the runner's");
  return (Event*)room;
}

/* {"runs", "operators": [{"name", "delegated", "us"}, ...]}: each operator each time that it ran,
 * in that order. A delegate names those that it made of the file's; what it left to LiteRT keeps
 * its type in the file. */
static void write_profile(Program* it, const Order* order) {
  size_t count;
  Event* events = read_events(profiler_of(it), &count);
  FILE* file = open_file(order->profile, "w");
  const char* between = "";
  fprintf(file, "{\"runs\": %zu, \"operators\": [", it->runs);
  for (const Event* event = events; event < events + count; event++) {
    if (event->type != OPERATOR && event->type != DELEGATES_OPERATOR) continue;
    fprintf(file, "%s\n{\"name\": ", between);
    json_text(file, event->tag);
    fprintf(file, ", \"delegated\": %s, \"us\": %llu}", event->type == OPERATOR ? "false" : "true",
            (unsigned long long)event->elapsed_us);
    between = ",";
  }
  fputs("\n]}\n", file);
  close_file(file, order->profile);
  free(events);
}

static void release(Program* it) {
  for (size_t place = 0; place < it->input_count; place++)
    lrt.DestroyTensorBuffer(it->inputs[place].buffer);
  for (size_t place = 0; place < it->output_count; place++) {
    lrt.DestroyTensorBuffer(it->outputs[place].buffer);
    free(it->outputs[place].copy);
  }
  lrt.DestroyCompiledModel(it->compiled);
  lrt.DestroyModel(it->model);
  free(it);
}

const Runtime litert = {"litert", lrt_open, load, input_bytes, run, answer, write_profile, release};
