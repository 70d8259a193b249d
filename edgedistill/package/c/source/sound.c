/* Which part of a recording a model hears: `clip_window` of edgedistill/data/sound/window.py, which
 * is the reference. */
#include "model.h"
#include "parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MS = 10, AFTER_MS = 250 };
static const double LOUD = 30.0, ABOVE = 6.0, QUIET_SHARE = 0.2, MOST_SHARE = 0.9;

static size_t least(size_t one, size_t other) { return one < other ? one : other; }

static int by_size(const void* one, const void* other) {
  double a = *(const double*)one, b = *(const double*)other;
  return (a > b) - (a < b);
}

/* Mean squares of the frames, each with those beside it, in decibels. */
static void measure(const int16_t* samples, size_t frame, size_t count, double* level) {
  double before = 0.0, here = 0.0;
  for (size_t at = 0; at <= count; at++) {
    double next = 0.0;
    for (size_t each = 0; at < count && each < frame; each++) {
      double sample = samples[at * frame + each];
      next += sample * sample;
    }
    next /= (double)frame;
    if (at) level[at - 1] = 10.0 * log10((before + here + next) / 3.0 + 1e-3);
    before = here;
    here = next;
  }
}

/* What a fifth is below, between two of them in proportion. */
static double quantile(double* sorted, size_t count) {
  qsort(sorted, count, sizeof *sorted, by_size);
  double place = QUIET_SHARE * (double)(count - 1);
  size_t low = (size_t)place, high = least(low + 1, count - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (place - (double)low);
}

/* The first frame from which on the shortest stretch has enough of the loudness is found; returns
 * where that ends, or `count` where nothing stands out. until: (count + 1,), loudness so far. */
static size_t end_of_speech(const double* until, size_t count, size_t longest) {
  double most = 0.0;
  for (size_t at = 0; at + longest <= count; at++)
    most = fmax(most, until[at + longest] - until[at]);
  if (most == 0.0) return 0;
  size_t shortest = count + 1, found = count, end = 0;
  for (size_t start = 0; start < count; start++) {
    while (end <= count && until[end] < until[start] + MOST_SHARE * most) end++;
    if (end <= count && end - start < shortest) shortest = end - start, found = end;
  }
  return found;
}

/* Where speech ends, in samples. */
static edr_code spoken_end(const int16_t* samples, size_t count, int rate, size_t longest,
                           size_t* end, edr_message* why) {
  size_t frame = (size_t)rate * FRAME_MS / 1000;
  if (!frame) frame = 1;
  size_t frames = count / frame;
  double *level, *sorted = NULL;
  *end = count;
  if (!frames) return EDR_OK;
  TRY(edr_allocate(&level, frames + 1, sizeof *level, why));
  edr_code code = edr_allocate(&sorted, frames, sizeof *sorted, why);
  if (!code) {
    measure(samples, frame, frames, level);
    memcpy(sorted, level, frames * sizeof *level);
    double quiet = quantile(sorted, frames) + ABOVE;
    quiet = fmax(quiet, sorted[frames - 1] - LOUD);
    double sum = 0.0;
    for (size_t at = 0; at <= frames; at++) {
      double louder = at < frames ? fmax(level[at] - quiet, 0.0) : 0.0;
      level[at] = sum;
      sum += louder;
    }
    size_t wide = longest / frame ? longest / frame : 1;
    size_t found = end_of_speech(level, frames, least(wide, frames));
    if (found) *end = found * frame;
  }
  free(level);
  free(sorted);
  return code;
}

/* Where the window begins; below 0 where silence comes first. */
static edr_code begin_of(const int16_t* samples, size_t count, const edr_sound_form* form,
                         int64_t* begin, edr_message* why) {
  int64_t spare = (int64_t)count - (int64_t)form->samples;
  size_t end;
  *begin = spare;
  if (form->cut == EDR_MIDDLE) *begin = spare >= 0 ? spare / 2 : -((1 - spare) / 2);
  if (form->cut != EDR_SPOKEN || spare <= 0) return EDR_OK;
  TRY(spoken_end(samples, count, form->rate, form->samples, &end, why));
  int64_t from = (int64_t)end + (int64_t)form->rate * AFTER_MS / 1000 - (int64_t)form->samples;
  *begin = from < 0 ? 0 : from > spare ? spare : from;
  return EDR_OK;
}

/* Samples rounded to 16 bits, as a file of them would be, into a window in -1..1. */
edr_code edr_prepare_sound(const float* samples, size_t count, const edr_sound_form* form,
                           float* window, edr_message* why) {
  int16_t* rounded;
  int64_t begin;
  TRY(edr_allocate(&rounded, count, sizeof *rounded, why));
  edr_round_to_int16(samples, count, rounded);
  edr_code code = begin_of(rounded, count, form, &begin, why);
  for (int64_t at = 0; !code && at < (int64_t)form->samples; at++) {
    int64_t place = begin + at;
    bool inside = place >= 0 && place < (int64_t)count;
    window[at] = inside ? (float)rounded[place] / 32768.0f : 0.0f;
  }
  free(rounded);
  return code;
}
