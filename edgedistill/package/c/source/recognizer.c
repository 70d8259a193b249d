/* A bundle opened, and sound of any length transcribed with it. */
#include "speech.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct edr_recognizer {
  Rules rules;
  Running running;
  Program *encode, *step;
  int16_t* rounded; /* a window, as a file would hold it */
  float* window;
  int32_t* said;
  edr_segment* segments; /* of the last sound */
  size_t count;
  char* text;
};

static edr_code check_kind(Kind kind, edr_dtype dtype, size_t count, const char* what,
                           edr_message* why) {
  if (kind.dtype == dtype && kind.bytes == count * edr_bytes_of(dtype)) return EDR_OK;
  return edr_say(why, EDR_DAMAGED, "`%s` is not %zu of %s", what, count,
                 dtype == EDR_INT32 ? "int32" : "float32");
}

static edr_code load(edr_recognizer* it, const char* folder, edr_message* why) {
  Pair* pair = &it->rules.pair;
  const Runtime* runtime = it->running.runtime;
  char *encode, *step = NULL;
  TRY(edr_path(folder, pair->encode_file, &encode, why));
  edr_code code = edr_path(folder, pair->step_file, &step, why);
  pair->encode.path = encode;
  pair->step.path = step;
  if (!code) code = runtime->load(it->running.engine, &pair->encode, &it->encode, why);
  pair->step.other = it->encode;
  if (!code) code = runtime->load(it->running.engine, &pair->step, &it->step, why);
  free(encode);
  free(step);
  return code;
}

static edr_code check_ends(const edr_recognizer* it, edr_message* why) {
  const Runtime* runtime = it->running.runtime;
  const Pair* pair = &it->rules.pair;
  const Kind* takes = runtime->inputs(it->step);
  TRY(check_kind(*runtime->inputs(it->encode), EDR_FLOAT32, it->rules.window, "samples", why));
  TRY(check_kind(takes[pair->token], EDR_INT32, 1, "token", why));
  TRY(check_kind(takes[pair->position], EDR_INT32, 1, "position", why));
  return check_kind(runtime->outputs(it->step)[pair->logits], EDR_FLOAT32, it->rules.token_count,
                    "logits", why);
}

static edr_code fill(edr_recognizer* it, const char* folder, const edr_options* options,
                     edr_message* why) {
  TRY(edr_read_rules(folder, options, &it->rules, why));
  TRY(edr_allocate(&it->rounded, it->rules.window, sizeof *it->rounded, why));
  TRY(edr_allocate(&it->window, it->rules.window, sizeof *it->window, why));
  TRY(edr_allocate(&it->said, it->rules.limit, sizeof *it->said, why));
  TRY(edr_start(it->rules.pair.runtime, options, &it->running, why));
  TRY(load(it, folder, why));
  return check_ends(it, why);
}

edr_code edr_open(const char* folder, const edr_options* options, edr_recognizer** opened,
                  edr_message* why) {
  static const edr_options none = {0};
  if (why) *why->text = 0;
  if (opened) *opened = NULL;
  if (!folder || !opened) return edr_say(why, EDR_ARGUMENT, "a folder and a place are needed");
  edr_recognizer* it;
  TRY(edr_allocate(&it, 1, sizeof *it, why));
  edr_code code = fill(it, folder, options ? options : &none, why);
  if (code) edr_close(it);
  else *opened = it;
  return code;
}

/* What was found of the last sound. */
static void forget(edr_recognizer* it) {
  for (size_t at = 0; at < it->count; at++) {
    free((void*)(uintptr_t)it->segments[at].text);
    free((void*)(uintptr_t)it->segments[at].tokens);
  }
  free(it->segments);
  free(it->text);
  it->segments = NULL;
  it->text = NULL;
  it->count = 0;
}

void edr_close(edr_recognizer* it) {
  if (!it) return;
  forget(it);
  if (it->step) it->running.runtime->unload(it->step);
  if (it->encode) it->running.runtime->unload(it->encode);
  edr_stop(&it->running);
  free(it->rounded);
  free(it->window);
  free(it->said);
  edr_free_rules(&it->rules);
  free(it);
}

int edr_rate(const edr_recognizer* it) { return it->rules.rate; }

size_t edr_window(const edr_recognizer* it) { return it->rules.window; }

