/* Long sound parted where it is quietest. */
#include "speech.h"

enum { STEP_MS = 10, PAUSE_MS = 200, FRAME_MS = 30 };

static size_t most(size_t one, size_t other) { return one > other ? one : other; }
static size_t least(size_t one, size_t other) { return one < other ? one : other; }

static int64_t square(int16_t sample) { return (int64_t)sample * sample; }

static size_t samples_of(int rate, int ms) {
  return most(1, (size_t)((int64_t)rate * ms / 1000));
}

/* The place from `first` to `last` about which PAUSE_MS have the least mean power; of equals the
 * latest. The energy is carried along from place to place, in whole numbers. */
static size_t quietest(const int16_t* samples, size_t count, size_t first, size_t last, int rate) {
  size_t half = samples_of(rate, PAUSE_MS / 2), begin = 0, end = 0, found = first;
  int64_t energy = 0;
  double lowest = 0;
  for (size_t place = first; place <= last; place += samples_of(rate, STEP_MS)) {
    size_t from = place > half ? place - half : 0, to = least(place + half, count);
    while (end < to) energy += square(samples[end++]);
    while (begin < from) energy -= square(samples[begin++]);
    double power = (double)energy / (double)(to - from);
    if (place == first || power <= lowest) lowest = power, found = place;
  }
  return found;
}

/* How many of the `left` samples are the next piece: at most a window, and what stays is none or at
 * least a second, or of short windows half of one. */
size_t edr_next_piece(const int16_t* held, size_t left, size_t window, int rate) {
  size_t shortest = least((size_t)rate, window / 2);
  if (left <= window) return left;
  size_t last = left >= window + shortest ? window : left - shortest;
  return quietest(held, window, window / 2, last, rate);
}

/* Whether the power of no FRAME_MS is above -70 decibels of full scale. */
bool edr_silent(const int16_t* samples, size_t count, int rate) {
  const double highest = 3.2e-4 * 32768;
  size_t frame = samples_of(rate, FRAME_MS);
  for (size_t at = 0; at < count; at += frame) {
    int64_t energy = 0;
    for (size_t each = at; each < least(at + frame, count); each++) energy += square(samples[each]);
    if ((double)energy / (double)frame > highest * highest) return false;
  }
  return true;
}
