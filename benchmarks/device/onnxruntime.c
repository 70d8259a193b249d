/* ONNX Runtime, through the C API of its shared library (onnxruntime_c_api.h in its repository):
 * on the CPU, all optimizations on, one thread between operators. */
#define _GNU_SOURCE
#include "runner.h"

#include <stdlib.h>
#include <string.h>

typedef struct Status* Status; /* NULL where nothing failed */
typedef struct Handle* Handle;

enum { API_VERSION = 16, FATAL = 4, ENABLE_ALL = 99, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0 };

/* OrtApi is a table of functions that only ever grows at its end; of those that are called: the
 * place, result, name and arguments. */
#define FUNCTIONS(X)                                                                        \
  X(2, const char*, GetErrorMessage, (Status))                                              \
  X(3, Status, CreateEnv, (int, const char*, Handle*))                                      \
  X(7, Status, CreateSession, (Handle, const char*, Handle, Handle*))                       \
  X(9, Status, Run,                                                                         \
    (Handle, Handle, const char* const*, const Handle*, size_t, const char* const*, size_t, \
     Handle*))                                                                              \
  X(10, Status, CreateSessionOptions, (Handle*))                                            \
  X(14, Status, EnableProfiling, (Handle, const char*))                                     \
  X(22, Status, SetSessionLogSeverityLevel, (Handle, int))                                  \
  X(23, Status, SetSessionGraphOptimizationLevel, (Handle, int))                            \
  X(24, Status, SetIntraOpNumThreads, (Handle, int))                                        \
  X(25, Status, SetInterOpNumThreads, (Handle, int))                                        \
  X(30, Status, SessionGetInputCount, (Handle, size_t*))                                    \
  X(31, Status, SessionGetOutputCount, (Handle, size_t*))                                   \
  X(33, Status, SessionGetInputTypeInfo, (Handle, size_t, Handle*))                         \
  X(36, Status, SessionGetInputName, (Handle, size_t, Handle, char**))                      \
  X(37, Status, SessionGetOutputName, (Handle, size_t, Handle, char**))                     \
  X(49, Status, CreateTensorWithDataAsOrtValue,                                             \
    (Handle, void*, size_t, const int64_t*, size_t, int, Handle*))                          \
  X(51, Status, GetTensorMutableData, (Handle, void**))                                     \
  X(55, Status, CastTypeInfoToTensorInfo, (Handle, const Handle*))                          \
  X(60, Status, GetTensorElementType, (Handle, int*))                                       \
  X(61, Status, GetDimensionsCount, (Handle, size_t*))                                      \
  X(62, Status, GetDimensions, (Handle, int64_t*, size_t))                                  \
  X(65, Status, GetTensorTypeAndShape, (Handle, Handle*))                                   \
  X(69, Status, CreateCpuMemoryInfo, (int, int, Handle*))                                   \
  X(76, Status, AllocatorFree, (Handle, void*))                                             \
  X(78, Status, GetAllocatorWithDefaultOptions, (Handle*))                                  \
  X(95, void, ReleaseSession, (Handle))                                                     \
  X(96, void, ReleaseValue, (Handle))                                                       \
  X(98, void, ReleaseTypeInfo, (Handle))                                                    \
  X(99, void, ReleaseTensorTypeAndShapeInfo, (Handle))                                      \
  X(100, void, ReleaseSessionOptions, (Handle))                                             \
  X(110, Status, SessionEndProfiling, (Handle, Handle, char**))

#define FIELD(place, result, name, arguments) result(*name) arguments;
static struct {
  FUNCTIONS(FIELD)
} api;
static Handle environment, memory, allocator;

/* OrtApiBase */
typedef struct {
  void* const* (*get_api)(uint32_t version);
  const char* (*get_version)(void);
} Base;

/* A tensor's kind: that of an input for one sample, that of an output as it came. */
typedef struct {
  int element;
  size_t rank, bytes;
  int64_t shape[MOST_AXES];
} Kind;

struct Program {
  Handle session;
  size_t input_count, output_count;
  const char *input_names[MOST_TENSORS], *output_names[MOST_TENSORS]; /* the order's */
  Kind inputs[MOST_TENSORS];
  Handle outputs[MOST_TENSORS]; /* of the last run */
};

