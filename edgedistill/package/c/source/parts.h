/* What all parts share. */
#ifndef EDGEDISTILL_PARTS_H
#define EDGEDISTILL_PARTS_H

#include "edgedistill.h"

/* Give up a function with the code of what failed in it. */
#define TRY(call)                \
  do {                           \
    edr_code failed = (call);    \
    if (failed) return failed;   \
  } while (0)

/* words.c */
edr_code edr_say(edr_message* why, edr_code code, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
edr_code edr_allocate(void* place, size_t count, size_t size, edr_message* why);
edr_code edr_path(const char* folder, const char* name, char** path, edr_message* why);
edr_code edr_symbol(void* library, const char* name, void* place, edr_message* why);
edr_code edr_library(const char* path, void** library, edr_message* why);
edr_code edr_check_size(const char* path, uint64_t bytes, edr_message* why);
edr_code edr_read_file(const char* path, size_t most, char** content, size_t* bytes,
                       edr_message* why);
edr_code edr_read_array(const char* folder, const char* name, size_t wanted, char** content,
                        edr_message* why);
edr_code edr_check_samples(const float* samples, size_t count, edr_message* why);
void edr_round_to_int16(const float* samples, size_t count, int16_t* rounded);

#endif
