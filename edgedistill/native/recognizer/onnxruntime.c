/* A recognizer's two files in ONNX Runtime, through its C API (onnxruntime_c_api.h in its
 * repository). What `encode` gives and the caches stay the runtime's own values: a step gets those
 * that the one before it gave, and nothing is copied. */
#define _GNU_SOURCE
#include "parts.h"

#include <stdlib.h>
#include <string.h>

typedef struct Status* Status; /* NULL where nothing failed */
typedef struct Handle* Handle;

enum {
  API_VERSION = 16, FATAL = 4, ENABLE_ALL = 99, DEVICE_ALLOCATOR = 0, DEFAULT_MEMORY = 0,
  FLOAT = 1, INT32 = 6,
};

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

/* A tensor's kind. */
typedef struct {
  int element;
  size_t rank, bytes;
  int64_t shape[MOST_AXES];
} Kind;

struct Engine {
  Api api;
  const Rules* rules;
  Handle environment, memory, allocator, encode, step;
  Kind samples;
  int32_t token, position;
  Handle heard[MOST_TENSORS];                    /* what `encode` gave */
  Handle empty[MOST_TENSORS];                    /* states before the first step */
  void* zeros[MOST_TENSORS];                     /* their values */
  Handle given[MOST_TENSORS], got[MOST_TENSORS]; /* of a step */
};

/* EDR_OK, or why the runtime could not do that. */
static edr_code check(const Engine* it, Status status, const char* what, edr_message* why) {
  if (!status) return EDR_OK;
  edr_say(why, EDR_RUNTIME, "ONNX Runtime cannot %s: %s", what, it->api.GetErrorMessage(status));
  it->api.ReleaseStatus(status);
  return EDR_RUNTIME;
}
#define CHECK(status, what) TRY(check(it, status, what, why))

static edr_code open_library(Engine* it, const char* path, edr_message* why) {
  void* library;
  const Base* (*get_base)(void);
  TRY(edr_library(path, &library, why));
  TRY(edr_symbol(library, "OrtGetApiBase", &get_base, why));
  void* const* table = get_base()->get_api(API_VERSION);
  if (!table)
    return edr_say(why, EDR_RUNTIME, "%s: is too old an ONNX Runtime (%s)", path,
                   get_base()->get_version());
#define FIND(place, result, name, arguments) memcpy(&it->api.name, &table[place], sizeof *table);
  FUNCTIONS(FIND)
  CHECK(it->api.CreateEnv(FATAL, "edgedistill", &it->environment), "start");
  CHECK(it->api.CreateCpuMemoryInfo(DEVICE_ALLOCATOR, DEFAULT_MEMORY, &it->memory), "start");
  CHECK(it->api.GetAllocatorWithDefaultOptions(&it->allocator), "start");
  return EDR_OK;
}

static edr_code set_options(const Engine* it, Handle options, int threads, edr_message* why) {
  CHECK(it->api.SetIntraOpNumThreads(options, threads), "take that many threads");
  CHECK(it->api.SetInterOpNumThreads(options, 1), "take options");
  CHECK(it->api.SetSessionLogSeverityLevel(options, FATAL), "take options");
  CHECK(it->api.SetSessionGraphOptimizationLevel(options, ENABLE_ALL), "take options");
  return EDR_OK;
}

static edr_code open_session(const Engine* it, const char* folder, const char* name, int threads,
                             Handle* session, edr_message* why) {
  Handle options;
  char* path;
  CHECK(it->api.CreateSessionOptions(&options), "take options");
  edr_code code = set_options(it, options, threads, why);
  if (!code) code = edr_path(folder, name, &path, why);
  if (!code) {
    Status status = it->api.CreateSession(it->environment, path, options, session);
    code = check(it, status, "load a file", why) ? EDR_DAMAGED : EDR_OK;
    free(path);
  }
  it->api.ReleaseSessionOptions(options);
  return code;
}

static size_t element_bytes(int element) {
  static const size_t bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8};
  return element < 0 || (size_t)element >= sizeof bytes / sizeof *bytes ? 0 : bytes[element];
}

