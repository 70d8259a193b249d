/* transcribe FILE.wav: the text of a recording. */
#define _POSIX_C_SOURCE 200809L
#include "arguments.h"
#include "recognizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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

static edr_code transcribe(const Arguments* asked, edr_recognizer** it, float** samples,
                           edr_message* why) {
  edr_transcript found;
  size_t count;
  double begun = now();
  edr_code code = edr_open(asked->folder, &asked->options, it, why);
  double opened = now();
  if (!code) code = edr_read_wav(asked->file, edr_rate(*it), samples, &count, why);
  if (!code) code = edr_transcribe(*it, *samples, count, NULL, &found, why);
  if (code) return code;
  fprintf(stderr, "%s, %s: opened in %.3f s, %.3f s of sound in %.3f s\n", edr_runtime(*it),
          edr_precision(*it), opened - begun, found.seconds, now() - opened);
  fwrite(found.text, 1, found.bytes, stdout);
  putchar('\n');
  if (asked->tokens) print_tokens(&found);
  return EDR_OK;
}

int main(int count, char** words) {
  edr_recognizer* it = NULL;
  float* samples = NULL;
  edr_message why;
  Arguments asked;
  if (!read_arguments(count, words, &asked) || !asked.file || !asked.folder) {
    fputs("usage: transcribe [--folder PATH] [--library PATH] [--threads N] [--runtime NAME]\n"
          "                  [--precision NAME] [--tokens] FILE.wav\n", stderr);
    return 2;
  }
  edr_code code = transcribe(&asked, &it, &samples, &why);
  free(samples);
  edr_close(it);
  if (code) return complain("transcribe", &why);
  return fflush(stdout) != 0;
}
