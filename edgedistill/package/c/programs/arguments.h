/* What the programs are called with: options, then files. Defaults come from the build. */
#ifndef EDGEDISTILL_ARGUMENTS_H
#define EDGEDISTILL_ARGUMENTS_H

#include "edgedistill.h"

#ifndef EDR_LIBRARY
#define EDR_LIBRARY NULL
#endif
#ifndef EDR_FOLDER
#define EDR_FOLDER NULL
#endif

typedef struct {
  edr_options options;
  const char* folder; /* with the model files */
  const char* file;
  bool tokens;
} Arguments;

/* `[--folder PATH] [--library PATH] [--threads N] [--runtime NAME] [--precision NAME] [--tokens]`,
 * then at most one file; false where it is something else. */
bool read_arguments(int count, char** words, Arguments* found);

/* `PROGRAM: why` to standard error. Returns the exit code. */
int complain(const char* program, const edr_message* why);

#endif
