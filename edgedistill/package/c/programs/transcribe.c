/* transcribe BUNDLE FILE.wav: the text of a recording. */
#define _POSIX_C_SOURCE 200809L
#include "recognizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] =
    "usage: transcribe [--runtime NAME] [--precision NAME] [--library PATH] [--threads N]\n"
    "                  [--tokens] BUNDLE FILE.wav\n";

typedef struct {
  edr_options options;
  bool tokens;
  const char *bundle, *sound;
} Order;

static bool parse(int count, char** words, Order* order) {
  int plain = 0;
  for (int at = 1; at < count; at++) {
    const char* word = words[at];
    const char* value = at + 1 < count ? words[at + 1] : NULL;
    bool takes = true;
    if (strcmp(word, "--tokens") == 0) order->tokens = true, takes = false;
    else if (strncmp(word, "--", 2) != 0) {
      *(plain++ ? &order->sound : &order->bundle) = word;
      takes = false;
    } else if (!value) return false;
    else if (strcmp(word, "--runtime") == 0) order->options.runtime = value;
    else if (strcmp(word, "--precision") == 0) order->options.precision = value;
    else if (strcmp(word, "--library") == 0) order->options.library = value;
    else if (strcmp(word, "--threads") == 0) order->options.threads = atoi(value);
    else return false;
    at += takes;
  }
  return plain == 2;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* START END TOKEN TOKEN ..., a line for each segment. */
static void print_tokens(const edr_transcript* found) {
  for (size_t at = 0; at < found->count; at++) {
    const edr_segment* each = &found->segments[at];
    printf("%.6f %.6f", each->start, each->end);
    for (size_t token = 0; token < each->count; token++) printf(" %d", (int)each->tokens[token]);
    putchar('\n');
  }
}

static edr_code recognize(const Order* order, edr_recognizer** it, float** samples,
                          edr_message* why) {
  edr_transcript found;
  size_t count;
  double begun = now();
  edr_code code = edr_open(order->bundle, &order->options, it, why);
  double opened = now();
  if (!code) code = edr_read_wav(order->sound, edr_rate(*it), samples, &count, why);
  if (!code) code = edr_transcribe(*it, *samples, count, NULL, &found, why);
  if (code) return code;
  fprintf(stderr, "%s, %s: opened in %.3f s, %.3f s of sound in %.3f s\n", edr_runtime(*it),
          edr_precision(*it), opened - begun, found.seconds, now() - opened);
  fwrite(found.text, 1, found.bytes, stdout);
  putchar('\n');
  if (order->tokens) print_tokens(&found);
  return EDR_OK;
}

int main(int count, char** words) {
  Order order = {0};
  edr_recognizer* it = NULL;
  float* samples = NULL;
  edr_message why;
  if (!parse(count, words, &order)) {
    fputs(usage, stderr);
    return 2;
  }
  edr_code code = recognize(&order, &it, &samples, &why);
  if (code) fprintf(stderr, "transcribe: %s\n", why.text);
  free(samples);
  edr_close(it);
  if (fflush(stdout) != 0) return 1;
  return code ? 1 : 0;
}
