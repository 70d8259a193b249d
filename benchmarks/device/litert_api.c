/* LiteRT's library opened, and what it says put into words. */
#define _GNU_SOURCE
#include "litert.h"

#include <stdlib.h>
#include <string.h>

struct LitertApi lrt;
Handle lrt_environment;

/* litert_common.h */
const char* lrt_in_words(Status status) {
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

void lrt_check(Status status, const char* what) {
  if (status) fail("LiteRT cannot %s (status %d: %s)", what, status, lrt_in_words(status));
}

/* litert_model_types.h; numpy's word and the bytes of one number. */
const char* lrt_type_name(int element, size_t* bytes) {
  static const struct {
    int element;
    size_t bytes;
    const char* name;
  } types[] = {
      {1, 4, "float32"},  {2, 4, "int32"},   {3, 1, "uint8"},   {4, 8, "int64"},
      {6, 1, "bool"},     {7, 2, "int16"},   {9, 1, "int8"},    {10, 2, "float16"},
      {11, 8, "float64"}, {13, 8, "uint64"}, {16, 4, "uint32"}, {17, 2, "uint16"},
  };
  for (size_t place = 0; place < sizeof types / sizeof *types; place++)
    if (types[place].element == element) {
      *bytes = types[place].bytes;
      return types[place].name;
    }
  fail("LiteRT: a tensor of type %d, which the runner does not know", element);
}

const char* lrt_open(const char* path) {
  void* library = open_library(path);
#define FIND(result, name, arguments) *(void**)&lrt.name = find_symbol(library, "LiteRt" #name);
  FUNCTIONS(FIND)
  const Option options[] = {{AUTO_REGISTER_ACCELERATORS, {INTEGER, ON_CPU}},
                            {MIN_LOGGER_SEVERITY, {INTEGER, ERRORS}}};
  lrt_check(lrt.CreateEnvironment(2, options, &lrt_environment), "start");
  return NULL;
}

void lrt_add_options(Handle options, const char* identifier, const char* toml) {
  Handle opaque;
  char* payload = strdup(toml);
  if (!payload) fail("out of memory");
  lrt_check(lrt.CreateOpaqueOptions(identifier, payload, free, &opaque), "take options");
  lrt_check(lrt.AddOpaqueOptions(options, opaque), "take options");
}
