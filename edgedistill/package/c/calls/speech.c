#include <stdio.h>
#include "recognizer.h"

int ask(const float* samples, size_t count) { /* in -1..1 */
  edr_recognizer* recognizer = NULL;
  edr_transcript found;
  edr_message why;
  const edr_options options = {.library = "LIBRARY"}; /* its path; without a slash, where the system looks */
  edr_code code = edr_open("data", &options, &recognizer, &why);
  if (!code) code = edr_transcribe(recognizer, samples, count, NULL, &found, &why);
  if (code) fprintf(stderr, "%s\n", why.text);
  else puts(found.text);
  edr_close(recognizer);
  return code;
}
