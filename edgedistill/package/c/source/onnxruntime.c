/* Programs in ONNX Runtime, through its C API (onnxruntime_c_api.h in its repository). What a program
 * gives another and its own next run stay the runtime's own values, and nothing of them is copied. */
#define _GNU_SOURCE
#include "runtime.h"

#include "parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct Status* Status; /* NULL where nothing failed */
typedef struct Handle* Handle;

enum {
  API_VERSION = 16, FATAL = 4, ENABLE_ALL = 99, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0,
};

/* OrtApi is a table of functions that only ever grows at its end; of those that are called: the
 * place, result, name and arguments. */
#define FUNCTIONS(X)                                                                        \
  X(2, const char*, GetErrorMessage, (Status))                                              \
  X(3, Status, CreateEnv, (int, const char*, Handle*))                                      \
  X(7, Status, CreateSession, (Handle, const char*, Handle, Handle*))                       \
  X(8, Status, CreateSessionFromArray, (Handle, const void*, size_t, Handle, Handle*))      \
  X(9, Status, Run,                                                                         \
    (Handle, Handle, const char* const*, const Handle*, size_t, const char* const*, size_t, \
     Handle*))                                                                              \
  X(10, Status, CreateSessionOptions, (Handle*))                                            \
  X(22, Status, SetSessionLogSeverityLevel, (Handle, int))                                  \
  X(23, Status, SetSessionGraphOptimizationLevel, (Handle, int))                            \
  X(24, Status, SetIntraOpNumThreads, (Handle, int))                                        \
  X(25, Status, SetInterOpNumThreads, (Handle, int))                                        \
  X(30, Status, SessionGetInputCount, (Handle, size_t*))                                    \
  X(31, Status, SessionGetOutputCount, (Handle, size_t*))                                   \
  X(33, Status, SessionGetInputTypeInfo, (Handle, size_t, Handle*))                         \
  X(34, Status, SessionGetOutputTypeInfo, (Handle, size_t, Handle*))                        \
  X(36, Status, SessionGetInputName, (Handle, size_t, Handle, char**))                      \
  X(37, Status, SessionGetOutputName, (Handle, size_t, Handle, char**))                     \
  X(49, Status, CreateTensorWithDataAsOrtValue,                                             \
    (Handle, void*, size_t, const int64_t*, size_t, int, Handle*))                          \
  X(51, Status, GetTensorMutableData, (Handle, void**))                                     \
  X(55, Status, CastTypeInfoToTensorInfo, (Handle, const Handle*))                          \
  X(60, Status, GetTensorElementType, (Handle, int*))                                       \
  X(61, Status, GetDimensionsCount, (Handle, size_t*))                                      \
  X(62, Status, GetDimensions, (Handle, int64_t*, size_t))                                  \
  X(69, Status, CreateCpuMemoryInfo, (int, int, Handle*))                                   \
  X(76, Status, AllocatorFree, (Handle, void*))                                             \
  X(78, Status, GetAllocatorWithDefaultOptions, (Handle*))                                  \
  X(92, void, ReleaseEnv, (Handle))                                                         \
  X(93, void, ReleaseStatus, (Status))                                                      \
  X(94, void, ReleaseMemoryInfo, (Handle))                                                  \
  X(95, void, ReleaseSession, (Handle))                                                     \
  X(96, void, ReleaseValue, (Handle))                                                       \
  X(98, void, ReleaseTypeInfo, (Handle))                                                    \
  X(100, void, ReleaseSessionOptions, (Handle))

#define FIELD(place, result, name, arguments) result(*name) arguments;
typedef struct {
  FUNCTIONS(FIELD)
} Api;

/* OrtApiBase */
typedef struct {
  void* const* (*get_api)(uint32_t version);
  const char* (*get_version)(void);
} Base;

struct Engine {
  Api api;
  Handle environment, memory, allocator;
  int threads;
};

/* What the runtime says of an input or output. */
typedef struct {
  int element;
  size_t rank;
  int64_t shape[MOST_AXES];
} Shape;

struct Program {
  const Engine* engine;
  const Plan* plan;
  Handle session;
  bool begun; /* whether its states are those of the beginning */
  const char* input_names[MOST_TENSORS];
  Kind inputs[MOST_TENSORS], outputs[MOST_TENSORS];
  void* own[MOST_TENSORS];    /* values of inputs: what is fed, or a state at the beginning */
  Handle fed[MOST_TENSORS];   /* over these values */
  Handle given[MOST_TENSORS]; /* what a run takes */
  Handle got[MOST_TENSORS];   /* what the last one gave */
};

/* EDR_OK, or why the runtime could not do that. */
static edr_code check(const Engine* engine, Status status, const char* what, edr_message* why) {
  if (!status) return EDR_OK;
  edr_say(why, EDR_RUNTIME, "ONNX Runtime cannot %s: %s", what, engine->api.GetErrorMessage(status));
  engine->api.ReleaseStatus(status);
  return EDR_RUNTIME;
}
#define CHECK(status, what) TRY(check(engine, status, what, why))

