/* A program of a package, opened, and what goes in and comes out of it in real numbers. */
#ifndef EDGEDISTILL_MODEL_H
#define EDGEDISTILL_MODEL_H

#include "runtime.h"

typedef struct {
  const edr_program* told;
  Running running;
  Plan* plan;
  Program* program;
  void* native; /* an input's numbers */
  float* answer;
} Model;

/* model.c */
edr_code edr_open_model(const edr_app* app, const edr_program* told, const char* folder,
                        const edr_options* options, Model* model, edr_message* why);
void edr_close_model(Model* model);
void edr_encode(const edr_tensor* tensor, const float* real, void* native);
void edr_decode(const edr_tensor* tensor, const void* native, float* real);
edr_code edr_infer(Model* model, const float* real, edr_message* why);
void edr_softmax(const float* logits, size_t count, double temperature, double* values);
edr_code edr_probabilities(const edr_app* app, const float* logits, double* values,
                           edr_message* why);

/* sound.c */
edr_code edr_prepare_sound(const float* samples, size_t count, const edr_sound_form* form,
                           float* window, edr_message* why);

#endif
