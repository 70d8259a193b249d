/* Keywords in a stream: the step program of edgedistill/listening/ear.py, and the rule of
 * edgedistill/listening/decision.py, which are the reference. */
#include "model.h"
#include "parts.h"

#include <stdlib.h>
#include <string.h>

struct edr_listener {
  const edr_app* app;
  Model model;
  float* kept; /* samples of a hop that is not whole */
  size_t kept_count;
  double* values;     /* of each label */
  double* recent;     /* probabilities of the keywords over the last `smoothing` steps, in turn */
  uint64_t step;      /* steps so far, lead-in apart */
  uint64_t* heard_at; /* of each keyword: 1 + the step that heard it last; 0: none did */
};

static edr_code check_app(const edr_app* app, edr_message* why) {
  const edr_listening* told = app->listening;
  if (!app->step || !told) return edr_say(why, EDR_NO_MODEL, "%s does not listen", app->name);
  bool fits = app->step->inputs[app->step->fresh].count == told->hop && told->smoothing > 0 &&
              app->step->outputs[app->step->answer].count == app->label_count;
  for (size_t at = 0; at < told->count; at++) fits &= told->classes[at] < app->label_count;
  if (fits) return EDR_OK;
  return edr_say(why, EDR_DAMAGED, "%s: its constants do not fit each other", app->name);
}

static edr_code fill(edr_listener* it, const char* folder, const edr_options* options,
                     edr_message* why) {
  const edr_app* app = it->app;
  TRY(check_app(app, why));
  const edr_listening* told = app->listening;
  TRY(edr_open_model(app, app->step, folder, options, &it->model, why));
  TRY(edr_allocate(&it->kept, told->hop, sizeof *it->kept, why));
  TRY(edr_allocate(&it->values, app->label_count, sizeof *it->values, why));
  TRY(edr_allocate(&it->recent, told->smoothing * told->count, sizeof *it->recent, why));
  TRY(edr_allocate(&it->heard_at, told->count, sizeof *it->heard_at, why));
  return edr_restart(it, why);
}

edr_code edr_open_listener(const edr_app* app, const char* folder, const edr_options* options,
                           edr_listener** opened, edr_message* why) {
  if (why) *why->text = 0;
  if (!app || !opened) return edr_say(why, EDR_ARGUMENT, "an app and a place are needed");
  *opened = NULL;
  edr_listener* it;
  TRY(edr_allocate(&it, 1, sizeof *it, why));
  it->app = app;
  edr_code code = fill(it, folder, options, why);
  if (code) edr_close_listener(it);
  else *opened = it;
  return code;
}

void edr_close_listener(edr_listener* it) {
  if (!it) return;
  edr_close_model(&it->model);
  free(it->kept);
  free(it->values);
  free(it->recent);
  free(it->heard_at);
  free(it);
}

edr_code edr_restart(edr_listener* it, edr_message* why) {
  if (why) *why->text = 0;
  if (!it) return edr_say(why, EDR_ARGUMENT, "a listener is needed");
  const edr_listening* told = it->app->listening;
  it->kept_count = 0;
  it->step = 0;
  memset(it->kept, 0, told->hop * sizeof *it->kept);
  memset(it->recent, 0, told->smoothing * told->count * sizeof *it->recent);
  memset(it->heard_at, 0, told->count * sizeof *it->heard_at);
  TRY(it->model.running.runtime->begin(it->model.program, why));
  for (size_t fed = 0; fed + told->hop <= told->lead_in; fed += told->hop)
    TRY(edr_infer(&it->model, it->kept, why));
  return EDR_OK;
}

/* The mean over the last steps, summed from the oldest to the newest, so that it has the same bits
 * as in Python. */
static double smoothed(const edr_listener* it, size_t keyword) {
  const edr_listening* told = it->app->listening;
  double sum = 0.0;
  for (size_t back = told->smoothing; back-- > 0;) {
    uint64_t step = it->step + told->smoothing - back;
    sum += it->recent[step % told->smoothing * told->count + keyword];
  }
  return sum / (double)told->smoothing;
}

typedef void (*OnDetection)(const edr_detection* heard, void* own);

static edr_code take_step(edr_listener* it, const float* samples, OnDetection on_detection,
                          void* own, edr_message* why) {
  const edr_app* app = it->app;
  const edr_listening* told = app->listening;
  TRY(edr_infer(&it->model, samples, why));
  TRY(edr_probabilities(app, it->model.answer, it->values, why));
  for (size_t at = 0; at < told->count; at++)
    it->recent[it->step % told->smoothing * told->count + at] = it->values[told->classes[at]];
  for (size_t at = 0; at < told->count; at++) {
    double confidence = smoothed(it, at);
    bool free_again = !it->heard_at[at] || it->step + 1 - it->heard_at[at] > told->refractory;
    if (!(confidence > told->thresholds[at]) || !free_again) continue;
    it->heard_at[at] = it->step + 1;
    const edr_detection heard = {
        app->labels[told->classes[at]],
        (double)(it->step + 1) * ((double)told->hop / (double)told->rate), confidence};
    if (on_detection) on_detection(&heard, own);
  }
  it->step++;
  return EDR_OK;
}

edr_code edr_listen(edr_listener* it, const float* samples, size_t count, OnDetection on_detection,
                    void* own, edr_message* why) {
  if (why) *why->text = 0;
  if (!it) return edr_say(why, EDR_ARGUMENT, "a listener is needed");
  if (!count) return EDR_OK;
  TRY(edr_check_samples(samples, count, why));
  size_t hop = it->app->listening->hop;
  for (size_t at = 0; at < count; at++) {
    float sample = samples[at];
    it->kept[it->kept_count++] = sample < -1.0f ? -1.0f : sample > 1.0f ? 1.0f : sample;
    if (it->kept_count < hop) continue;
    it->kept_count = 0;
    TRY(take_step(it, it->kept, on_detection, own, why));
  }
  return EDR_OK;
}
