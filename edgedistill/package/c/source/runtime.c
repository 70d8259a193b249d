/* The runtimes by their names, and what both share. */
#include "runtime.h"

#include "parts.h"

#include <string.h>

static const Runtime* const runtimes[] = {&edr_litert, &edr_onnxruntime};

/* `running` is to be stopped whatever comes back. */
edr_code edr_start(const char* runtime, const edr_options* options, Running* running,
                   edr_message* why) {
  int threads = options && options->threads ? options->threads : 1;
  *running = (Running){0};
  if (threads < 0 || threads > 1024) return edr_say(why, EDR_ARGUMENT, "%d threads", threads);
  for (size_t at = 0; at < sizeof runtimes / sizeof *runtimes; at++)
    if (strcmp(runtimes[at]->name, runtime) == 0) running->runtime = runtimes[at];
  if (!running->runtime)
    return edr_say(why, EDR_NO_MODEL, "this library does not know the runtime `%s`", runtime);
  const char* library = options && options->library ? options->library : running->runtime->library;
  return running->runtime->open(library, threads, &running->engine, why);
}

void edr_stop(Running* running) {
  if (running->engine) running->runtime->close(running->engine);
  running->engine = NULL;
}

size_t edr_bytes_of(edr_dtype dtype) {
  switch (dtype) {
    case EDR_INT8:
    case EDR_UINT8: return 1;
    case EDR_FLOAT16:
    case EDR_INT16: return 2;
    case EDR_FLOAT32:
    case EDR_INT32: return 4;
    case EDR_INT64: return 8;
  }
  return 0;
}

/* Only integers have a zero that is not all bits 0. */
void edr_fill_zeros(void* values, Kind kind, int32_t zero) {
  size_t each = edr_bytes_of(kind.dtype);
  memset(values, each == 1 ? (uint8_t)zero : 0, kind.bytes);
  if (!zero || each == 1) return;
  for (size_t at = 0; at < kind.bytes; at += each) {
    int16_t narrow = (int16_t)zero;
    if (each == sizeof zero) memcpy((char*)values + at, &zero, each);
    if (each == sizeof narrow) memcpy((char*)values + at, &narrow, each);
  }
}
