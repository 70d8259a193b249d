/* A recognizer's two programs in LiteRT, through the C API of its shared library (litert/c/ in its
 * repository, declared after LiteRT 2.3): compiled models on the CPU. What `encode` gives is what a
 * step reads, and the caches are two buffers each, which change places after a step: nothing is
 * copied but the logits. */
#define _GNU_SOURCE
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
enum { ON_CPU = 1, TO_READ = 0, TO_WRITE = 1, FLOAT = 1, INT32 = 2 };

/* The functions that are called, LiteRt before each name: result, name, arguments. */
#define FUNCTIONS(X)                                                                      \
  X(Status, CreateEnvironment, (int, const Option*, Handle*))                             \
  X(void, DestroyEnvironment, (Handle))                                                   \
  X(Status, CreateModelFromFile, (Handle, const char*, Handle*))                          \
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

/* The inputs or the outputs of a program: where in its signature those of the bundle's order are,
 * their kinds, and the buffers in the signature's order. */
typedef struct {
  size_t count, places[MOST_TENSORS];
  TensorType types[MOST_TENSORS]; /* in the bundle's order */
  Handle buffers[MOST_TENSORS];
} Side;

typedef struct {
  Handle model, compiled;
  size_t signature;
  Side inputs, outputs;
} Program;

