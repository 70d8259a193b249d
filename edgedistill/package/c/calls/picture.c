#include <stdio.h>
#include "APP.h"

int ask(const uint8_t* pixels, int width, int height) { /* RGB, row by row from the top */
  edr_classifier* classifier = NULL;
  edr_answer answer;
  edr_message why;
  const edr_options options = {.library = "LIBRARY"}; /* its path; without a slash, where the system looks */
  edr_code code = edr_open_classifier(&APP, "data", &options, &classifier, &why);
  if (!code) code = edr_classify_picture(classifier, &(edr_picture){pixels, width, height, 3, 0}, &answer, &why);
  if (code) fprintf(stderr, "%s\n", why.text);
  else PRINTED;
  edr_close_classifier(classifier);
  return code;
}
