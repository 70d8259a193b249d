/* What the parts of the recognizer share. */
#ifndef EDGEDISTILL_SPEECH_H
#define EDGEDISTILL_SPEECH_H

#include "parts.h"
#include "recognizer.h"
#include "runtime.h"

/* The two programs of a runtime and precision. */
typedef struct {
  const char *runtime, *precision, *encode_file, *step_file;
  uint64_t encode_bytes, step_bytes;
  Plan encode, step;
  size_t token, position; /* among a step's inputs */
  size_t logits;          /* among its outputs */
} Pair;

typedef struct {
  int32_t* tokens;
  size_t count;
} Tokens;

/* What the files say; all names lie in `content`. */
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

/* What was made of a window; `tokens` stay until the next. */
typedef struct {
  Tokens tokens;
  double log_probability, no_speech;
  bool ended, looped;
} Decoded;

/* Room for a transcript's tokens, and what decodes them. */
typedef struct {
  const Runtime* runtime;
  Program *encode, *step;
  const Rules* rules;
  const edr_guards* guards;
  const edr_wishes* wishes;
  int32_t* said; /* `rules->limit` of them */
} Decoding;

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

#endif
