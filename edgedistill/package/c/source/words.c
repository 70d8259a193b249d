/* Failures in words, memory, files, shared libraries, and samples as a file has them. */
#define _POSIX_C_SOURCE 200809L
#include "parts.h"

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LARGEST_FILE = 1 << 30 };

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

/* Whether a file has the size that is said of it. */
edr_code edr_check_size(const char* path, uint64_t bytes, edr_message* why) {
  struct stat facts;
  if (stat(path, &facts) != 0) return edr_say(why, EDR_FILE, "%s: %s", path, strerror(errno));
  if ((uint64_t)facts.st_size == bytes) return EDR_OK;
  return edr_say(why, EDR_DAMAGED, "%s: has %lld bytes, and the bundle says %llu", path,
                 (long long)facts.st_size, (unsigned long long)bytes);
}

static edr_code read_open(FILE* file, const char* path, size_t most, char** content, size_t* bytes,
                          edr_message* why) {
  struct stat facts;
  if (fstat(fileno(file), &facts) != 0 || !S_ISREG(facts.st_mode))
    return edr_say(why, EDR_FILE, "%s: is no file", path);
  if ((uint64_t)facts.st_size > most)
    return edr_say(why, EDR_DAMAGED, "%s: is larger than any bundle's", path);
  *bytes = (size_t)facts.st_size;
  TRY(edr_allocate(content, *bytes + 1, 1, why));
  if (fread(*content, 1, *bytes, file) == *bytes) return EDR_OK;
  return edr_say(why, EDR_FILE, "%s: cannot be read", path);
}

/* All of a file, with a 0 behind it, which the caller frees whatever comes back. */
edr_code edr_read_file(const char* path, size_t most, char** content, size_t* bytes,
                       edr_message* why) {
  *content = NULL;
  FILE* file = fopen(path, "rb");
  if (!file) return edr_say(why, EDR_FILE, "%s: %s", path, strerror(errno));
  edr_code code = read_open(file, path, most, content, bytes, why);
  fclose(file);
  return code;
}

/* A file of a package, of as many bytes as it says, which the caller frees whatever comes back. */
edr_code edr_read_array(const char* folder, const char* name, size_t wanted, char** content,
                        edr_message* why) {
  size_t bytes;
  char* path;
  *content = NULL;
  TRY(edr_path(folder, name, &path, why));
  edr_code code = edr_read_file(path, LARGEST_FILE, content, &bytes, why);
  if (!code && bytes != wanted)
    code = edr_say(why, EDR_DAMAGED, "%s: has %zu bytes, and the package says %zu", path, bytes,
                   wanted);
  free(path);
  return code;
}

edr_code edr_check_samples(const float* samples, size_t count, edr_message* why) {
  if (!samples || !count) return edr_say(why, EDR_ARGUMENT, "sound without a sample");
  for (size_t at = 0; at < count; at++)
    if (!isfinite(samples[at]))
      return edr_say(why, EDR_ARGUMENT, "sample %zu of the sound is no number", at);
  return EDR_OK;
}

void edr_round_to_int16(const float* samples, size_t count, int16_t* rounded) {
  for (size_t at = 0; at < count; at++) {
    float scaled = rintf(samples[at] * 32768.0f);
    rounded[at] = (int16_t)(scaled < -32768.0f ? -32768.0f : scaled > 32767.0f ? 32767.0f : scaled);
  }
}
