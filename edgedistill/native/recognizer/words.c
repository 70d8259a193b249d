/* Failures in words, memory, paths and shared libraries. */
#include "parts.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The code, with its reason put into words where anybody wants to know. */
edr_code edr_say(edr_message* why, edr_code code, const char* format, ...) {
  if (!why) return code;
  va_list values;
  va_start(values, format);
  vsnprintf(why->text, sizeof why->text, format, values);
  va_end(values);
  for (char* at = why->text; *at; at++)
    if (*at == '\n' || *at == '\r') *at = ' ';
  return code;
}

/* Zeros, into the pointer at `place`. */
edr_code edr_allocate(void* place, size_t count, size_t size, edr_message* why) {
  void* memory = calloc(count ? count : 1, size);
  memcpy(place, &memory, sizeof memory);
  if (memory) return EDR_OK;
  return edr_say(why, EDR_MEMORY, "not enough memory for %zu times %zu bytes", count, size);
}

edr_code edr_path(const char* folder, const char* name, char** path, edr_message* why) {
  size_t bytes = strlen(folder) + strlen(name) + 2;
  TRY(edr_allocate(path, bytes, 1, why));
  snprintf(*path, bytes, "%s/%s", folder, name);
  return EDR_OK;
}

edr_code edr_library(const char* path, void** library, edr_message* why) {
  *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (*library) return EDR_OK;
  return edr_say(why, EDR_RUNTIME, "the runtime's library cannot be loaded: %s", dlerror());
}

edr_code edr_symbol(void* library, const char* name, void* place, edr_message* why) {
  void* symbol = dlsym(library, name);
  memcpy(place, &symbol, sizeof symbol);
  if (symbol) return EDR_OK;
  return edr_say(why, EDR_RUNTIME, "the runtime's library has no %s: it is of another version",
                 name);
}
