/* A picture as a model is to see it. The resizing is Pillow's to the bit (its `Resample.c`, bilinear
 * with 8-bit pixels): weights are whole numbers of 22 bits, and each way is rounded to bytes. */
#include "parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WEIGHT_BITS = 22, HALF = 1 << (WEIGHT_BITS - 1), MOST_SIDE = 1 << 16 };

typedef struct {
  int width, height, channels;
  uint8_t* pixels;
} Image;

/* Of each pixel that comes out: the first that it is made of, how many, and their weights. */
typedef struct {
  int most;
  int *first, *count;
  int32_t* weights; /* `most` for each */
} Weights;

static void free_weights(Weights* it) {
  free(it->first);
  free(it->count);
  free(it->weights);
}

/* The triangle over `scale` pixels around `center`, cut off at the picture's ends. */
static edr_code weigh(int from, float low, float high, int into, Weights* it, edr_message* why) {
  double scale = (double)(high - low) / into, wide = scale < 1.0 ? 1.0 : scale, *real;
  *it = (Weights){.most = (int)ceil(wide) * 2 + 1};
  TRY(edr_allocate(&it->first, (size_t)into, sizeof *it->first, why));
  TRY(edr_allocate(&it->count, (size_t)into, sizeof *it->count, why));
  TRY(edr_allocate(&it->weights, (size_t)into * (size_t)it->most, sizeof *it->weights, why));
  TRY(edr_allocate(&real, (size_t)it->most, sizeof *real, why));
  for (int at = 0; at < into; at++) {
    double center = low + (at + 0.5) * scale, total = 0.0;
    int first = (int)(center - wide + 0.5), end = (int)(center + wide + 0.5);
    if (first < 0) first = 0;
    if (end > from) end = from;
    for (int each = 0; each < end - first; each++) {
      double far = fabs((each + first - center + 0.5) * (1.0 / wide));
      real[each] = far < 1.0 ? 1.0 - far : 0.0;
      total += real[each];
    }
    for (int each = 0; each < end - first; each++) {
      double share = total != 0.0 ? real[each] / total : real[each];
      it->weights[at * it->most + each] = (int32_t)(0.5 + share * (1 << WEIGHT_BITS));
    }
    it->first[at] = first;
    it->count[at] = end - first;
  }
  free(real);
  return EDR_OK;
}

static uint8_t cut_off(int32_t sum) {
  sum >>= WEIGHT_BITS;
  return sum < 0 ? 0 : sum > 255 ? 255 : (uint8_t)sum;
}

static void across(const Image* from, int top, const Weights* it, Image* into) {
  int channels = from->channels;
  for (int y = 0; y < into->height; y++) {
    const uint8_t* row = from->pixels + (size_t)(y + top) * (size_t)(from->width * channels);
    uint8_t* out = into->pixels + (size_t)y * (size_t)(into->width * channels);
    for (int x = 0; x < into->width; x++)
      for (int channel = 0; channel < channels; channel++) {
        int32_t sum = HALF;
        for (int each = 0; each < it->count[x]; each++)
          sum += row[(it->first[x] + each) * channels + channel] * it->weights[x * it->most + each];
        *out++ = cut_off(sum);
      }
  }
}

static void down(const Image* from, int top, const Weights* it, Image* into) {
  size_t row = (size_t)(from->width * from->channels);
  for (int y = 0; y < into->height; y++) {
    const uint8_t* begin = from->pixels + (size_t)(it->first[y] - top) * row;
    for (size_t x = 0; x < row; x++) {
      int32_t sum = HALF;
      for (int each = 0; each < it->count[y]; each++)
        sum += begin[(size_t)each * row + x] * it->weights[y * it->most + each];
      into->pixels[(size_t)y * row + x] = cut_off(sum);
    }
  }
}

/* In pixels; as Pillow takes it, rounded to float32. */
typedef struct {
  float left, top, right, bottom;
} Box;

static edr_code allocate(Image* it, int width, int height, int channels, edr_message* why) {
  *it = (Image){.width = width, .height = height, .channels = channels};
  return edr_allocate(&it->pixels, (size_t)width * (size_t)height * (size_t)channels, 1, why);
}

/* Whether it is scaled across before it is scaled down, as Pillow chooses since its version 13; older
 * ones always do, which is a step of 255 apart in some pixels of pictures that are much too high. */
static bool across_first(const Image* from, const Image* into) {
  int lower = from->height - into->height;
  return !(lower > 0 && lower > 2 * (from->width - into->width));
}

/* Both ways, by way of `between`. Rows that no other is made of are not scaled across. */
static edr_code both_ways(const Image* from, const Weights* columns, const Weights* rows,
                          Image* into, Image* between, edr_message* why) {
  int last = into->height - 1, top = rows->first[0];
  if (!across_first(from, into)) {
    TRY(allocate(between, from->width, into->height, from->channels, why));
    down(from, 0, rows, between);
    across(between, 0, columns, into);
    return EDR_OK;
  }
  int height = rows->first[last] + rows->count[last] - top;
  TRY(allocate(between, into->width, height, from->channels, why));
  across(from, top, columns, between);
  down(between, top, rows, into);
  return EDR_OK;
}

/* A way that would change nothing is left out. */
static edr_code scale(const Image* from, Box box, const Weights* columns, const Weights* rows,
                      Image* into, Image* between, edr_message* why) {
  bool wide = into->width != from->width || box.left != 0 || box.right != (float)into->width;
  bool high = into->height != from->height || box.top != 0 || box.bottom != (float)into->height;
  size_t bytes = (size_t)from->width * (size_t)from->height * (size_t)from->channels;
  if (wide && high) return both_ways(from, columns, rows, into, between, why);
  if (wide) across(from, 0, columns, into);
  else if (high) down(from, 0, rows, into);
  else memcpy(into->pixels, from->pixels, bytes);
  return EDR_OK;
}

