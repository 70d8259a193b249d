/* A package's program as a function of real numbers. */
#include "model.h"

#include "parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether the app's runtime and precision are those that are asked for. */
static edr_code check_asked(const edr_app* app, const edr_options* options, edr_message* why) {
  if (!options) return EDR_OK;
  if (options->runtime && strcmp(options->runtime, app->runtime) != 0)
    return edr_say(why, EDR_NO_MODEL, "%s is for %s, not for %s", app->name, app->runtime,
                   options->runtime);
  if (options->precision && strcmp(options->precision, app->precision) != 0)
    return edr_say(why, EDR_NO_MODEL, "%s is in %s, not in %s", app->name, app->precision,
                   options->precision);
  return EDR_OK;
}

static edr_code make_plan(const edr_program* told, Plan* plan, edr_message* why) {
  if (told->input_count > MOST_TENSORS || told->output_count > MOST_TENSORS)
    return edr_say(why, EDR_NO_MODEL, "more than %d inputs or outputs", MOST_TENSORS);
  plan->name = told->name;
  plan->content = told->content;
  plan->bytes = told->bytes;
  plan->input_count = told->input_count;
  plan->output_count = told->output_count;
  for (size_t at = 0; at < told->output_count; at++) plan->outputs[at] = told->outputs[at].name;
  for (size_t at = 0; at < told->input_count; at++) {
    const edr_tensor* input = &told->inputs[at];
    bool state = input->state >= 0;
    plan->inputs[at] = (Input){input->name, state ? OF_STATE : FED, state ? (size_t)input->state : 0,
                               input->scale != 0.0f ? input->zero_point : 0};
  }
  return EDR_OK;
}

static edr_code check_kind(const Kind* kind, const edr_tensor* tensor, edr_message* why) {
  if (kind->dtype == tensor->dtype && kind->bytes == tensor->count * edr_bytes_of(tensor->dtype))
    return EDR_OK;
  return edr_say(why, EDR_DAMAGED, "`%s` in the file is not what the package says of it",
                 tensor->name);
}

static edr_code load(Model* it, const char* folder, edr_message* why) {
  const edr_program* told = it->told;
  const Runtime* runtime = it->running.runtime;
  char* path = NULL;
  if (!told->content) {
    if (!folder) return edr_say(why, EDR_ARGUMENT, "the folder with %s is needed", told->file);
    TRY(edr_path(folder, told->file, &path, why));
  }
  it->plan->path = path;
  edr_code code = path ? edr_check_size(path, told->bytes, why) : EDR_OK;
  if (!code) code = runtime->load(it->running.engine, it->plan, &it->program, why);
  free(path);
  TRY(code);
  for (size_t at = 0; at < told->input_count; at++)
    TRY(check_kind(&runtime->inputs(it->program)[at], &told->inputs[at], why));
  for (size_t at = 0; at < told->output_count; at++)
    TRY(check_kind(&runtime->outputs(it->program)[at], &told->outputs[at], why));
  return runtime->begin(it->program, why);
}

/* `model` is to be closed whatever comes back. */
edr_code edr_open_model(const edr_app* app, const edr_program* told, const char* folder,
                        const edr_options* options, Model* model, edr_message* why) {
  *model = (Model){.told = told};
  const edr_tensor* fresh = &told->inputs[told->fresh];
  TRY(check_asked(app, options, why));
  TRY(edr_allocate(&model->plan, 1, sizeof *model->plan, why));
  TRY(edr_allocate(&model->native, fresh->count, edr_bytes_of(fresh->dtype), why));
  TRY(edr_allocate(&model->answer, told->outputs[told->answer].count, sizeof(float), why));
  TRY(make_plan(told, model->plan, why));
  TRY(edr_start(app->runtime, options, &model->running, why));
  return load(model, folder, why);
}

void edr_close_model(Model* model) {
  if (model->program) model->running.runtime->unload(model->program);
  edr_stop(&model->running);
  free(model->plan);
  free(model->native);
  free(model->answer);
}

static float cut_off(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

/* As `to_native` of edgedistill/runtimes/native.py. */
void edr_encode(const edr_tensor* tensor, const float* real, void* native) {
  float zero = (float)tensor->zero_point;
  if (tensor->dtype == EDR_FLOAT32) memcpy(native, real, tensor->count * sizeof *real);
  for (size_t at = 0; tensor->scale != 0.0f && at < tensor->count; at++) {
    float steps = rintf(real[at] * tensor->inverse_scale) + zero;
    if (tensor->dtype == EDR_INT8) ((int8_t*)native)[at] = (int8_t)cut_off(steps, -128, 127);
    if (tensor->dtype == EDR_UINT8) ((uint8_t*)native)[at] = (uint8_t)cut_off(steps, 0, 255);
    if (tensor->dtype == EDR_INT16)
      ((int16_t*)native)[at] = (int16_t)cut_off(steps, -32768, 32767);
  }
}

/* As `to_real` of edgedistill/runtimes/native.py. */
void edr_decode(const edr_tensor* tensor, const void* native, float* real) {
  if (tensor->dtype == EDR_FLOAT32) memcpy(real, native, tensor->count * sizeof *real);
  for (size_t at = 0; tensor->scale != 0.0f && at < tensor->count; at++) {
    float stored = 0.0f;
    if (tensor->dtype == EDR_INT8) stored = ((const int8_t*)native)[at];
    if (tensor->dtype == EDR_UINT8) stored = ((const uint8_t*)native)[at];
    if (tensor->dtype == EDR_INT16) stored = ((const int16_t*)native)[at];
    real[at] = (stored - (float)tensor->zero_point) * tensor->scale;
  }
}

/* Feed what is no state, run, and put the answer's real numbers into `answer`. */
edr_code edr_infer(Model* model, const float* real, edr_message* why) {
  const edr_program* told = model->told;
  const Runtime* runtime = model->running.runtime;
  void* values;
  edr_encode(&told->inputs[told->fresh], real, model->native);
  TRY(runtime->feed(model->program, told->fresh, model->native, why));
  TRY(runtime->run(model->program, why));
  TRY(runtime->read(model->program, told->answer, &values, why));
  edr_decode(&told->outputs[told->answer], values, model->answer);
  return EDR_OK;
}

void edr_softmax(const float* logits, size_t count, double temperature, double* values) {
  double highest = logits[0], sum = 0.0;
  for (size_t at = 1; at < count; at++) highest = fmax(highest, logits[at]);
  for (size_t at = 0; at < count; at++)
    sum += values[at] = exp(((double)logits[at] - highest) / temperature);
  for (size_t at = 0; at < count; at++) values[at] /= sum;
}

/* What the answer's real numbers say, one for each of them. */
edr_code edr_probabilities(const edr_app* app, const float* logits, double* values,
                           edr_message* why) {
  size_t count = app->label_count;
  for (size_t at = 0; at < count; at++)
    if (!isfinite(logits[at])) return edr_say(why, EDR_NO_NUMBER, "the model gives what is no number");
  if (app->activation == EDR_SOFTMAX) edr_softmax(logits, count, app->temperature, values);
  for (size_t at = 0; app->activation == EDR_SIGMOID && at < count; at++)
    values[at] = 1.0 / (1.0 + exp(-(double)logits[at]));
  for (size_t at = 0; app->activation == EDR_NONE && at < count; at++) values[at] = logits[at];
  return EDR_OK;
}
