/* Programs in LiteRT, through the C API of its shared library (litert/c/ in its repository, declared
 * after LiteRT 2.3): compiled models on the CPU. What one program gives another reads where it lies,
 * and a state is two buffers, which change places before the next run: nothing is copied but what
 * the caller feeds and reads. */
#define _GNU_SOURCE
#include "runtime.h"

#include "parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int Status;
typedef struct Handle* Handle;

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
enum { ON_CPU = 1, TO_READ = 0, TO_WRITE = 1 };

/* The functions that are called, LiteRt before each name: result, name, arguments. */
#define FUNCTIONS(X)                                                                      \
  X(Status, CreateEnvironment, (int, const Option*, Handle*))                             \
  X(void, DestroyEnvironment, (Handle))                                                   \
  X(Status, CreateModelFromFile, (Handle, const char*, Handle*))                          \
  X(Status, CreateModelFromBuffer, (Handle, const void*, size_t, Handle*))                \
  X(void, DestroyModel, (Handle))                                                         \
  X(Status, GetNumModelSignatures, (Handle, size_t*))                                     \
  X(Status, GetModelSignature, (Handle, size_t, Handle*))                                 \
  X(Status, GetSignatureKey, (Handle, const char**))                                      \
  X(Status, GetSignatureSubgraph, (Handle, Handle*))                                      \
  X(Status, GetNumSignatureInputs, (Handle, size_t*))                                     \
  X(Status, GetNumSignatureOutputs, (Handle, size_t*))                                    \
  X(Status, GetSignatureInputName, (Handle, size_t, const char**))                        \
  X(Status, GetSignatureOutputName, (Handle, size_t, const char**))                       \
  X(Status, GetSignatureInputTensorByIndex, (Handle, size_t, Handle*))                    \
  X(Status, GetSignatureOutputTensorByIndex, (Handle, size_t, Handle*))                   \
  X(Status, GetSubgraphInput, (Handle, size_t, Handle*))                                  \
  X(Status, GetSubgraphOutput, (Handle, size_t, Handle*))                                 \
  X(Status, GetRankedTensorType, (Handle, TensorType*))                                   \
  X(Status, CreateOptions, (Handle*))                                                     \
  X(void, DestroyOptions, (Handle))                                                       \
  X(Status, SetOptionsHardwareAccelerators, (Handle, int))                                \
  X(Status, CreateOpaqueOptions, (const char*, void*, void (*)(void*), Handle*))          \
  X(Status, AddOpaqueOptions, (Handle, Handle))                                           \
  X(Status, CreateCompiledModel, (Handle, Handle, Handle, Handle*))                       \
  X(void, DestroyCompiledModel, (Handle))                                                 \
  X(Status, GetCompiledModelInputBufferRequirements, (Handle, size_t, size_t, Handle*))   \
  X(Status, GetCompiledModelOutputBufferRequirements, (Handle, size_t, size_t, Handle*))  \
  X(Status, CreateManagedTensorBufferFromRequirements,                                    \
    (Handle, const TensorType*, Handle, Handle*))                                         \
  X(void, DestroyTensorBuffer, (Handle))                                                  \
  X(Status, GetTensorBufferPackedSize, (Handle, size_t*))                                 \
  X(Status, LockTensorBuffer, (Handle, void**, int))                                      \
  X(Status, UnlockTensorBuffer, (Handle))                                                 \
  X(Status, RunCompiledModel, (Handle, size_t, size_t, Handle*, size_t, Handle*))

#define FIELD(result, name, arguments) result(*name) arguments;
typedef struct {
  FUNCTIONS(FIELD)
} Api;

/* The inputs or the outputs of a program: where in its signature those of the plan's order are,
 * their kinds, and the buffers in the signature's order. */
typedef struct {
  size_t count, places[MOST_TENSORS];
  TensorType types[MOST_TENSORS]; /* in the plan's order, as the next */
  Kind kinds[MOST_TENSORS];
  Handle buffers[MOST_TENSORS];
} Side;

struct Engine {
  Api api;
  Handle environment;
  int threads;
};

struct Program {
  const Engine* engine;
  const Plan* plan;
  Handle model, compiled;
  size_t signature;
  Side inputs, outputs;
  bool begun; /* whether its states are those of the beginning */
  void* copies[MOST_TENSORS]; /* of outputs that were read */
  size_t buffer_count;
  Handle buffers[2 * MOST_TENSORS]; /* all of its own, each once */
};