static edr_code read_kind(const Engine* it, Handle type, const char* name, Kind* kind,
                          edr_message* why) {
  Handle info;
  *kind = (Kind){0};
  CHECK(it->api.CastTypeInfoToTensorInfo(type, &info), "tell a tensor's type");
  if (!info) return edr_say(why, EDR_DAMAGED, "`%s` is no tensor", name);
  CHECK(it->api.GetTensorElementType(info, &kind->element), "tell a tensor's type");
  CHECK(it->api.GetDimensionsCount(info, &kind->rank), "tell a tensor's shape");
  if (kind->rank > MOST_AXES) return edr_say(why, EDR_DAMAGED, "`%s` has too many axes", name);
  CHECK(it->api.GetDimensions(info, kind->shape, kind->rank), "tell a tensor's shape");
  kind->bytes = element_bytes(kind->element);
  for (size_t axis = 0; axis < kind->rank; axis++) {
    if (kind->shape[axis] < 1 || kind->shape[axis] > 1 << 27 || kind->bytes > 1 << 30)
      return edr_say(why, EDR_DAMAGED, "`%s` is of no fixed and bearable size", name);
    kind->bytes *= (size_t)kind->shape[axis];
  }
  return EDR_OK;
}

typedef Status (*Counter)(Handle, size_t*);
typedef Status (*Namer)(Handle, size_t, Handle, char**);
typedef Status (*Teller)(Handle, size_t, Handle*);

/* The kind of a session's input or output of that name. */
static edr_code find(const Engine* it, Handle session, bool input, const char* wanted, Kind* kind,
                     edr_message* why) {
  Counter counter = input ? it->api.SessionGetInputCount : it->api.SessionGetOutputCount;
  Namer namer = input ? it->api.SessionGetInputName : it->api.SessionGetOutputName;
  Teller teller = input ? it->api.SessionGetInputTypeInfo : it->api.SessionGetOutputTypeInfo;
  size_t count;
  CHECK(counter(session, &count), "count tensors");
  for (size_t place = 0; place < count; place++) {
    char* name;
    Handle type;
    CHECK(namer(session, place, it->allocator, &name), "name a tensor");
    bool same = strcmp(name, wanted) == 0;
    CHECK(it->api.AllocatorFree(it->allocator, name), "free memory");
    if (!same) continue;
    CHECK(teller(session, place, &type), "tell a tensor's type");
    edr_code code = read_kind(it, type, wanted, kind, why);
    it->api.ReleaseTypeInfo(type);
    return code;
  }
  return edr_say(why, EDR_DAMAGED, "the file has no `%s`", wanted);
}

static edr_code make_value(const Engine* it, void* values, const Kind* kind, Handle* value,
                           edr_message* why) {
  CHECK(it->api.CreateTensorWithDataAsOrtValue(it->memory, values, kind->bytes, kind->shape,
                                               kind->rank, kind->element, value),
        "take an input");
  return EDR_OK;
}

/* The values of a step that stay the same objects: token, position, and states of zeros. */
static edr_code make_input(Engine* it, size_t at, edr_message* why) {
  const Pair* pair = &it->rules->pair;
  const char* name = pair->takes.names[at];
  Kind kind;
  TRY(find(it, it->step, true, name, &kind, why));
  if (pair->from[at] == OF_HEARD) return EDR_OK;
  if (pair->from[at] == OF_STATE) {
    TRY(edr_allocate(&it->zeros[at], kind.bytes, 1, why));
    return make_value(it, it->zeros[at], &kind, &it->empty[at], why);
  }
  if (kind.element != INT32 || kind.bytes != sizeof it->token)
    return edr_say(why, EDR_DAMAGED, "`%s` is no number of 32 bits", name);
  int32_t* values = pair->from[at] == OF_TOKEN ? &it->token : &it->position;
  return make_value(it, values, &kind, &it->given[at], why);
}

static edr_code check_ends(Engine* it, edr_message* why) {
  const Pair* pair = &it->rules->pair;
  Kind kind;
  TRY(find(it, it->encode, true, "samples", &it->samples, why));
  if (it->samples.element != FLOAT || it->samples.bytes != it->rules->window * sizeof(float))
    return edr_say(why, EDR_DAMAGED, "`samples` are no float32 of the bundle's window");
  for (size_t at = 0; at < pair->takes.count; at++) TRY(make_input(it, at, why));
  TRY(find(it, it->step, false, pair->gives.names[pair->logits], &kind, why));
  if (kind.element != FLOAT || kind.bytes != it->rules->token_count * sizeof(float))
    return edr_say(why, EDR_DAMAGED, "`logits` are not float32 of each of the bundle's tokens");
  return EDR_OK;
}

