/* Speech to text with a recognizer's files, those of a package or of a whole bundle; edgedistill.h
 * says what holds for all. */
#ifndef EDGEDISTILL_RECOGNIZER_H
#define EDGEDISTILL_RECOGNIZER_H

#include "edgedistill.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edr_recognizer edr_recognizer;

/* What ends a transcript that has gone wrong. */
typedef struct {
  int repeats;      /* times that an n-gram may follow itself; below 0 as often as it likes */
  int longest;      /* tokens of an n-gram that is looked for, 1 or more */
  double no_speech; /* its probability, up to which something is said at all */
} edr_guards;

/* What is said in a piece of sound that was decoded at once. */
typedef struct {
  double start, end; /* seconds */
  const char* text;  /* UTF-8, empty where nothing is said; 0 behind it */
  size_t bytes;
  const int32_t* tokens;
  size_t count;
  double log_probability; /* of a token, natural, on average */
  double no_speech;       /* its probability */
  bool ended;             /* whether all of it was transcribed, and nothing cut it off */
  bool looped;            /* whether it was ended as it repeated itself */
} edr_segment;

/* All of a sound; silence is in no segment. It stays until the next call of the recognizer. */
typedef struct {
  const char* text;
  size_t bytes;
  const edr_segment* segments;
  size_t count;
  double seconds;
} edr_transcript;

/* What an app may ask for of a sound; all of it may be NULL. */
typedef struct {
  const edr_guards* guards; /* instead of the bundle's */
  void (*on_segment)(const edr_segment* segment, void* own);
  bool (*go_on)(void* own); /* before each token: whether to go on */
  void* own;                /* is handed to both */
} edr_wishes;

/* Open what lies in a folder. `options` and `why` may be NULL. */
edr_code edr_open(const char* folder, const edr_options* options, edr_recognizer** opened,
                  edr_message* why);

/* NULL is let pass. The runtime's library stays loaded. */
void edr_close(edr_recognizer* it);

/* Samples a second of the sound that it takes. */
int edr_rate(const edr_recognizer* it);

/* Samples that it hears at once. */
size_t edr_window(const edr_recognizer* it);

const char* edr_runtime(const edr_recognizer* it);
const char* edr_precision(const edr_recognizer* it);
const char* edr_language(const edr_recognizer* it);
edr_guards edr_guards_of(const edr_recognizer* it);

/* What is said in a sound of any length: one channel, in -1..1, at the recognizer's rate. It is
 * rounded to 16 bits first, as a file of it would be. `wishes` and `why` may be NULL. */
edr_code edr_transcribe(edr_recognizer* it, const float* samples, size_t count,
                        const edr_wishes* wishes, edr_transcript* found, edr_message* why);

#ifdef __cplusplus
}
#endif

#endif