static edr_code open_library(Engine* engine, const char* path, edr_message* why) {
  void* library;
  const Base* (*get_base)(void);
  TRY(edr_library(path, &library, why));
  TRY(edr_symbol(library, "OrtGetApiBase", &get_base, why));
  void* const* table = get_base()->get_api(API_VERSION);
  if (!table)
    return edr_say(why, EDR_RUNTIME, "%s: is too old an ONNX Runtime (%s)", path,
                   get_base()->get_version());
#define FIND(place, result, name, arguments) memcpy(&engine->api.name, &table[place], sizeof *table);
  FUNCTIONS(FIND)
  CHECK(engine->api.CreateEnv(FATAL, "edgedistill", &engine->environment), "start");
  CHECK(engine->api.CreateCpuMemoryInfo(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &engine->memory), "start");
  CHECK(engine->api.GetAllocatorWithDefaultOptions(&engine->allocator), "start");
  return EDR_OK;
}

static edr_code set_options(const Engine* engine, Handle options, int threads, edr_message* why) {
  CHECK(engine->api.SetIntraOpNumThreads(options, threads), "take that many threads");
  CHECK(engine->api.SetInterOpNumThreads(options, 1), "take options");
  CHECK(engine->api.SetSessionLogSeverityLevel(options, FATAL), "take options");
  CHECK(engine->api.SetSessionGraphOptimizationLevel(options, ENABLE_ALL), "take options");
  return EDR_OK;
}

static edr_code open_session(Program* it, edr_message* why) {
  const Engine* engine = it->engine;
  const Api* api = &engine->api;
  const Plan* plan = it->plan;
  Handle options;
  CHECK(api->CreateSessionOptions(&options), "take options");
  edr_code code = set_options(engine, options, engine->threads, why);
  if (!code) {
    Status status = plan->content
                        ? api->CreateSessionFromArray(engine->environment, plan->content,
                                                      plan->bytes, options, &it->session)
                        : api->CreateSession(engine->environment, plan->path, options,
                                             &it->session);
    code = check(engine, status, "load a file", why) ? EDR_DAMAGED : EDR_OK;
  }
  api->ReleaseSessionOptions(options);
  return code;
}

static edr_dtype dtype_of(int element) {
  switch (element) {
    case 1: return EDR_FLOAT32;
    case 2: return EDR_UINT8;
    case 3: return EDR_INT8;
    case 5: return EDR_INT16;
    case 6: return EDR_INT32;
    case 7: return EDR_INT64;
    case 10: return EDR_FLOAT16;
    default: return (edr_dtype)0;
  }
}

/* Of one sample, where the first axis is of any size. */
static edr_code read_shape(const Engine* engine, Handle type, const char* name, Shape* shape,
                           Kind* kind, edr_message* why) {
  const Api* api = &engine->api;
  Handle info;
  CHECK(api->CastTypeInfoToTensorInfo(type, &info), "tell a tensor's type");
  if (!info) return edr_say(why, EDR_DAMAGED, "`%s` is no tensor", name);
  CHECK(api->GetTensorElementType(info, &shape->element), "tell a tensor's type");
  CHECK(api->GetDimensionsCount(info, &shape->rank), "tell a tensor's shape");
  if (shape->rank > MOST_AXES)
    return edr_say(why, EDR_DAMAGED, "`%s` has more than %d axes", name, MOST_AXES);
  CHECK(api->GetDimensions(info, shape->shape, shape->rank), "tell a tensor's shape");
  if (shape->rank && shape->shape[0] < 0) shape->shape[0] = 1;
  *kind = (Kind){dtype_of(shape->element), edr_bytes_of(dtype_of(shape->element))};
  for (size_t axis = 0; axis < shape->rank; axis++) {
    if (shape->shape[axis] < 1 || shape->shape[axis] > 1 << 27 || kind->bytes > 1 << 30)
      kind->bytes = 0;
    kind->bytes *= (size_t)shape->shape[axis];
  }
  return kind->bytes
             ? EDR_OK
             : edr_say(why, EDR_DAMAGED, "`%s` is of no fixed, bearable and known kind", name);
}

/* The kind of an input or output of that name. */
static edr_code find(const Program* it, bool input, const char* wanted, Shape* shape, Kind* kind,
                     edr_message* why) {
  const Engine* engine = it->engine;
  const Api* api = &engine->api;
  size_t count;
  CHECK((input ? api->SessionGetInputCount : api->SessionGetOutputCount)(it->session, &count),
        "count tensors");
  for (size_t place = 0; place < count; place++) {
    char* name;
    Handle type;
    CHECK((input ? api->SessionGetInputName : api->SessionGetOutputName)(
              it->session, place, engine->allocator, &name),
          "name a tensor");
    bool same = strcmp(name, wanted) == 0;
    CHECK(api->AllocatorFree(engine->allocator, name), "free memory");
    if (!same) continue;
    CHECK((input ? api->SessionGetInputTypeInfo : api->SessionGetOutputTypeInfo)(it->session, place,
                                                                                 &type),
          "tell a tensor's type");
    edr_code code = read_shape(engine, type, wanted, shape, kind, why);
    api->ReleaseTypeInfo(type);
    return code;
  }
  return edr_say(why, EDR_DAMAGED, "the file has no `%s`", wanted);
}

