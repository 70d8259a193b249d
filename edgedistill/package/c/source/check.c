/* The self-test: what a package's programs give for its golden data, held against what they should. */
#include "model.h"
#include "parts.h"
#include "recognizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number of a file, as it is there. */
static double number_at(edr_dtype dtype, const char* from, size_t at) {
  float real;
  int16_t narrow;
  int32_t wide;
  switch (dtype) {
    case EDR_INT8: return ((const int8_t*)from)[at];
    case EDR_UINT8: return ((const uint8_t*)from)[at];
    case EDR_INT16: memcpy(&narrow, from + at * sizeof narrow, sizeof narrow); return narrow;
    case EDR_INT32: memcpy(&wide, from + at * sizeof wide, sizeof wide); return wide;
    case EDR_FLOAT32: memcpy(&real, from + at * sizeof real, sizeof real); return real;
    default: return NAN;
  }
}

/* Adds to `checked`; returns how many lie within the tolerance. */
static size_t compare(const edr_tensor* tensor, const char* wanted, const char* found,
                      double tolerance, edr_checked* checked) {
  size_t within = 0, each = edr_bytes_of(tensor->dtype);
  for (size_t at = 0; at < tensor->count; at++) {
    double far = fabs(number_at(tensor->dtype, wanted, at) - number_at(tensor->dtype, found, at));
    within += far <= tolerance;
    checked->equal += memcmp(wanted + at * each, found + at * each, each) == 0;
    if (!(far <= checked->worst)) checked->worst = far;
  }
  checked->compared += tensor->count;
  return within;
}

static edr_code run_golden(Model* model, const edr_golden* golden, const char* input,
                           const char* output, edr_checked* checked, edr_message* why) {
  const edr_program* told = golden->program;
  const Runtime* runtime = model->running.runtime;
  const edr_tensor *fed = &told->inputs[told->fresh], *answer = &told->outputs[told->answer];
  size_t step = fed->count * edr_bytes_of(fed->dtype), within = 0;
  size_t given = answer->count * edr_bytes_of(answer->dtype);
  for (size_t at = 0; at < golden->samples; at++) {
    void* values;
    TRY(runtime->feed(model->program, told->fresh, input + at * step, why));
    TRY(runtime->run(model->program, why));
    TRY(runtime->read(model->program, told->answer, &values, why));
    within += compare(answer, output + at * given, values, golden->tolerance, checked);
  }
  double share = (double)within / (double)(golden->samples * answer->count);
  if (share < checked->within) checked->within = share;
  checked->ok &= share >= golden->share;
  return EDR_OK;
}

static edr_code check_golden(const edr_app* app, const edr_golden* golden, const char* folder,
                             const edr_options* options, edr_checked* checked, edr_message* why) {
  const edr_program* told = golden->program;
  const edr_tensor *fed = &told->inputs[told->fresh], *answer = &told->outputs[told->answer];
  Model model;
  char *input = NULL, *output = NULL;
  edr_code code = edr_open_model(app, told, folder, options, &model, why);
  if (!code)
    code = edr_read_array(folder, golden->input,
                      golden->samples * fed->count * edr_bytes_of(fed->dtype), &input, why);
  if (!code)
    code = edr_read_array(folder, golden->output,
                      golden->samples * answer->count * edr_bytes_of(answer->dtype), &output, why);
  if (!code) code = run_golden(&model, golden, input, output, checked, why);
  free(input);
  free(output);
  edr_close_model(&model);
  return code;
}

/* How many tokens are put in, left out or changed (Levenshtein); `row` has room for those that are
 * wanted, and one. */
static size_t edits_of(const edr_transcript* found, const edr_utterance* wanted, size_t* row) {
  for (size_t to = 0; to <= wanted->count; to++) row[to] = to;
  for (size_t segment = 0; segment < found->count; segment++)
    for (size_t at = 0; at < found->segments[segment].count; at++) {
      size_t before = row[0]++;
      for (size_t to = 0; to < wanted->count; to++) {
        size_t changed = before + (found->segments[segment].tokens[at] != wanted->tokens[to]);
        size_t other = 1 + (row[to] < row[to + 1] ? row[to] : row[to + 1]);
        before = row[to + 1];
        row[to + 1] = changed < other ? changed : other;
      }
    }
  return row[wanted->count];
}

static edr_code check_utterance(edr_recognizer* it, const char* folder,
                                const edr_utterance* wanted, edr_checked* checked,
                                edr_message* why) {
  edr_transcript found;
  float* samples = NULL;
  size_t count;
  char* path;
  TRY(edr_path(folder, wanted->file, &path, why));
  edr_code code = edr_read_wav(path, edr_rate(it), &samples, &count, why);
  if (!code) code = edr_transcribe(it, samples, count, NULL, &found, why);
  size_t* row = NULL;
  if (!code) code = edr_allocate(&row, wanted->count + 1, sizeof *row, why);
  if (!code) {
    checked->compared += wanted->count;
    checked->edits += edits_of(&found, wanted, row);
  }
  free(row);
  free(samples);
  free(path);
  return code;
}

static edr_code check_utterances(const edr_app* app, const char* folder,
                                 const edr_options* options, edr_checked* checked,
                                 edr_message* why) {
  edr_recognizer* it;
  TRY(edr_open(folder, options, &it, why));
  edr_code code = EDR_OK;
  for (size_t at = 0; at < app->utterance_count && !code; at++)
    code = check_utterance(it, folder, &app->utterances[at], checked, why);
  edr_close(it);
  checked->ok = (double)checked->edits <= app->edits * (double)checked->compared;
  return code;
}

edr_code edr_self_test(const edr_app* app, const char* folder, const edr_options* options,
                       edr_checked* checked, edr_message* why) {
  if (why) *why->text = 0;
  if (!app || !folder || !checked)
    return edr_say(why, EDR_ARGUMENT, "an app, its folder and a place are needed");
  *checked = (edr_checked){.within = 1.0, .ok = true};
  if (app->utterance_count) return check_utterances(app, folder, options, checked, why);
  for (size_t at = 0; at < app->golden_count; at++)
    TRY(check_golden(app, &app->golden[at], folder, options, checked, why));
  return EDR_OK;
}
