/* What the runner calls of LiteRT 2.3: declared after litert/c/ in its repository, which calls only
 * some of it stable. Tests hold its answers against the Python package's. */
#ifndef EDGEDISTILL_LITERT_H
#define EDGEDISTILL_LITERT_H

#include "runner.h"

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

/* litert_profiler_event.h */
typedef struct {
  const char* tag;
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
#define FUNCTIONS(X)                                                                      \
  X(Status, CreateEnvironment, (int, const Option*, Handle*))                             \
  X(Status, CreateModelFromFile, (Handle, const char*, Handle*))                          \
  X(void, DestroyModel, (Handle))                                                         \
  X(Status, GetNumModelSignatures, (Handle, size_t*))                                     \
  X(Status, GetModelSignature, (Handle, size_t, Handle*))                                 \
  X(Status, GetModelSubgraph, (Handle, size_t, Handle*))                                  \
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
  X(Status, GetCompiledModelInputTensorLayout, (Handle, size_t, size_t, Layout*))         \
  X(Status, GetCompiledModelOutputTensorLayouts, (Handle, size_t, size_t, Layout*, bool)) \
  X(Status, GetCompiledModelInputBufferRequirements, (Handle, size_t, size_t, Handle*))   \
  X(Status, GetCompiledModelOutputBufferRequirements, (Handle, size_t, size_t, Handle*))  \
  X(Status, CreateManagedTensorBufferFromRequirements,                                    \
    (Handle, const TensorType*, Handle, Handle*))                                         \
  X(void, DestroyTensorBuffer, (Handle))                                                  \
  X(Status, GetTensorBufferPackedSize, (Handle, size_t*))                                 \
  X(Status, LockTensorBuffer, (Handle, void**, int))                                      \
  X(Status, UnlockTensorBuffer, (Handle))                                                 \
  X(Status, RunCompiledModel, (Handle, size_t, size_t, Handle*, size_t, Handle*))         \
  X(Status, CompiledModelGetProfiler, (Handle, Handle*))                                  \
  X(Status, StartProfiler, (Handle))                                                      \
  X(Status, GetNumProfilerEvents, (Handle, int*))                                         \
  X(Status, GetProfilerEvents, (Handle, int, Event*))

#define FIELD(result, name, arguments) result(*name) arguments;
extern struct LitertApi {
  FUNCTIONS(FIELD)
} lrt;
extern Handle lrt_environment;

const char* lrt_open(const char* library);
const char* lrt_in_words(Status status);
void lrt_check(Status status, const char* what);
const char* lrt_type_name(int element, size_t* bytes);
void lrt_add_options(Handle options, const char* identifier, const char* toml);

#endif
