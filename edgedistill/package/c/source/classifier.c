/* Pictures and sounds, one at a time, and what is counted of the answers. */
#include "model.h"
#include "parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct edr_classifier {
  const edr_app* app;
  Model model;
  uint8_t* pixels; /* of a picture, height by width by channels */
  float* real;     /* what is fed */
  float* logits;   /* of each label */
  char* texts;     /* float32 (labels, values of an answer), or NULL */
  double *values, *counted_values;
  uint64_t samples, routed;
  uint64_t *classes, *confidences; /* counted */
};

static edr_code check_app(const edr_app* app, edr_message* why) {
  const edr_picture_form* picture = app->picture;
  if (!app->main || (!picture && !app->sound))
    return edr_say(why, EDR_NO_MODEL, "%s does not classify", app->name);
  const edr_tensor* input = &app->main->inputs[app->main->fresh];
  size_t wanted = app->sound ? app->sound->samples
                             : (size_t)picture->width * (size_t)picture->height *
                                   (size_t)picture->channels;
  size_t given = app->main->outputs[app->main->answer].count;
  if (input->count != wanted || (given != app->label_count && !app->texts))
    return edr_say(why, EDR_DAMAGED, "%s: its constants do not fit each other", app->name);
  return EDR_OK;
}

static edr_code read_texts(edr_classifier* it, const char* folder, edr_message* why) {
  const edr_app* app = it->app;
  if (!app->texts) return EDR_OK;
  if (!folder) return edr_say(why, EDR_ARGUMENT, "the folder with %s is needed", app->texts->file);
  size_t values = app->label_count * app->main->outputs[app->main->answer].count;
  return edr_read_array(folder, app->texts->file, values * sizeof(float), &it->texts, why);
}

static edr_code fill(edr_classifier* it, const char* folder, const edr_options* options,
                     edr_message* why) {
  const edr_app* app = it->app;
  TRY(check_app(app, why));
  size_t count = app->main->inputs[app->main->fresh].count, labels = app->label_count;
  TRY(edr_open_model(app, app->main, folder, options, &it->model, why));
  TRY(read_texts(it, folder, why));
  TRY(edr_allocate(&it->pixels, count, 1, why));
  TRY(edr_allocate(&it->logits, labels, sizeof *it->logits, why));
  TRY(edr_allocate(&it->real, count, sizeof *it->real, why));
  TRY(edr_allocate(&it->values, labels, sizeof *it->values, why));
  TRY(edr_allocate(&it->counted_values, labels, sizeof *it->counted_values, why));
  TRY(edr_allocate(&it->classes, labels, sizeof *it->classes, why));
  return edr_allocate(&it->confidences, app->edge_count + 1, sizeof *it->confidences, why);
}

edr_code edr_open_classifier(const edr_app* app, const char* folder, const edr_options* options,
                             edr_classifier** opened, edr_message* why) {
  if (why) *why->text = 0;
  if (!app || !opened) return edr_say(why, EDR_ARGUMENT, "an app and a place are needed");
  *opened = NULL;
  edr_classifier* it;
  TRY(edr_allocate(&it, 1, sizeof *it, why));
  it->app = app;
  edr_code code = fill(it, folder, options, why);
  if (code) edr_close_classifier(it);
  else *opened = it;
  return code;
}

void edr_close_classifier(edr_classifier* it) {
  if (!it) return;
  edr_close_model(&it->model);
  free(it->pixels);
  free(it->real);
  free(it->logits);
  free(it->texts);
  free(it->values);
  free(it->counted_values);
  free(it->classes);
  free(it->confidences);
  free(it);
}

static size_t largest(const double* values, size_t count) {
  size_t found = 0;
  for (size_t at = 1; at < count; at++)
    if (values[at] > values[found]) found = at;
  return found;
}

/* The bin of edr_app's edges; one that is an edge is in the bin above. */
static void count_answer(edr_classifier* it, const edr_answer* answer) {
  const edr_app* app = it->app;
  it->samples++;
  it->routed += answer->route;
  it->classes[answer->place]++;
  if (!app->edge_count) return;
  edr_softmax(it->logits, app->label_count, app->counted_temperature, it->counted_values);
  double confidence = it->counted_values[answer->place];
  size_t bin = 0;
  while (bin < app->edge_count && app->edges[bin] <= confidence) bin++;
  it->confidences[bin]++;
}

