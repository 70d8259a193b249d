#include "arguments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is(const char* word, const char* option) { return strcmp(word, option) == 0; }

bool read_arguments(int count, char** words, Arguments* found) {
  *found = (Arguments){.options = {.library = EDR_LIBRARY}, .folder = EDR_FOLDER};
  for (int at = 1; at < count; at++) {
    const char* word = words[at];
    const char* value = at + 1 < count ? words[at + 1] : NULL;
    if (is(word, "--tokens")) {
      found->tokens = true;
    } else if (strncmp(word, "--", 2) != 0) {
      if (found->file) return false;
      found->file = word;
    } else {
      if (!value) return false;
      if (is(word, "--folder")) found->folder = value;
      else if (is(word, "--library")) found->options.library = value;
      else if (is(word, "--threads")) found->options.threads = atoi(value);
      else if (is(word, "--runtime")) found->options.runtime = value;
      else if (is(word, "--precision")) found->options.precision = value;
      else return false;
      at++;
    }
  }
  return true;
}

int complain(const char* program, const edr_message* why) {
  fprintf(stderr, "%s: %s\n", program, why->text);
  return 1;
}