struct Engine {
  Api api;
  const Rules* rules;
  Handle environment;
  Program encode, step;
  float* logits;
  size_t buffer_count;
  Handle buffers[4 * MOST_TENSORS]; /* all of them, each once */
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

static edr_code compile(const Engine* it, Program* program, int threads, edr_message* why) {
  Handle options;
  CHECK(it->api.CreateOptions(&options), "take options");
  edr_code code = set_options(it, options, threads, why);
  if (!code) {
    Status status =
        it->api.CreateCompiledModel(it->environment, program->model, options, &program->compiled);
    code = check(status, "load a file", why) ? EDR_DAMAGED : EDR_OK;
  }
  it->api.DestroyOptions(options);
  return code;
}

/* The signature of that name, or the only one. */
static edr_code find_signature(const Engine* it, Program* program, const char* name,
                               Handle* signature, edr_message* why) {
  size_t count;
  const char* key;
  CHECK(it->api.GetNumModelSignatures(program->model, &count), "count signatures");
  for (size_t place = 0; place < count; place++) {
    CHECK(it->api.GetModelSignature(program->model, place, signature), "read a signature");
    CHECK(it->api.GetSignatureKey(*signature, &key), "read a signature");
    program->signature = place;
    if (count == 1 || strcmp(key, name) == 0) return EDR_OK;
  }
  return edr_say(why, EDR_DAMAGED, "the file has no program `%s`", name);
}

/* What differs between inputs and outputs. */
typedef struct {
  Status (*count)(Handle, size_t*);
  Status (*name)(Handle, size_t, const char**);
  Status (*tensor)(Handle, size_t, Handle*);
  Status (*of_graph)(Handle, size_t, Handle*);
} Asking;

/* Where an end of the bundle's is in the signature. A file's own words may call it otherwise than
 * its signature does; then it is that of the graph, in its order. */
static edr_code find_end(Handle signature, Handle graph, const Asking* ask, const Ends* ends,
                         size_t at, bool by_name, size_t* place, edr_message* why) {
  Handle tensor, wanted = NULL;
  const char* name;
  if (!by_name) CHECK(ask->of_graph(graph, at, &wanted), "find a graph's ends");
  for (*place = 0; *place < ends->count; (*place)++) {
    CHECK(ask->name(signature, *place, &name), "name a tensor");
    CHECK(ask->tensor(signature, *place, &tensor), "find a tensor");
    if (by_name ? strcmp(name, ends->names[at]) == 0 : tensor == wanted) return EDR_OK;
  }
  return edr_say(why, EDR_DAMAGED, "the file has no `%s`", ends->names[at]);
}

static edr_code match(Handle signature, Handle graph, const Asking* ask, const Ends* ends,
                      const Api* api, Side* side, edr_message* why) {
  Handle tensor;
  CHECK(ask->count(signature, &side->count), "count tensors");
  if (side->count != ends->count)
    return edr_say(why, EDR_DAMAGED, "a file has %zu inputs or outputs where the bundle says %zu",
                   side->count, ends->count);
  bool by_name = true;
  for (size_t at = 0; at < ends->count; at++)
    by_name &= !find_end(signature, graph, ask, ends, at, true, &side->places[at], NULL);
  for (size_t at = 0; at < ends->count; at++) {
    TRY(find_end(signature, graph, ask, ends, at, by_name, &side->places[at], why));
    CHECK(ask->tensor(signature, side->places[at], &tensor), "find a tensor");
    CHECK(api->GetRankedTensorType(tensor, &side->types[at]), "tell a tensor's type");
  }
  return EDR_OK;
}

static edr_code open_program(Engine* it, Program* program, const char* folder, const char* file,
                             const char* name, const Ends* takes, const Ends* gives, int threads,
                             edr_message* why) {
  const Api* api = &it->api;
  const Asking of_inputs = {api->GetNumSignatureInputs, api->GetSignatureInputName,
                            api->GetSignatureInputTensorByIndex, api->GetSubgraphInput};
  const Asking of_outputs = {api->GetNumSignatureOutputs, api->GetSignatureOutputName,
                             api->GetSignatureOutputTensorByIndex, api->GetSubgraphOutput};
  Handle signature, graph;
  char* path;
  TRY(edr_path(folder, file, &path, why));
  Status status = api->CreateModelFromFile(it->environment, path, &program->model);
  free(path);
  if (check(status, "load a file", why)) return EDR_DAMAGED;
  TRY(find_signature(it, program, name, &signature, why));
  CHECK(api->GetSignatureSubgraph(signature, &graph), "find a signature's graph");
  TRY(compile(it, program, threads, why));
  TRY(match(signature, graph, &of_inputs, takes, api, &program->inputs, why));
  return match(signature, graph, &of_outputs, gives, api, &program->outputs, why);
}

/* Of a type that the decoder feeds or keeps. */
static edr_code bytes_of(const TensorType* type, size_t* bytes, edr_message* why) {
  *bytes = type->element == FLOAT || type->element == INT32 ? 4 : 0;
  if (type->element == 10 || type->element == 7) *bytes = 2; /* float16, int16 */
  if (type->element == 3 || type->element == 9) *bytes = 1;  /* uint8, int8 */
  for (unsigned axis = 0; axis < type->layout.rank; axis++) {
    int32_t size = type->layout.dimensions[axis];
    if (size < 1 || size > 1 << 27 || *bytes > 1 << 30) *bytes = 0;
    *bytes *= (size_t)size;
  }
  return *bytes ? EDR_OK : edr_say(why, EDR_DAMAGED, "a tensor is of no fixed and known kind");
}

static bool same_type(const TensorType* one, const TensorType* other) {
  size_t axes = one->layout.rank;
  return one->element == other->element && axes == other->layout.rank &&
         memcmp(one->layout.dimensions, other->layout.dimensions, axes * sizeof(int32_t)) == 0;
}

typedef Status (*Needs)(Handle, size_t, size_t, Handle*);

/* A buffer as that program needs it for that input or output. */
static edr_code make_buffer(Engine* it, const Program* program, Needs needs, const Side* side,
                            size_t at, Handle* buffer, edr_message* why) {
  Handle requirements;
  size_t wanted, bytes;
  TRY(bytes_of(&side->types[at], &wanted, why));
  CHECK(needs(program->compiled, program->signature, side->places[at], &requirements),
        "tell what buffer it needs");
  CHECK(it->api.CreateManagedTensorBufferFromRequirements(it->environment, &side->types[at],
                                                          requirements, buffer),
        "make a buffer");
  it->buffers[it->buffer_count++] = *buffer;
  CHECK(it->api.GetTensorBufferPackedSize(*buffer, &bytes), "measure a buffer");
  return bytes >= wanted ? EDR_OK : edr_say(why, EDR_RUNTIME, "LiteRT made too small a buffer");
}

static edr_code make_buffers(Engine* it, Program* program, Side* side, Needs needs,
                             edr_message* why) {
  for (size_t at = 0; at < side->count; at++)
    TRY(make_buffer(it, program, needs, side, at, &side->buffers[side->places[at]], why));
  return EDR_OK;
}

/* The buffer of a step's input: what `encode` gives is read where it lies. */
static edr_code take_input(Engine* it, size_t at, edr_message* why) {
  const Pair* pair = &it->rules->pair;
  Side *inputs = &it->step.inputs, *heard = &it->encode.outputs, *gives = &it->step.outputs;
  Handle* buffer = &inputs->buffers[inputs->places[at]];
  const TensorType *type = &inputs->types[at], *from = type;
  size_t bytes;
  if (pair->from[at] == OF_HEARD) from = &heard->types[pair->place[at]];
  if (pair->from[at] == OF_STATE) from = &gives->types[pair->place[at]];
  if (!same_type(type, from))
    return edr_say(why, EDR_DAMAGED, "`%s` is not what it is fed", pair->takes.names[at]);
  if (pair->from[at] == OF_HEARD) {
    *buffer = heard->buffers[heard->places[pair->place[at]]];
    return EDR_OK;
  }
  TRY(bytes_of(type, &bytes, why));
  if (pair->from[at] != OF_STATE && (type->element != INT32 || bytes != sizeof(int32_t)))
    return edr_say(why, EDR_DAMAGED, "`%s` is no number of 32 bits", pair->takes.names[at]);
  return make_buffer(it, &it->step, it->api.GetCompiledModelInputBufferRequirements, inputs, at,
                     buffer, why);
}

static edr_code check_float(const Side* side, size_t at, size_t count, const char* what,
                            edr_message* why) {
  size_t bytes;
  TRY(bytes_of(&side->types[at], &bytes, why));
  if (side->types[at].element == FLOAT && bytes == count * sizeof(float)) return EDR_OK;
  return edr_say(why, EDR_DAMAGED, "`%s` are not %zu of float32", what, count);
}

/* Whether each has a buffer, which those that are named twice keep from others. */
static edr_code check_all(const Side* side, edr_message* why) {
  for (size_t at = 0; at < side->count; at++)
    if (!side->buffers[at]) return edr_say(why, EDR_DAMAGED, "an input or output is named twice");
  return EDR_OK;
}

static edr_code fill(Engine* it, const char* folder, const char* library, int threads,
                     edr_message* why) {
  static const Ends samples = {1, {"samples"}};
  const Pair* pair = &it->rules->pair;
  const Api* api = &it->api;
  TRY(open_library(it, library, why));
  TRY(open_program(it, &it->encode, folder, pair->encode, "encode", &samples, &pair->heard,
                   threads, why));
  TRY(open_program(it, &it->step, folder, pair->step, "decode_step", &pair->takes, &pair->gives,
                   threads, why));
  TRY(check_float(&it->encode.inputs, 0, it->rules->window, "samples", why));
  TRY(check_float(&it->step.outputs, pair->logits, it->rules->token_count, "logits", why));
  TRY(edr_allocate(&it->logits, it->rules->token_count, sizeof *it->logits, why));
  const Needs in = api->GetCompiledModelInputBufferRequirements;
  const Needs out = api->GetCompiledModelOutputBufferRequirements;
  TRY(make_buffers(it, &it->encode, &it->encode.inputs, in, why));
  TRY(make_buffers(it, &it->encode, &it->encode.outputs, out, why));
  TRY(make_buffers(it, &it->step, &it->step.outputs, out, why));
  for (size_t at = 0; at < pair->takes.count; at++) TRY(take_input(it, at, why));
  TRY(check_all(&it->encode.outputs, why));
  TRY(check_all(&it->step.inputs, why));
  return check_all(&it->step.outputs, why);
}

static void close_program(const Engine* it, Program* program) {
  if (program->compiled) it->api.DestroyCompiledModel(program->compiled);
  if (program->model) it->api.DestroyModel(program->model);
}

static void close_engine(Engine* it) {
  for (size_t at = 0; at < it->buffer_count; at++) it->api.DestroyTensorBuffer(it->buffers[at]);
  close_program(it, &it->encode);
  close_program(it, &it->step);
  if (it->environment) it->api.DestroyEnvironment(it->environment);
  free(it->logits);
  free(it);
}

static edr_code open_engine(const Rules* rules, const char* folder, const char* library,
                            int threads, Engine** engine, edr_message* why) {
  TRY(edr_allocate(engine, 1, sizeof **engine, why));
  (*engine)->rules = rules;
  return fill(*engine, folder, library, threads, why);
}

/* `bytes` from `values` into a buffer; zeros where there are none. */
static edr_code put(const Engine* it, Handle buffer, const void* values, size_t bytes,
                    edr_message* why) {
  void* memory;
  CHECK(it->api.LockTensorBuffer(buffer, &memory, TO_WRITE), "write an input");
  if (values) memcpy(memory, values, bytes);
  else memset(memory, 0, bytes);
  CHECK(it->api.UnlockTensorBuffer(buffer), "write an input");
  return EDR_OK;
}

static edr_code run(const Engine* it, Program* program, const char* what, edr_message* why) {
  CHECK(it->api.RunCompiledModel(program->compiled, program->signature, program->inputs.count,
                                 program->inputs.buffers, program->outputs.count,
                                 program->outputs.buffers),
        what);
  return EDR_OK;
}

static edr_code hear(Engine* it, const float* samples, edr_message* why) {
  const Pair* pair = &it->rules->pair;
  const Side* inputs = &it->step.inputs;
  size_t bytes;
  for (size_t at = 0; at < pair->takes.count; at++) {
    if (pair->from[at] != OF_STATE) continue;
    TRY(bytes_of(&inputs->types[at], &bytes, why));
    TRY(put(it, inputs->buffers[inputs->places[at]], NULL, bytes, why));
  }
  TRY(put(it, it->encode.inputs.buffers[0], samples, it->rules->window * sizeof *samples, why));
  return run(it, &it->encode, "run `encode`", why);
}

/* What a step gave is what the next one takes. */
static void feed_back(Engine* it) {
  const Pair* pair = &it->rules->pair;
  Side *inputs = &it->step.inputs, *outputs = &it->step.outputs;
  for (size_t at = 0; at < pair->takes.count; at++) {
    if (pair->from[at] != OF_STATE) continue;
    Handle* taken = &inputs->buffers[inputs->places[at]];
    Handle* given = &outputs->buffers[outputs->places[pair->place[at]]];
    Handle before = *taken;
    *taken = *given;
    *given = before;
  }
}

static edr_code step(Engine* it, int32_t token, int32_t position, float** logits,
                     edr_message* why) {
  const Pair* pair = &it->rules->pair;
  const Side *inputs = &it->step.inputs, *outputs = &it->step.outputs;
  void* memory;
  for (size_t at = 0; at < pair->takes.count; at++) {
    const int32_t* number = pair->from[at] == OF_TOKEN ? &token : &position;
    if (pair->from[at] <= OF_POSITION)
      TRY(put(it, inputs->buffers[inputs->places[at]], number, sizeof *number, why));
  }
  TRY(run(it, &it->step, "run `decode_step`", why));
  Handle buffer = outputs->buffers[outputs->places[pair->logits]];
  CHECK(it->api.LockTensorBuffer(buffer, &memory, TO_READ), "read the logits");
  memcpy(it->logits, memory, it->rules->token_count * sizeof *it->logits);
  CHECK(it->api.UnlockTensorBuffer(buffer), "read the logits");
  *logits = it->logits;
  feed_back(it);
  return EDR_OK;
}

const Runtime edr_litert = {"litert", "libLiteRt.so", open_engine, hear, step, close_engine};