static void check(Status status, const char* what) {
  if (status) fail("ONNX Runtime cannot %s: %s", what, api.GetErrorMessage(status));
}

/* ONNXTensorElementDataType; numpy's word and the bytes of one number. */
static const char* type_name(int element, size_t* bytes) {
  static const struct {
    size_t bytes;
    const char* name;
  } types[] = {
      {0, NULL},      {4, "float32"}, {1, "uint8"},  {1, "int8"},   {2, "uint16"},
      {2, "int16"},   {4, "int32"},   {8, "int64"},  {0, NULL},     {1, "bool"},
      {2, "float16"}, {8, "float64"}, {4, "uint32"}, {8, "uint64"},
  };
  if (element < 0 || (size_t)element >= sizeof types / sizeof *types || !types[element].name)
    fail("ONNX Runtime: a tensor of type %d, which the runner does not know", element);
  *bytes = types[element].bytes;
  return types[element].name;
}

static const char* open_runtime(const char* path) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* it would keep a database in the home folder */
  void* library = open_library(path);
  const Base* (*get_base)(void);
  *(void**)&get_base = find_symbol(library, "OrtGetApiBase");
  void* const* table = get_base()->get_api(API_VERSION);
  if (!table) fail("%s: is too old an ONNX Runtime (%s)", path, get_base()->get_version());
#define FIND(place, result, name, arguments) *(const void**)&api.name = table[place];
  FUNCTIONS(FIND)
  check(api.CreateEnv(FATAL, "edgedistill", &environment), "start");
  check(api.CreateCpuMemoryInfo(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &memory), "find its memory");
  check(api.GetAllocatorWithDefaultOptions(&allocator), "find its memory");
  return get_base()->get_version();
}

/* Of a tensor type and shape. */
static Kind kind_of(Handle info, const char* name) {
  Kind kind = {0};
  check(api.GetTensorElementType(info, &kind.element), "tell a tensor's type");
  check(api.GetDimensionsCount(info, &kind.rank), "tell a tensor's shape");
  if (kind.rank > MOST_AXES) fail("`%s` has more than %d axes", name, MOST_AXES);
  check(api.GetDimensions(info, kind.shape, kind.rank), "tell a tensor's shape");
  type_name(kind.element, &kind.bytes);
  for (size_t axis = 0; axis < kind.rank; axis++) {
    if (axis == 0 && kind.shape[0] < 0) kind.shape[0] = 1; /* the batch */
    if (kind.shape[axis] < 0) fail("`%s` has an axis of no fixed size beside its first", name);
    kind.bytes *= (size_t)kind.shape[axis];
  }
  return kind;
}

static Kind input_kind(Handle session, size_t place, const char* name) {
  Handle type, info;
  check(api.SessionGetInputTypeInfo(session, place, &type), "tell an input's type");
  check(api.CastTypeInfoToTensorInfo(type, &info), "tell an input's type");
  if (!info) fail("`%s` is no tensor", name);
  Kind kind = kind_of(info, name);
  api.ReleaseTypeInfo(type);
  return kind;
}

static Handle make_session(const Order* order, bool profile) {
  Handle options, session;
  check(api.CreateSessionOptions(&options), "take options");
  check(api.SetIntraOpNumThreads(options, order->threads), "take that many threads");
  check(api.SetInterOpNumThreads(options, 1), "take options");
  check(api.SetSessionLogSeverityLevel(options, FATAL), "take options");
  check(api.SetSessionGraphOptimizationLevel(options, ENABLE_ALL), "take options");
  if (profile) check(api.EnableProfiling(options, order->profile), "profile");
  Status status = api.CreateSession(environment, order->model, options, &session);
  if (status)
    fail("%s: ONNX Runtime cannot load it: %s", order->model, api.GetErrorMessage(status));
  api.ReleaseSessionOptions(options);
  return session;
}

typedef Status (*Namer)(Handle, size_t, Handle, char**);

