/* Greedy decoding of a window: the likeliest token, one after the other. */
#include "speech.h"

#include <math.h>

static double log_probability(const float* logits, size_t count, int32_t token) {
  double highest = logits[0], sum = 0;
  for (size_t each = 1; each < count; each++)
    if (logits[each] > highest) highest = logits[each];
  for (size_t each = 0; each < count; each++) sum += exp(logits[each] - highest);
  return logits[token] - highest - log(sum);
}

static void suppress(float* logits, Tokens tokens) {
  for (size_t each = 0; each < tokens.count; each++) logits[tokens.tokens[each]] = -INFINITY;
}

static int32_t likeliest(const float* logits, size_t count) {
  size_t best = 0;
  for (size_t each = 1; each < count; each++)
    if (logits[each] > logits[best]) best = each;
  return (int32_t)best;
}

/* How many times the last `n` tokens follow themselves. */
static size_t times_repeated(const int32_t* said, size_t count, size_t n) {
  size_t times = 0;
  for (size_t end = count - n; end >= n; end -= n, times++)
    for (size_t each = 0; each < n; each++)
      if (said[end - n + each] != said[count - n + each]) return times;
  return times;
}

/* The same of the n-gram that repeats most, and its length. */
static size_t loop(const int32_t* said, size_t count, int longest, size_t* length) {
  size_t found = 0;
  *length = 0;
  for (size_t n = 1; n <= (size_t)longest && 2 * n <= count; n++) {
    size_t times = times_repeated(said, count, n);
    if (times > found) found = times, *length = n;
  }
  return found;
}

static edr_code step(const Decoding* it, int32_t token, size_t position, float** logits,
                     edr_message* why) {
  if (it->wishes->go_on && !it->wishes->go_on(it->wishes->own))
    return edr_say(why, EDR_STOPPED, "was told to stop");
  const Pair* pair = &it->rules->pair;
  int32_t place = (int32_t)position;
  void* values;
  TRY(it->runtime->feed(it->step, pair->token, &token, why));
  TRY(it->runtime->feed(it->step, pair->position, &place, why));
  TRY(it->runtime->run(it->step, why));
  TRY(it->runtime->read(it->step, pair->logits, &values, why));
  *logits = values;
  return EDR_OK;
}

static edr_code prompted(const Decoding* it, Decoded* found, float** logits, edr_message* why) {
  const Rules* rules = it->rules;
  for (size_t place = 0; place < rules->prompt.count; place++) {
    TRY(step(it, rules->prompt.tokens[place], place, logits, why));
    if (place == 0 && rules->no_speech >= 0)
      found->no_speech = exp(log_probability(*logits, rules->token_count, rules->no_speech));
  }
  return EDR_OK;
}

/* As `greedy` of edgedistill/transcribing/decoding.py, which is the reference. */
edr_code edr_greedy(const Decoding* it, const float* window, Decoded* found, edr_message* why) {
  const Rules* rules = it->rules;
  float* logits;
  size_t count = 0, length, times;
  double sure = 0, steps = 0;
  *found = (Decoded){.ended = true};
  TRY(it->runtime->feed(it->encode, 0, window, why));
  TRY(it->runtime->run(it->encode, why));
  TRY(it->runtime->begin(it->step, why));
  TRY(prompted(it, found, &logits, why));
  if (found->no_speech > it->guards->no_speech) return EDR_OK;
  for (;;) {
    suppress(logits, rules->suppressed);
    if (!count) suppress(logits, rules->suppressed_first);
    int32_t token = likeliest(logits, rules->token_count);
    sure += log_probability(logits, rules->token_count, token), steps++;
    if (!isfinite(sure)) return edr_say(why, EDR_NO_NUMBER, "the model gives what is no number");
    if (token == rules->end) break;
    it->said[count++] = token;
    times = loop(it->said, count, it->guards->longest, &length);
    found->looped = it->guards->repeats >= 0 && times > (size_t)it->guards->repeats;
    found->ended = !found->looped && rules->prompt.count + count < rules->limit;
    if (found->looped) count -= times * length;
    if (!found->ended) break;
    TRY(step(it, token, rules->prompt.count + count - 1, &logits, why));
  }
  found->tokens = (Tokens){it->said, count};
  found->log_probability = sure / steps;
  return EDR_OK;
}