static const char* in_words(Status status) {
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

static edr_code check(Status status, const char* what, edr_message* why) {
  if (!status) return EDR_OK;
  return edr_say(why, EDR_RUNTIME, "LiteRT cannot %s (status %d: %s)", what, status,
                 in_words(status));
}
#define CHECK(status, what) TRY(check(status, what, why))

static edr_code open_library(Engine* it, const char* path, edr_message* why) {
  const Option options[] = {{AUTO_REGISTER_ACCELERATORS, {INTEGER, ON_CPU}},
                            {MIN_LOGGER_SEVERITY, {INTEGER, ERRORS}}};
  void* library;
  TRY(edr_library(path, &library, why));
#define FIND(result, name, arguments) TRY(edr_symbol(library, "LiteRt" #name, &it->api.name, why));
  FUNCTIONS(FIND)
  CHECK(it->api.CreateEnvironment(2, options, &it->environment), "start");
  return EDR_OK;
}

static edr_code set_options(const Engine* it, Handle options, int threads, edr_message* why) {
  Handle opaque;
  char* toml;
  CHECK(it->api.SetOptionsHardwareAccelerators(options, ON_CPU), "take options");
  TRY(edr_allocate(&toml, 64, 1, why));
  snprintf(toml, 64, "num_threads = %d\n", threads);
  Status status = it->api.CreateOpaqueOptions("xnnpack", toml, free, &opaque);
  if (status) free(toml);
  CHECK(status, "take options");
  CHECK(it->api.AddOpaqueOptions(options, opaque), "take options");
  return EDR_OK;
}

static edr_code compile(Program* it, edr_message* why) {
  const Api* api = &it->engine->api;
  Handle options;
  CHECK(api->CreateOptions(&options), "take options");
  edr_code code = set_options(it->engine, options, it->engine->threads, why);
  if (!code) {
    Status status =
        api->CreateCompiledModel(it->engine->environment, it->model, options, &it->compiled);
    code = check(status, "load a file", why) ? EDR_DAMAGED : EDR_OK;
  }
  api->DestroyOptions(options);
  return code;
}

/* The signature of the plan's name, or the only one. */
static edr_code find_signature(Program* it, Handle* signature, edr_message* why) {
  const Api* api = &it->engine->api;
  size_t count;
  const char* key;
  CHECK(api->GetNumModelSignatures(it->model, &count), "count signatures");
  for (size_t place = 0; place < count; place++) {
    CHECK(api->GetModelSignature(it->model, place, signature), "read a signature");
    CHECK(api->GetSignatureKey(*signature, &key), "read a signature");
    it->signature = place;
    if (count == 1 || strcmp(key, it->plan->name) == 0) return EDR_OK;
  }
  return edr_say(why, EDR_DAMAGED, "the file has no program `%s`", it->plan->name);
}

/* What differs between inputs and outputs. */
typedef struct {
  Status (*count)(Handle, size_t*);
  Status (*name)(Handle, size_t, const char**);
  Status (*tensor)(Handle, size_t, Handle*);
  Status (*of_graph)(Handle, size_t, Handle*);
  Status (*needs)(Handle, size_t, size_t, Handle*);
} Asking;

static Asking of_inputs(const Api* api) {
  return (Asking){api->GetNumSignatureInputs, api->GetSignatureInputName,
                  api->GetSignatureInputTensorByIndex, api->GetSubgraphInput,
                  api->GetCompiledModelInputBufferRequirements};
}

static Asking of_outputs(const Api* api) {
  return (Asking){api->GetNumSignatureOutputs, api->GetSignatureOutputName,
                  api->GetSignatureOutputTensorByIndex, api->GetSubgraphOutput,
                  api->GetCompiledModelOutputBufferRequirements};
}

/* Where an end of the plan's is in the signature. A file's own words may call it otherwise than its
 * signature does; then it is that of the graph, in its order. */
static edr_code find_end(Handle signature, Handle graph, const Asking* ask, size_t count,
                         const char* wanted, size_t at, bool by_name, size_t* place,
                         edr_message* why) {
  Handle tensor, of_graph = NULL;
  const char* name;
  if (!by_name) CHECK(ask->of_graph(graph, at, &of_graph), "find a graph's ends");
  for (*place = 0; *place < count; (*place)++) {
    CHECK(ask->name(signature, *place, &name), "name a tensor");
    CHECK(ask->tensor(signature, *place, &tensor), "find a tensor");
    if (by_name ? strcmp(name, wanted) == 0 : tensor == of_graph) return EDR_OK;
  }
  return edr_say(why, EDR_DAMAGED, "the file has no `%s`", wanted);
}

static edr_dtype dtype_of(int element) {
  switch (element) {
    case 1: return EDR_FLOAT32;
    case 2: return EDR_INT32;
    case 3: return EDR_UINT8;
    case 4: return EDR_INT64;
    case 7: return EDR_INT16;
    case 9: return EDR_INT8;
    case 10: return EDR_FLOAT16;
    default: return (edr_dtype)0;
  }
}

/* Of a type that is fed or kept. */
static edr_code read_kind(const TensorType* type, Kind* kind, edr_message* why) {
  *kind = (Kind){dtype_of(type->element), edr_bytes_of(dtype_of(type->element))};
  for (unsigned axis = 0; axis < type->layout.rank; axis++) {
    int32_t size = type->layout.dimensions[axis];
    if (size < 1 || size > 1 << 27 || kind->bytes > 1 << 30) kind->bytes = 0;
    kind->bytes *= (size_t)size;
  }
  return kind->bytes ? EDR_OK
                     : edr_say(why, EDR_DAMAGED, "a tensor is of no fixed and known kind");
}

static edr_code match(const Api* api, Handle signature, Handle graph, const Asking* ask,
                      const char* const* names, Side* side, edr_message* why) {
  Handle tensor;
  size_t count;
  CHECK(ask->count(signature, &count), "count tensors");
  if (count != side->count)
    return edr_say(why, EDR_DAMAGED, "a file has %zu inputs or outputs where the bundle says %zu",
                   count, side->count);
  bool by_name = true;
  for (size_t at = 0; at < count; at++)
    by_name &= !find_end(signature, graph, ask, count, names[at], at, true, &side->places[at], NULL);
  for (size_t at = 0; at < count; at++) {
    TRY(find_end(signature, graph, ask, count, names[at], at, by_name, &side->places[at], why));
    CHECK(ask->tensor(signature, side->places[at], &tensor), "find a tensor");
    CHECK(api->GetRankedTensorType(tensor, &side->types[at]), "tell a tensor's type");
    TRY(read_kind(&side->types[at], &side->kinds[at], why));
  }
  return EDR_OK;
}

static edr_code open_model(Program* it, edr_message* why) {
  const Api* api = &it->engine->api;
  const Plan* plan = it->plan;
  Status status =
      plan->content
          ? api->CreateModelFromBuffer(it->engine->environment, plan->content, plan->bytes,
                                       &it->model)
          : api->CreateModelFromFile(it->engine->environment, plan->path, &it->model);
  return check(status, "load a file", why) ? EDR_DAMAGED : EDR_OK;
}

static bool same_type(const TensorType* one, const TensorType* other) {
  size_t axes = one->layout.rank;
  return one->element == other->element && axes == other->layout.rank &&
         memcmp(one->layout.dimensions, other->layout.dimensions, axes * sizeof(int32_t)) == 0;
}

/* A buffer as the program needs it for that input or output. */
static edr_code make_buffer(Program* it, const Asking* ask, Side* side, size_t at,
                            edr_message* why) {
  const Api* api = &it->engine->api;
  Handle requirements, *buffer = &side->buffers[side->places[at]];
  size_t bytes;
  CHECK(ask->needs(it->compiled, it->signature, side->places[at], &requirements),
        "tell what buffer it needs");
  CHECK(api->CreateManagedTensorBufferFromRequirements(it->engine->environment, &side->types[at],
                                                       requirements, buffer),
        "make a buffer");
  it->buffers[it->buffer_count++] = *buffer;
  CHECK(api->GetTensorBufferPackedSize(*buffer, &bytes), "measure a buffer");
  return bytes >= side->kinds[at].bytes
             ? EDR_OK
             : edr_say(why, EDR_RUNTIME, "LiteRT made too small a buffer");
}

/* The buffer of an input: what another program gives is read where it lies. */
static edr_code take_input(Program* it, const Asking* ask, size_t at, edr_message* why) {
  const Input* input = &it->plan->inputs[at];
  const Side* from = input->from == OF_OTHER ? &it->plan->other->outputs : &it->outputs;
  if (input->from != FED && !same_type(&it->inputs.types[at], &from->types[input->place]))
    return edr_say(why, EDR_DAMAGED, "`%s` is not what it is fed", input->name);
  if (input->from != OF_OTHER) return make_buffer(it, ask, &it->inputs, at, why);
  it->inputs.buffers[it->inputs.places[at]] = from->buffers[from->places[input->place]];
  return EDR_OK;
}

/* Whether each has a buffer, which those that are named twice keep from others. */
static edr_code check_all(const Side* side, edr_message* why) {
  for (size_t at = 0; at < side->count; at++)
    if (!side->buffers[at]) return edr_say(why, EDR_DAMAGED, "an input or output is named twice");
  return EDR_OK;
}

static edr_code fill(Program* it, edr_message* why) {
  const Api* api = &it->engine->api;
  const Asking in = of_inputs(api), out = of_outputs(api);
  const char* names[MOST_TENSORS];
  Handle signature, graph;
  TRY(open_model(it, why));
  TRY(find_signature(it, &signature, why));
  CHECK(api->GetSignatureSubgraph(signature, &graph), "find a signature's graph");
  TRY(compile(it, why));
  for (size_t at = 0; at < it->inputs.count; at++) names[at] = it->plan->inputs[at].name;
  TRY(match(api, signature, graph, &in, names, &it->inputs, why));
  TRY(match(api, signature, graph, &out, it->plan->outputs, &it->outputs, why));
  for (size_t at = 0; at < it->outputs.count; at++)
    TRY(make_buffer(it, &out, &it->outputs, at, why));
  for (size_t at = 0; at < it->inputs.count; at++) TRY(take_input(it, &in, at, why));
  TRY(check_all(&it->inputs, why));
  return check_all(&it->outputs, why);
}

static void unload(Program* it) {
  const Api* api = &it->engine->api;
  for (size_t at = 0; at < it->buffer_count; at++) api->DestroyTensorBuffer(it->buffers[at]);
  for (size_t at = 0; at < it->outputs.count; at++) free(it->copies[at]);
  if (it->compiled) api->DestroyCompiledModel(it->compiled);
  if (it->model) api->DestroyModel(it->model);
  free(it);
}

static edr_code load(Engine* engine, const Plan* plan, Program** program, edr_message* why) {
  Program* it;
  TRY(edr_allocate(&it, 1, sizeof *it, why));
  it->engine = engine;
  it->plan = plan;
  it->begun = true;
  it->inputs.count = plan->input_count;
  it->outputs.count = plan->output_count;
  edr_code code = fill(it, why);
  if (code) unload(it);
  else *program = it;
  return code;
}

static void close_engine(Engine* it) {
  if (it->environment) it->api.DestroyEnvironment(it->environment);
  free(it);
}

static edr_code open_engine(const char* library, int threads, Engine** engine, edr_message* why) {
  TRY(edr_allocate(engine, 1, sizeof **engine, why));
  (*engine)->threads = threads;
  return open_library(*engine, library, why);
}

static const Kind* inputs_of(const Program* it) { return it->inputs.kinds; }

static const Kind* outputs_of(const Program* it) { return it->outputs.kinds; }

static Handle* input_buffer(Program* it, size_t at) {
  return &it->inputs.buffers[it->inputs.places[at]];
}

static edr_code begin(Program* it, edr_message* why) {
  const Api* api = &it->engine->api;
  void* memory;
  for (size_t at = 0; at < it->inputs.count; at++) {
    if (it->plan->inputs[at].from != OF_STATE) continue;
    CHECK(api->LockTensorBuffer(*input_buffer(it, at), &memory, TO_WRITE), "write a state");
    edr_fill_zeros(memory, it->inputs.kinds[at], it->plan->inputs[at].zero);
    CHECK(api->UnlockTensorBuffer(*input_buffer(it, at)), "write a state");
  }
  it->begun = true;
  return EDR_OK;
}

static edr_code feed(Program* it, size_t at, const void* values, edr_message* why) {
  const Api* api = &it->engine->api;
  void* memory;
  CHECK(api->LockTensorBuffer(*input_buffer(it, at), &memory, TO_WRITE), "write an input");
  memcpy(memory, values, it->inputs.kinds[at].bytes);
  CHECK(api->UnlockTensorBuffer(*input_buffer(it, at)), "write an input");
  return EDR_OK;
}

/* What the run before gave is what this one takes. */
static void feed_back(Program* it) {
  for (size_t at = 0; at < it->inputs.count; at++) {
    const Input* input = &it->plan->inputs[at];
    if (input->from != OF_STATE) continue;
    Handle* given = &it->outputs.buffers[it->outputs.places[input->place]];
    Handle* taken = input_buffer(it, at);
    Handle before = *taken;
    *taken = *given;
    *given = before;
  }
}

static edr_code run(Program* it, edr_message* why) {
  if (!it->begun) feed_back(it);
  it->begun = false;
  Status status = it->engine->api.RunCompiledModel(it->compiled, it->signature, it->inputs.count,
                                                   it->inputs.buffers, it->outputs.count,
                                                   it->outputs.buffers);
  if (!status) return EDR_OK;
  return edr_say(why, EDR_RUNTIME, "LiteRT cannot run `%s` (status %d: %s)", it->plan->name, status,
                 in_words(status));
}

static edr_code read_output(Program* it, size_t at, void** values, edr_message* why) {
  const Api* api = &it->engine->api;
  Handle buffer = it->outputs.buffers[it->outputs.places[at]];
  size_t bytes = it->outputs.kinds[at].bytes;
  void* memory;
  if (!it->copies[at]) TRY(edr_allocate(&it->copies[at], bytes, 1, why));
  CHECK(api->LockTensorBuffer(buffer, &memory, TO_READ), "read an output");
  memcpy(it->copies[at], memory, bytes);
  CHECK(api->UnlockTensorBuffer(buffer), "read an output");
  *values = it->copies[at];
  return EDR_OK;
}

const Runtime edr_litert = {
    "litert", "libLiteRt.so", open_engine, close_engine, load, unload,
    inputs_of, outputs_of, begin, feed, run, read_output,
};