/* The place of a name among the session's; SIZE_MAX where it is none. */
static size_t find(Handle session, size_t count, Namer namer, const char* wanted) {
  size_t found = SIZE_MAX;
  for (size_t place = 0; place < count; place++) {
    char* name;
    check(namer(session, place, allocator, &name), "tell a tensor's name");
    if (strcmp(name, wanted) == 0) found = place;
    check(api.AllocatorFree(allocator, name), "free memory");
  }
  return found;
}

static void match_inputs(Program* it, const Order* order) {
  size_t count;
  check(api.SessionGetInputCount(it->session, &count), "count inputs");
  it->input_count = order->inputs.count;
  if (count != it->input_count)
    fail("the program has %zu inputs, and %zu were given", count, it->input_count);
  for (size_t at = 0; at < count; at++) {
    const char* name = it->input_names[at] = order->inputs.names[at];
    size_t place = find(it->session, count, api.SessionGetInputName, name);
    if (place == SIZE_MAX) fail("`%s` is no input", name);
    it->inputs[at] = input_kind(it->session, place, name);
  }
}

static void match_outputs(Program* it, const Order* order) {
  size_t count;
  check(api.SessionGetOutputCount(it->session, &count), "count outputs");
  it->output_count = order->outputs.count;
  for (size_t at = 0; at < it->output_count; at++) {
    const char* name = it->output_names[at] = order->outputs.names[at];
    if (find(it->session, count, api.SessionGetOutputName, name) == SIZE_MAX)
      fail("`%s` is no output", name);
  }
}

static Program* load(const Order* order, bool profile) {
  if (strcmp(order->program, "main") != 0)
    fail("%s: has no program `%s`: an ONNX file holds one, `main`", order->model, order->program);
  Program* it = allocate(1, sizeof *it);
  it->session = make_session(order, profile);
  match_inputs(it, order);
  match_outputs(it, order);
  return it;
}

static size_t input_bytes(const Program* it, size_t place) { return it->inputs[place].bytes; }

static void forget_outputs(Program* it) {
  for (size_t place = 0; place < it->output_count; place++) {
    if (it->outputs[place]) api.ReleaseValue(it->outputs[place]);
    it->outputs[place] = NULL; /* the runtime is to make it */
  }
}

static void run(Program* it, const void* const* inputs) {
  Handle given[MOST_TENSORS];
  forget_outputs(it);
  for (size_t place = 0; place < it->input_count; place++) {
    const Kind* kind = &it->inputs[place];
    void* values = (void*)(uintptr_t)inputs[place]; /* which the runtime does not write to */
    check(api.CreateTensorWithDataAsOrtValue(memory, values, kind->bytes, kind->shape, kind->rank,
                                             kind->element, &given[place]),
          "take an input");
  }
  check(api.Run(it->session, NULL, it->input_names, given, it->input_count, it->output_names,
                it->output_count, it->outputs),
        "run the program");
  for (size_t place = 0; place < it->input_count; place++) api.ReleaseValue(given[place]);
}

static Answer answer(const Program* it, size_t place) {
  Handle info;
  void* data;
  size_t bytes;
  check(api.GetTensorTypeAndShape(it->outputs[place], &info), "tell an output's shape");
  Kind kind = kind_of(info, it->output_names[place]);
  api.ReleaseTensorTypeAndShapeInfo(info);
  check(api.GetTensorMutableData(it->outputs[place], &data), "read an output");
  Answer found = {.type = type_name(kind.element, &bytes),
                  .rank = kind.rank,
                  .bytes = kind.bytes,
                  .data = data};
  memcpy(found.shape, kind.shape, sizeof found.shape);
  return found;
}

/* ONNX Runtime's own trace, as it writes it under a name that it makes up. */
static void write_profile(Program* it, const Order* order) {
  char* written;
  check(api.SessionEndProfiling(it->session, allocator, &written), "profile");
  if (rename(written, order->profile) != 0) fail("%s: cannot be written", order->profile);
  check(api.AllocatorFree(allocator, written), "free memory");
}

static void release(Program* it) {
  forget_outputs(it);
  api.ReleaseSession(it->session);
  free(it);
}

const Runtime onnxruntime = {"onnxruntime", open_runtime, load,          input_bytes,
                             run,           answer,       write_profile, release};
