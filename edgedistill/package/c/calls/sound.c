#include <stdio.h>
#include "APP.h"

int ask(const float* samples, size_t count) { /* in -1..1 */
  edr_classifier* classifier = NULL;
  edr_answer answer;
  edr_message why;
  const edr_options options = {.library = "LIBRARY"}; /* its path; without a slash, where the system looks */
  edr_code code = edr_open_classifier(&APP, "data", &options, &classifier, &why);
  if (!code) code = edr_classify_sound(classifier, samples, count, &answer, &why);
  if (code) fprintf(stderr, "%s\n", why.text);
  else PRINTED;
  edr_close_classifier(classifier);
  return code;
}