/* Of what the model gave: itself, or how near it is to each text. */
static void find_logits(edr_classifier* it) {
  const edr_app* app = it->app;
  const float* given = it->model.answer;
  size_t count = app->main->outputs[app->main->answer].count;
  double length = 0.0;
  if (!app->texts) {
    memcpy(it->logits, given, app->label_count * sizeof *given);
    return;
  }
  for (size_t at = 0; at < count; at++) length += (double)given[at] * given[at];
  length = fmax(sqrt(length), 1e-12);
  for (size_t label = 0; label < app->label_count; label++) {
    double product = 0.0;
    for (size_t at = 0; at < count; at++) {
      float text;
      memcpy(&text, it->texts + (label * count + at) * sizeof text, sizeof text);
      product += given[at] / length * text;
    }
    it->logits[label] = (float)(app->texts->scale * product);
  }
}

static edr_code classify(edr_classifier* it, edr_answer* answer, edr_message* why) {
  const edr_app* app = it->app;
  TRY(edr_infer(&it->model, it->real, why));
  find_logits(it);
  TRY(edr_probabilities(app, it->logits, it->values, why));
  size_t place = largest(it->values, app->label_count);
  double confidence = it->values[place];
  *answer = (edr_answer){.label = app->activation == EDR_NONE ? NULL : app->labels[place],
                         .place = place,
                         .confidence = confidence,
                         .values = it->values,
                         .count = app->label_count,
                         .route = app->activation != EDR_NONE && confidence < app->threshold};
  if (app->activation != EDR_NONE) count_answer(it, answer);
  return EDR_OK;
}

/* Bytes, rows of pixels, into reals in 0..1 as the model's layout has them. */
static void spread(const edr_picture_form* form, const uint8_t* pixels, float* real) {
  size_t channels = (size_t)form->channels, area = (size_t)form->width * (size_t)form->height;
  for (size_t pixel = 0; pixel < area; pixel++)
    for (size_t channel = 0; channel < channels; channel++) {
      size_t place = form->channels_last ? pixel * channels + channel : channel * area + pixel;
      real[place] = (float)pixels[pixel * channels + channel] / 255.0f;
    }
}

edr_code edr_classify_picture(edr_classifier* it, const edr_picture* picture, edr_answer* answer,
                              edr_message* why) {
  if (why) *why->text = 0;
  if (!it || !answer) return edr_say(why, EDR_ARGUMENT, "a classifier and a place are needed");
  if (!it->app->picture) return edr_say(why, EDR_NO_MODEL, "%s takes no pictures", it->app->name);
  TRY(edr_prepare_picture(picture, it->app->picture, it->pixels, why));
  spread(it->app->picture, it->pixels, it->real);
  return classify(it, answer, why);
}

edr_code edr_classify_sound(edr_classifier* it, const float* samples, size_t count,
                            edr_answer* answer, edr_message* why) {
  if (why) *why->text = 0;
  if (!it || !answer) return edr_say(why, EDR_ARGUMENT, "a classifier and a place are needed");
  if (!it->app->sound) return edr_say(why, EDR_NO_MODEL, "%s takes no sound", it->app->name);
  TRY(edr_check_samples(samples, count, why));
  TRY(edr_prepare_sound(samples, count, it->app->sound, it->real, why));
  return classify(it, answer, why);
}

/* Text in a place of a fixed size. */
typedef struct {
  char* text;
  size_t room, bytes;
} Writing;

static void put(Writing* it, const char* format, ...) __attribute__((format(printf, 2, 3)));

static void put(Writing* it, const char* format, ...) {
  va_list values;
  size_t left = it->bytes < it->room ? it->room - it->bytes : 0;
  va_start(values, format);
  int written = vsnprintf(left ? it->text + it->bytes : NULL, left, format, values);
  va_end(values);
  it->bytes += written < 0 ? 0 : (size_t)written;
}

static void put_counts(Writing* out, const uint64_t* counts, size_t count) {
  for (size_t at = 0; at < count; at++)
    put(out, "%s%llu", at ? ", " : "", (unsigned long long)counts[at]);
}

/* A number as JSON has it wherever a comma stands for the point. */
static void put_number(Writing* out, double number) {
  char text[32];
  snprintf(text, sizeof text, "%.17g", number);
  for (char* at = text; *at; at++)
    if (*at == ',') *at = '.';
  put(out, "%s", text);
}

size_t edr_counters(const edr_classifier* it, char* text, size_t room) {
  const edr_app* app = it->app;
  Writing out = {text, room, 0};
  put(&out, "{\"format\": 1, \"bundle\": \"%s\", \"samples\": %llu, \"classes\": [", app->bundle,
      (unsigned long long)it->samples);
  put_counts(&out, it->classes, app->label_count);
  put(&out, "], \"edges\": [");
  for (size_t at = 0; at < app->edge_count; at++) {
    if (at) put(&out, ", ");
    put_number(&out, app->edges[at]);
  }
  put(&out, "], \"confidences\": [");
  put_counts(&out, it->confidences, app->edge_count ? app->edge_count + 1 : 0);
  put(&out, "], \"routed\": %llu}\n", (unsigned long long)it->routed);
  return out.bytes;
}