const char* edr_runtime(const edr_recognizer* it) { return it->rules.pair.runtime; }

const char* edr_precision(const edr_recognizer* it) { return it->rules.pair.precision; }

const char* edr_language(const edr_recognizer* it) { return it->rules.language; }

edr_guards edr_guards_of(const edr_recognizer* it) { return it->rules.guards; }

/* A whole window in -1..1, with silence after what is shorter. */
static void fill_window(edr_recognizer* it, size_t count) {
  for (size_t at = 0; at < it->rules.window; at++)
    it->window[at] = at < count ? (float)it->rounded[at] / 32768.0f : 0.0f;
}

static edr_code add_segment(edr_recognizer* it, const Decoded* found, double start, double end,
                            edr_message* why) {
  size_t tokens = found->tokens.count;
  edr_segment* more = realloc(it->segments, (it->count + 1) * sizeof *more);
  if (!more) return edr_say(why, EDR_MEMORY, "not enough memory for a segment");
  it->segments = more;
  int32_t* said;
  TRY(edr_allocate(&said, tokens, sizeof *said, why));
  if (tokens) memcpy(said, found->tokens.tokens, tokens * sizeof *said);
  char* text = NULL;
  size_t bytes = 0;
  edr_code code = edr_text_of(&it->rules, found->tokens, &text, &bytes, why);
  if (code) free(said);
  TRY(code);
  it->segments[it->count++] = (edr_segment){
      start, end, text, bytes, said, tokens, found->log_probability, found->no_speech,
      found->ended, found->looped};
  return EDR_OK;
}

/* The texts one behind the other, with a space between where the language writes any. */
static edr_code join(edr_recognizer* it, edr_transcript* found, edr_message* why) {
  size_t bytes = 0;
  for (size_t at = 0; at < it->count; at++) bytes += it->segments[at].bytes + 1;
  TRY(edr_allocate(&it->text, bytes + 1, 1, why));
  bytes = 0;
  for (size_t at = 0; at < it->count; at++) {
    const edr_segment* each = &it->segments[at];
    if (!each->bytes) continue;
    if (bytes && it->rules.spaced) it->text[bytes++] = ' ';
    memcpy(it->text + bytes, each->text, each->bytes);
    bytes += each->bytes;
  }
  found->text = it->text;
  found->bytes = bytes;
  return EDR_OK;
}

static edr_code transcribe(edr_recognizer* it, const float* samples, size_t count,
                           const edr_wishes* wishes, edr_message* why) {
  Decoding decoding = {it->running.runtime, it->encode, it->step, &it->rules,
                       wishes->guards ? wishes->guards : &it->rules.guards, wishes, it->said};
  Decoded found;
  double rate = it->rules.rate;
  TRY(edr_check_samples(samples, count, why));
  if (decoding.guards->longest < 1)
    return edr_say(why, EDR_ARGUMENT, "guards: `longest` is 1 or more");
  for (size_t at = 0, piece; at < count; at += piece) {
    size_t left = count - at;
    edr_round_to_int16(samples + at, left < it->rules.window ? left : it->rules.window, it->rounded);
    piece = edr_next_piece(it->rounded, left, it->rules.window, it->rules.rate);
    if (edr_silent(it->rounded, piece, it->rules.rate)) continue;
    fill_window(it, piece);
    TRY(edr_greedy(&decoding, it->window, &found, why));
    TRY(add_segment(it, &found, (double)at / rate, (double)(at + piece) / rate, why));
    if (wishes->on_segment) wishes->on_segment(&it->segments[it->count - 1], wishes->own);
  }
  return EDR_OK;
}

edr_code edr_transcribe(edr_recognizer* it, const float* samples, size_t count,
                        const edr_wishes* wishes, edr_transcript* found, edr_message* why) {
  static const edr_wishes none = {0};
  if (why) *why->text = 0;
  if (!it || !found) return edr_say(why, EDR_ARGUMENT, "a recognizer and a place are needed");
  *found = (edr_transcript){0};
  forget(it);
  TRY(transcribe(it, samples, count, wishes ? wishes : &none, why));
  TRY(join(it, found, why));
  found->segments = it->segments;
  found->count = it->count;
  found->seconds = (double)count / it->rules.rate;
  return EDR_OK;
}
