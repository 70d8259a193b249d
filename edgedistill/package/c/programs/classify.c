/* classify IMAGE.ppm (or .pgm, of 8 bits), or FILE.wav: what is on a picture, or in a sound. */
#include "arguments.h"
#include EDR_APP_HEADER

#include <stdio.h>
#include <stdlib.h>

/* `P6 WIDTH HEIGHT 255`, bytes of RGB; P5 of grey. The caller frees the pixels. */
static bool read_picture(FILE* file, edr_picture* picture, uint8_t** pixels) {
  char kind;
  int most;
  if (fscanf(file, "P%c %d %d %d", &kind, &picture->width, &picture->height, &most) != 4)
    return false;
  picture->channels = kind == '6' ? 3 : 1;
  if ((kind != '5' && kind != '6') || most != 255 || fgetc(file) == EOF) return false;
  if (picture->width < 1 || picture->height < 1 || picture->width > 1 << 14 ||
      picture->height > 1 << 14)
    return false;
  size_t bytes = (size_t)picture->width * (size_t)picture->height * (size_t)picture->channels;
  *pixels = malloc(bytes);
  picture->pixels = *pixels;
  return *pixels && fread(*pixels, 1, bytes, file) == bytes;
}

static edr_code of_picture(edr_classifier* it, const char* path, edr_answer* answer,
                           edr_message* why) {
  edr_picture picture = {0};
  uint8_t* pixels = NULL;
  FILE* file = fopen(path, "rb");
  bool read = file && read_picture(file, &picture, &pixels);
  edr_code code = EDR_FILE;
  if (read) code = edr_classify_picture(it, &picture, answer, why);
  else snprintf(why->text, sizeof why->text, "%.400s: is no PPM or PGM of 8 bits", path);
  if (file) fclose(file);
  free(pixels);
  return code;
}

static edr_code of_sound(edr_classifier* it, const char* path, edr_answer* answer,
                         edr_message* why) {
  float* samples = NULL;
  size_t count;
  edr_code code = edr_read_wav(path, EDR_APP.sound->rate, &samples, &count, why);
  if (!code) code = edr_classify_sound(it, samples, count, answer, why);
  free(samples);
  return code;
}

static void print_answer(const edr_answer* answer) {
  if (answer->label)
    printf("%s %.6f%s\n", answer->label, answer->confidence,
           answer->route ? " (ask the teacher)" : "");
  for (size_t at = 0; at < answer->count; at++)
    printf("  %s %.9g\n", EDR_APP.labels[at], answer->values[at]);
}

int main(int count, char** words) {
  edr_classifier* it = NULL;
  edr_answer answer;
  edr_message why;
  Arguments asked;
  if (!read_arguments(count, words, &asked) || !asked.file) {
    fputs("usage: classify [--folder PATH] [--library PATH] [--threads N] FILE\n", stderr);
    return 2;
  }
  edr_code code = edr_open_classifier(&EDR_APP, asked.folder, &asked.options, &it, &why);
  if (!code) code = (EDR_APP.sound ? of_sound : of_picture)(it, asked.file, &answer, &why);
  if (!code) print_answer(&answer);
  edr_close_classifier(it);
  return code ? complain("classify", &why) : 0;
}
