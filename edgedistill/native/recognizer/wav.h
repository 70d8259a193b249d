/* A WAV file of one channel, 16-bit or float32. */
#ifndef EDGEDISTILL_RECOGNIZER_WAV_H
#define EDGEDISTILL_RECOGNIZER_WAV_H

#include "recognizer.h"

/* Its samples in -1..1, which the caller frees. */
edr_code read_wav(const char* path, int rate, float** samples, size_t* count, edr_message* why);

#endif