/* The part of a picture in `box`, not in whole pixels, into all of another. */
static edr_code resize(const Image* from, Box box, Image* into, edr_message* why) {
  Weights columns = {0}, rows = {0};
  Image between = {0};
  edr_code code = weigh(from->width, box.left, box.right, into->width, &columns, why);
  if (!code) code = weigh(from->height, box.top, box.bottom, into->height, &rows, why);
  if (!code) code = scale(from, box, &columns, &rows, into, &between, why);
  free_weights(&columns);
  free_weights(&rows);
  free(between.pixels);
  return code;
}

static uint8_t over_white(uint8_t value, uint8_t alpha) {
  unsigned sum = (unsigned)value * alpha + 255u * (255u - alpha);
  unsigned rounded = sum * 128u + 0x4000u; /* as Pillow's alpha_composite has it, in 7 more bits */
  return (uint8_t)(((rounded >> 8) + rounded) >> 8 >> 7);
}

/* Luma of ITU-R 601, in whole numbers. */
static uint8_t grey_of(const uint8_t* color) {
  return (uint8_t)((color[0] * 19595u + color[1] * 38470u + color[2] * 7471u + 0x8000u) >> 16);
}

static void convert_pixel(const uint8_t* from, int channels, uint8_t* into, int wanted) {
  bool alpha = channels % 2 == 0;
  uint8_t color[3];
  for (int at = 0; at < 3; at++) {
    color[at] = from[channels < 3 ? 0 : at];
    if (alpha) color[at] = over_white(color[at], from[channels - 1]);
  }
  if (wanted == 3) memcpy(into, color, 3);
  else *into = channels < 3 ? color[0] : grey_of(color);
}

static edr_code convert(const edr_picture* from, int channels, Image* into, edr_message* why) {
  TRY(allocate(into, from->width, from->height, channels, why));
  size_t stride = from->stride ? from->stride : (size_t)from->width * (size_t)from->channels;
  uint8_t* out = into->pixels;
  for (int y = 0; y < from->height; y++)
    for (int x = 0; x < from->width; x++, out += channels)
      convert_pixel(from->pixels + (size_t)y * stride + (size_t)x * (size_t)from->channels,
                    from->channels, out, channels);
  return EDR_OK;
}

static double least(double one, double other) { return one < other ? one : other; }

/* The largest part in the middle with the form's proportions. */
static Box middle(const Image* from, const edr_picture_form* form) {
  double shape = (double)form->width / form->height;
  double width = least(from->width, from->height * shape);
  double height = least(from->height, from->width / shape);
  double left = (from->width - width) / 2, top = (from->height - height) / 2;
  return (Box){(float)left, (float)top, (float)(left + width), (float)(top + height)};
}

static int side(double scaled, int most) {
  int found = (int)(scaled + 0.5);
  return found < 1 ? 1 : found > most ? most : found;
}

/* All of it in the middle of black; odd pixels are right and below. */
static edr_code fit(const Image* from, const edr_picture_form* form, uint8_t* pixels,
                    edr_message* why) {
  double ratio = least((double)form->width / from->width, (double)form->height / from->height);
  const Box all = {0, 0, (float)from->width, (float)from->height};
  size_t channels = (size_t)from->channels, row = (size_t)form->width * channels;
  Image small;
  TRY(allocate(&small, side(from->width * ratio, form->width),
               side(from->height * ratio, form->height), from->channels, why));
  edr_code code = resize(from, all, &small, why);
  size_t left = (size_t)(form->width - small.width) / 2, bytes = (size_t)small.width * channels;
  size_t top = (size_t)(form->height - small.height) / 2;
  memset(pixels, 0, row * (size_t)form->height);
  for (size_t y = 0; y < (size_t)small.height; y++)
    memcpy(pixels + (top + y) * row + left * channels, small.pixels + y * bytes, bytes);
  free(small.pixels);
  return code;
}

static edr_code check(const edr_picture* picture, const edr_picture_form* form, edr_message* why) {
  if (!picture || !form || !picture->pixels) return edr_say(why, EDR_ARGUMENT, "no picture");
  if (picture->width < 1 || picture->height < 1 || picture->width > MOST_SIDE ||
      picture->height > MOST_SIDE)
    return edr_say(why, EDR_ARGUMENT, "a picture of %dx%d pixels", picture->width, picture->height);
  if (picture->channels < 1 || picture->channels > 4)
    return edr_say(why, EDR_ARGUMENT, "a picture of %d bytes a pixel", picture->channels);
  return EDR_OK;
}

edr_code edr_prepare_picture(const edr_picture* picture, const edr_picture_form* form,
                             uint8_t* pixels, edr_message* why) {
  TRY(check(picture, form, why));
  Image whole = {0};
  edr_code code = convert(picture, form->channels, &whole, why);
  Image into = {form->width, form->height, form->channels, pixels};
  const Box all = {0, 0, (float)picture->width, (float)picture->height};
  if (!code && whole.width == into.width && whole.height == into.height)
    memcpy(pixels, whole.pixels, (size_t)into.width * (size_t)into.height * (size_t)into.channels);
  else if (!code && form->resize == EDR_FIT) code = fit(&whole, form, pixels, why);
  else if (!code)
    code = resize(&whole, form->resize == EDR_CROP ? middle(&whole, form) : all, &into, why);
  free(whole.pixels);
  return code;
}