/* What is fed and states at the beginning are values of our own; all others are the runtime's. */
static edr_code make_input(Program* it, size_t at, edr_message* why) {
  const Engine* engine = it->engine;
  const Input* input = &it->plan->inputs[at];
  Kind* kind = &it->inputs[at];
  Shape shape;
  it->input_names[at] = input->name;
  TRY(find(it, true, input->name, &shape, kind, why));
  if (input->from == OF_OTHER) return EDR_OK;
  TRY(edr_allocate(&it->own[at], kind->bytes, 1, why));
  edr_fill_zeros(it->own[at], *kind, input->zero);
  CHECK(engine->api.CreateTensorWithDataAsOrtValue(engine->memory, it->own[at], kind->bytes,
                                                   shape.shape, shape.rank, shape.element,
                                                   &it->fed[at]),
        "take an input");
  return EDR_OK;
}

static edr_code fill(Program* it, edr_message* why) {
  const Plan* plan = it->plan;
  Shape shape;
  TRY(open_session(it, why));
  for (size_t at = 0; at < plan->input_count; at++) TRY(make_input(it, at, why));
  for (size_t at = 0; at < plan->output_count; at++)
    TRY(find(it, false, plan->outputs[at], &shape, &it->outputs[at], why));
  return EDR_OK;
}

static void release(const Program* it, Handle* value) {
  if (*value) it->engine->api.ReleaseValue(*value);
  *value = NULL;
}

static void unload(Program* it) {
  for (size_t at = 0; at < it->plan->output_count; at++) release(it, &it->got[at]);
  for (size_t at = 0; at < it->plan->input_count; at++) {
    release(it, &it->fed[at]);
    free(it->own[at]);
  }
  if (it->session) it->engine->api.ReleaseSession(it->session);
  free(it);
}

static edr_code load(Engine* engine, const Plan* plan, Program** program, edr_message* why) {
  Program* it;
  TRY(edr_allocate(&it, 1, sizeof *it, why));
  it->engine = engine;
  it->plan = plan;
  it->begun = true;
  edr_code code = fill(it, why);
  if (code) unload(it);
  else *program = it;
  return code;
}

static void close_engine(Engine* it) {
  if (it->memory) it->api.ReleaseMemoryInfo(it->memory);
  if (it->environment) it->api.ReleaseEnv(it->environment);
  free(it);
}

static edr_code open_engine(const char* library, int threads, Engine** engine, edr_message* why) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* it would keep a database in the home folder */
  TRY(edr_allocate(engine, 1, sizeof **engine, why));
  (*engine)->threads = threads;
  return open_library(*engine, library, why);
}

static const Kind* inputs_of(const Program* it) { return it->inputs; }

static const Kind* outputs_of(const Program* it) { return it->outputs; }

static edr_code begin(Program* it, edr_message* why) {
  (void)why;
  it->begun = true;
  return EDR_OK;
}

static edr_code feed(Program* it, size_t at, const void* values, edr_message* why) {
  (void)why;
  memcpy(it->own[at], values, it->inputs[at].bytes);
  return EDR_OK;
}

static Handle value_of(const Program* it, size_t at) {
  const Input* input = &it->plan->inputs[at];
  if (input->from == OF_OTHER) return it->plan->other->got[input->place];
  if (input->from == OF_STATE && !it->begun) return it->got[input->place];
  return it->fed[at];
}

/* What a run gave is kept until the next has read it. */
static edr_code run(Program* it, edr_message* why) {
  const Engine* engine = it->engine;
  const Plan* plan = it->plan;
  Handle fresh[MOST_TENSORS] = {NULL}; /* the runtime is to make them */
  for (size_t at = 0; at < plan->input_count; at++) it->given[at] = value_of(it, at);
  it->begun = false;
  Status status = engine->api.Run(it->session, NULL, it->input_names, it->given, plan->input_count,
                                  plan->outputs, plan->output_count, fresh);
  if (status) {
    edr_say(why, EDR_RUNTIME, "ONNX Runtime cannot run `%s`: %s", plan->name,
            engine->api.GetErrorMessage(status));
    engine->api.ReleaseStatus(status);
    return EDR_RUNTIME;
  }
  for (size_t at = 0; at < plan->output_count; at++) {
    release(it, &it->got[at]);
    it->got[at] = fresh[at];
  }
  return EDR_OK;
}

static edr_code read_output(Program* it, size_t at, void** values, edr_message* why) {
  const Engine* engine = it->engine;
  if (!it->got[at]) return edr_say(why, EDR_RUNTIME, "`%s` did not run", it->plan->name);
  CHECK(engine->api.GetTensorMutableData(it->got[at], values), "read an output");
  return EDR_OK;
}

const Runtime edr_onnxruntime = {
    "onnxruntime", "libonnxruntime.so", open_engine, close_engine, load, unload,
    inputs_of, outputs_of, begin, feed, run, read_output,
};
