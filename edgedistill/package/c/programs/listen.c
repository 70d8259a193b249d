/* listen FILE.wav: the keywords in a recording, fed as if it came from a microphone. */
#include "arguments.h"
#include EDR_APP_HEADER

#include <stdio.h>
#include <stdlib.h>

enum { CHUNK = 1000 }; /* samples at once: any number goes */

static void print_detection(const edr_detection* heard, void* own) {
  (void)own;
  printf("%.3f %s %.6f\n", heard->seconds, heard->keyword, heard->confidence);
}

static edr_code listen(edr_listener* it, const char* path, edr_message* why) {
  float* samples = NULL;
  size_t count;
  edr_code code = edr_read_wav(path, EDR_APP.listening->rate, &samples, &count, why);
  for (size_t at = 0; !code && at < count; at += CHUNK)
    code = edr_listen(it, samples + at, count - at < CHUNK ? count - at : CHUNK, print_detection,
                      NULL, why);
  free(samples);
  return code;
}

int main(int count, char** words) {
  edr_listener* it = NULL;
  edr_message why;
  Arguments asked;
  if (!read_arguments(count, words, &asked) || !asked.file) {
    fputs("usage: listen [--folder PATH] [--library PATH] [--threads N] FILE.wav\n", stderr);
    return 2;
  }
  edr_code code = edr_open_listener(&EDR_APP, asked.folder, &asked.options, &it, &why);
  if (!code) code = listen(it, asked.file, &why);
  edr_close_listener(it);
  return code ? complain("listen", &why) : 0;
}
