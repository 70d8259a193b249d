/* A WAV file read whole. */
#define _POSIX_C_SOURCE 200809L
#include "parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PCM = 1, IEEE_FLOAT = 3, EXTENSIBLE = 0xFFFE };

typedef struct {
  const char* path;
  FILE* file;
  int kind, bits, channels;
  uint32_t rate;
  uint64_t left; /* bytes of the file from here on */
  edr_message* why;
} Wav;

static uint32_t number(const uint8_t* from, size_t bytes) {
  uint32_t found = 0;
  while (bytes--) found = found << 8 | from[bytes];
  return found;
}

static edr_code bad(const Wav* it, const char* what) {
  return edr_say(it->why, EDR_DAMAGED, "%s: %s", it->path, what);
}

static edr_code take(Wav* it, void* into, size_t bytes) {
  if (bytes > it->left || fread(into, 1, bytes, it->file) != bytes) return bad(it, "is cut off");
  it->left -= bytes;
  return EDR_OK;
}

static edr_code skip(Wav* it, uint64_t bytes) {
  if (bytes > it->left || fseek(it->file, (long)bytes, SEEK_CUR)) return bad(it, "is cut off");
  it->left -= bytes;
  return EDR_OK;
}

static edr_code read_format(Wav* it, uint32_t bytes) {
  uint8_t head[26] = {0};
  size_t told = bytes < sizeof head ? bytes : sizeof head;
  TRY(take(it, head, told));
  if (told < 16) return bad(it, "is no WAV file");
  it->kind = (int)number(head, 2);
  if (it->kind == EXTENSIBLE) it->kind = (int)number(head + 24, 2);
  it->channels = (int)number(head + 2, 2);
  it->rate = number(head + 4, 4);
  it->bits = (int)number(head + 14, 2);
  return skip(it, (uint64_t)bytes - told + bytes % 2);
}

static edr_code check_format(const Wav* it, int rate) {
  char what[128];
  if (!it->kind) return bad(it, "is no WAV file: its format is not told");
  if (!(it->kind == PCM && it->bits == 16) && !(it->kind == IEEE_FLOAT && it->bits == 32))
    return bad(it, "holds other samples than 16-bit or float32; convert it");
  if (it->channels != 1) return bad(it, "has more than one channel; mix them down");
  snprintf(what, sizeof what, "has %lu samples a second, and the bundle takes %d; resample it",
           (unsigned long)it->rate, rate);
  return it->rate == (uint32_t)rate ? EDR_OK : bad(it, what);
}

static edr_code read_samples(Wav* it, uint32_t bytes, float** samples, size_t* count) {
  size_t each = (size_t)it->bits / 8;
  uint8_t raw[4];
  if (bytes > it->left) return bad(it, "is cut off");
  *count = bytes / each;
  if (!*count) return bad(it, "holds no samples");
  TRY(edr_allocate(samples, *count, sizeof **samples, it->why));
  for (size_t place = 0; place < *count; place++) {
    TRY(take(it, raw, each));
    uint32_t stored = number(raw, each);
    if (it->kind == PCM) (*samples)[place] = (float)(int16_t)stored / 32768.0f;
    else memcpy(&(*samples)[place], &stored, sizeof stored);
  }
  return EDR_OK;
}

static edr_code read_chunks(Wav* it, int rate, float** samples, size_t* count) {
  uint8_t head[12];
  if (take(it, head, 12) || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4))
    return bad(it, "is no WAV file");
  for (;;) {
    TRY(take(it, head, 8));
    uint32_t bytes = number(head + 4, 4);
    if (memcmp(head, "data", 4) == 0) {
      TRY(check_format(it, rate));
      return read_samples(it, bytes, samples, count);
    }
    if (memcmp(head, "fmt ", 4) == 0) TRY(read_format(it, bytes));
    else TRY(skip(it, (uint64_t)bytes + bytes % 2));
  }
}

static edr_code measure(Wav* it) {
  struct stat facts;
  if (fstat(fileno(it->file), &facts) || !S_ISREG(facts.st_mode)) return bad(it, "is no file");
  it->left = (uint64_t)facts.st_size;
  return EDR_OK;
}

edr_code edr_read_wav(const char* path, int rate, float** samples, size_t* count, edr_message* why) {
  Wav it = {.path = path, .file = fopen(path, "rb"), .why = why};
  *samples = NULL;
  if (!it.file) return edr_say(why, EDR_FILE, "%s: %s", path, strerror(errno));
  edr_code code = measure(&it);
  if (!code) code = read_chunks(&it, rate, samples, count);
  fclose(it.file);
  if (code) {
    free(*samples);
    *samples = NULL;
  }
  return code;
}