static edr_code fill(Engine* it, const char* folder, const char* library, int threads,
                     edr_message* why) {
  const Pair* pair = &it->rules->pair;
  TRY(open_library(it, library, why));
  TRY(open_session(it, folder, pair->encode, threads, &it->encode, why));
  TRY(open_session(it, folder, pair->step, threads, &it->step, why));
  return check_ends(it, why);
}

static void release(const Engine* it, Handle* value) {
  if (*value) it->api.ReleaseValue(*value);
  *value = NULL;
}

/* A transcript before this one. */
static void forget(Engine* it) {
  const Pair* pair = &it->rules->pair;
  for (size_t at = 0; at < pair->takes.count; at++)
    if (pair->from[at] >= OF_HEARD) it->given[at] = NULL; /* is also among those below */
  for (size_t at = 0; at < pair->gives.count; at++) release(it, &it->got[at]);
  for (size_t at = 0; at < pair->heard.count; at++) release(it, &it->heard[at]);
}

static void close_engine(Engine* it) {
  const Pair* pair = &it->rules->pair;
  if (it->environment) {
    forget(it);
    for (size_t at = 0; at < pair->takes.count; at++) {
      release(it, &it->given[at]);
      release(it, &it->empty[at]);
      free(it->zeros[at]);
    }
    if (it->encode) it->api.ReleaseSession(it->encode);
    if (it->step) it->api.ReleaseSession(it->step);
    if (it->memory) it->api.ReleaseMemoryInfo(it->memory);
    it->api.ReleaseEnv(it->environment);
  }
  free(it);
}

static edr_code open_engine(const Rules* rules, const char* folder, const char* library,
                            int threads, Engine** engine, edr_message* why) {
  setenv("ORT_DISABLE_TELEMETRY", "1", 0); /* it would keep a database in the home folder */
  TRY(edr_allocate(engine, 1, sizeof **engine, why));
  (*engine)->rules = rules;
  return fill(*engine, folder, library, threads, why);
}

static edr_code hear(Engine* it, const float* samples, edr_message* why) {
  static const char* const name = "samples";
  const Pair* pair = &it->rules->pair;
  Handle value;
  forget(it);
  /* Which the runtime does not write to. */
  TRY(make_value(it, (void*)(uintptr_t)samples, &it->samples, &value, why));
  Status status = it->api.Run(it->encode, NULL, &name, &value, 1, pair->heard.names,
                              pair->heard.count, it->heard);
  it->api.ReleaseValue(value);
  CHECK(status, "run `encode`");
  for (size_t at = 0; at < pair->takes.count; at++) {
    if (pair->from[at] == OF_HEARD) it->given[at] = it->heard[pair->place[at]];
    if (pair->from[at] == OF_STATE) it->given[at] = it->empty[at];
  }
  return EDR_OK;
}

/* What a step gave is kept in `got` until the next has read it. */
static edr_code step(Engine* it, int32_t token, int32_t position, float** logits,
                     edr_message* why) {
  const Pair* pair = &it->rules->pair;
  Handle fresh[MOST_TENSORS] = {NULL}; /* the runtime is to make them */
  it->token = token;
  it->position = position;
  CHECK(it->api.Run(it->step, NULL, pair->takes.names, it->given, pair->takes.count,
                    pair->gives.names, pair->gives.count, fresh),
        "run `decode_step`");
  for (size_t at = 0; at < pair->gives.count; at++) {
    release(it, &it->got[at]);
    it->got[at] = fresh[at];
  }
  for (size_t at = 0; at < pair->takes.count; at++)
    if (pair->from[at] == OF_STATE) it->given[at] = it->got[pair->place[at]];
  void* values;
  CHECK(it->api.GetTensorMutableData(it->got[pair->logits], &values), "read the logits");
  *logits = values;
  return EDR_OK;
}

const Runtime edr_onnxruntime = {
    "onnxruntime", "libonnxruntime.so", open_engine, hear, step, close_engine,
};
