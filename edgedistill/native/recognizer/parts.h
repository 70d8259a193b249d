/* What the parts of the decoder share. */
#ifndef EDGEDISTILL_RECOGNIZER_PARTS_H
#define EDGEDISTILL_RECOGNIZER_PARTS_H

#include "recognizer.h"

enum { MOST_TENSORS = 512, MOST_AXES = 8 };

/* Where an input of a step comes from. */
typedef enum { OF_TOKEN, OF_POSITION, OF_HEARD, OF_STATE } Source;

/* Names of a program's inputs or outputs, in its file's order. */
typedef struct {
  size_t count;
  const char* names[MOST_TENSORS];
} Ends;

/* The two programs of a runtime and precision. */
typedef struct {
  const char *runtime, *precision, *encode, *step; /* files */
  uint64_t encode_bytes, step_bytes;
  Ends heard;                 /* outputs of `encode` */
  Ends takes, gives;          /* of a step */
  Source from[MOST_TENSORS];  /* of each that it takes */
  size_t place[MOST_TENSORS]; /* among `heard` or `gives` where it comes from */
  size_t logits;              /* among `gives` */
} Pair;

typedef struct {
  int32_t* tokens;
  size_t count;
} Tokens;

/* What the bundle says; all names lie in `content`. */
typedef struct {
  char* content;
  Pair pair; /* the chosen one */
  const char* language;
  int rate;
  size_t window, limit;
  bool spaced; /* whether a space goes between two pieces' texts */
  Tokens prompt, suppressed, suppressed_first;
  int32_t end, no_speech; /* below 0: has none */
  edr_guards guards;
  size_t token_count;
  const uint8_t** pieces; /* bytes of each token */
  uint32_t* piece_bytes;
} Rules;

/* A runtime with both programs loaded. `step` gives logits of all tokens, which its caller may
 * change; they stay until the next. */
typedef struct Engine Engine;
typedef struct {
  const char *name, *library;
  edr_code (*open)(const Rules* rules, const char* folder, const char* library, int threads,
                   Engine** engine, edr_message* why);
  edr_code (*hear)(Engine* it, const float* samples, edr_message* why);
  edr_code (*step)(Engine* it, int32_t token, int32_t position, float** logits, edr_message* why);
  void (*close)(Engine* it);
} Runtime;
extern const Runtime edr_litert, edr_onnxruntime;

/* What was made of a window; `tokens` stay until the next. */
typedef struct {
  Tokens tokens;
  double log_probability, no_speech;
  bool ended, looped;
} Decoded;

/* Room for a transcript's tokens, and what decodes them. */
typedef struct {
  const Runtime* runtime;
  Engine* engine;
  const Rules* rules;
  const edr_guards* guards;
  const edr_wishes* wishes;
  int32_t* said; /* `rules->limit` of them */
} Decoding;

/* Give up a function with the code of what failed in it. */
#define TRY(call)                \
  do {                           \
    edr_code failed = (call);    \
    if (failed) return failed;   \
  } while (0)

/* rules.c */
edr_code edr_read_rules(const char* folder, const edr_options* options, Rules* rules,
                        edr_message* why);
void edr_free_rules(Rules* rules);

/* decode.c */
edr_code edr_greedy(const Decoding* it, const float* window, Decoded* found, edr_message* why);

/* parting.c */
size_t edr_next_piece(const int16_t* held, size_t left, size_t window, int rate);
bool edr_silent(const int16_t* samples, size_t count, int rate);

/* text.c */
edr_code edr_text_of(const Rules* rules, Tokens tokens, char** text, size_t* bytes,
                     edr_message* why);
edr_code edr_decode_utf8(const uint8_t* from, size_t count, char** text, size_t* bytes,
                         edr_message* why);

/* words.c */
edr_code edr_say(edr_message* why, edr_code code, const char* format, ...)
    __attribute__((format(printf, 3, 4)));
edr_code edr_allocate(void* place, size_t count, size_t size, edr_message* why);
edr_code edr_path(const char* folder, const char* name, char** path, edr_message* why);
edr_code edr_symbol(void* library, const char* name, void* place, edr_message* why);
edr_code edr_library(const char* path, void** library, edr_message* why);

#endif
