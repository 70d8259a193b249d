/* A compiled model in an app: pictures and sounds classified, keywords listened for, through
 * LiteRT's or ONNX Runtime's own library, which is opened at run time.
 *
 * Nothing here ends the process or prints, and nothing is global: what fails gives a code, and says
 * why in words. Each object is of one thread at a time; several may be used beside each other. */
#ifndef EDGEDISTILL_H
#define EDGEDISTILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  EDR_OK = 0,
  EDR_FILE,      /* a file is not there, or cannot be read */
  EDR_DAMAGED,   /* a file is damaged, or of another kind or version */
  EDR_NO_MODEL,  /* there is no model of that runtime, precision or kind */
  EDR_RUNTIME,   /* the runtime's library is not there, is of another version, or fails */
  EDR_MEMORY,    /* there is not enough */
  EDR_ARGUMENT,  /* the caller gave what cannot be used */
  EDR_NO_NUMBER, /* the model gives what is no number */
  EDR_STOPPED,   /* `go_on` said no */
} edr_code;

/* Why something failed, one line. */
typedef struct {
  char text[512];
} edr_message;

/* What to open; zero or NULL leaves the choice to the package. */
typedef struct {
  const char* runtime;   /* "litert" or "onnxruntime", where there are files for both */
  const char* precision; /* such as "fp32", likewise */
  const char* library;   /* path of the runtime's; by default libLiteRt.so or libonnxruntime.so,
                            where the system looks for libraries */
  int threads;           /* by default 1 */
} edr_options;

/* ---- what a package says of itself, as generated constants ------------------------------------ */

typedef enum {
  EDR_FLOAT32 = 1,
  EDR_FLOAT16,
  EDR_INT8,
  EDR_UINT8,
  EDR_INT16,
  EDR_INT32,
  EDR_INT64,
} edr_dtype;

/* An input or output of one sample. Integers with a scale stand for scale * (n - zero_point). */
typedef struct {
  const char* name;
  edr_dtype dtype;
  size_t count;        /* numbers */
  float scale;         /* 0: has none */
  float inverse_scale; /* 1 / scale, rounded once */
  int32_t zero_point;
  int state;           /* of an input: the place of the output that feeds it; below 0: the app does */
} edr_tensor;

typedef struct {
  const char* name;             /* in its file */
  const char* file;             /* in the folder that is opened */
  const unsigned char* content; /* the same in memory, instead of the file; or NULL */
  size_t bytes;
  const edr_tensor* inputs;
  size_t input_count;
  const edr_tensor* outputs;
  size_t output_count;
  size_t fresh;  /* which input takes what the app feeds */
  size_t answer; /* which output is the answer */
} edr_program;

/* How a picture of another size becomes one of the model's. */
typedef enum {
  EDR_CROP,    /* the largest part in the middle that has the model's proportions */
  EDR_FIT,     /* all of it, with black around */
  EDR_STRETCH, /* all of it, out of its proportions */
} edr_resize;

typedef struct {
  int height, width, channels; /* 1: grey, 3: RGB */
  edr_resize resize;
  bool channels_last; /* whether pixels lie together, or planes of a color */
} edr_picture_form;

/* Which part of a longer sound is heard; a shorter one has silence before it, with EDR_MIDDLE on
 * both sides. */
typedef enum { EDR_END, EDR_MIDDLE, EDR_SPOKEN } edr_cut;

typedef struct {
  int rate; /* samples a second */
  size_t samples;
  edr_cut cut;
} edr_sound_form;

typedef struct {
  int rate;              /* samples a second */
  size_t hop;            /* samples of a step */
  size_t lead_in;        /* samples of silence before the first */
  size_t smoothing;      /* steps over which a probability is averaged */
  uint64_t refractory;   /* steps after a detection without another of the same keyword */
  size_t count;          /* keywords */
  const size_t* classes; /* of each, its label */
  const double* thresholds;
} edr_listening;

/* What an embedding is compared with: divided by its length, its products with these times `scale` are
 * the logits of the labels. */
typedef struct {
  const char* file; /* in the folder: float32, for each label as many as the answer has */
  float scale;
} edr_texts;

/* Inputs and outputs as files, in the model's own numbers, one sample behind the other. */
typedef struct {
  const edr_program* program;
  size_t samples;
  const char* input;  /* file in the folder, of what is fed */
  const char* output; /* of the answers */
  double tolerance;
  double share; /* of all values that are to be within the tolerance */
} edr_golden;

/* A recording, and the tokens that are said in it. */
typedef struct {
  const char* file;
  const int32_t* tokens;
  size_t count;
} edr_utterance;

typedef enum { EDR_SOFTMAX, EDR_SIGMOID, EDR_NONE } edr_activation;

typedef struct {
  const char *name, *runtime, *precision;
  const char* bundle; /* what it was made of: its digest */
  const edr_program *main, *step; /* or NULL */
  const char* const* labels;
  size_t label_count;
  edr_activation activation;
  double temperature;
  double threshold;    /* of a confidence, below which the teacher should be asked; below 0: none */
  const double* edges; /* of the bins of confidences that are counted */
  size_t edge_count;
  double counted_temperature; /* of the confidences that are counted */
  const edr_picture_form* picture; /* or NULL, as the following */
  const edr_sound_form* sound;
  const edr_listening* listening;
  const edr_texts* texts;
  const edr_golden* golden;
  size_t golden_count;
  const edr_utterance* utterances;
  size_t utterance_count;
  double edits; /* of all their tokens, the share that may be put in, left out or changed */
} edr_app;

/* ---- pictures and sounds ----------------------------------------------------------------------- */

typedef struct edr_classifier edr_classifier;

/* Rows of pixels from the top, each of `channels` bytes: 1 grey, 2 with alpha, 3 RGB, 4 RGBA. It is
 * upright: what EXIF says of its orientation is the caller's. */
typedef struct {
  const uint8_t* pixels;
  int width, height, channels;
  size_t stride; /* bytes from a row to the next; 0: they lie close */
} edr_picture;

/* It stays until the next call of the classifier. */
typedef struct {
  const char* label;  /* of the largest; NULL where the model measures */
  size_t place;       /* of the largest */
  double confidence;  /* the largest */
  const double* values; /* of each label: probabilities, or what is measured */
  size_t count;
  bool route; /* whether the teacher should be asked */
} edr_answer;

/* `folder` is where the package's files lie; NULL where they are in memory. `options` and `why` may
 * be NULL here and in what follows. */
edr_code edr_open_classifier(const edr_app* app, const char* folder, const edr_options* options,
                             edr_classifier** opened, edr_message* why);

/* NULL is let pass. The runtime's library stays loaded. */
void edr_close_classifier(edr_classifier* it);

edr_code edr_classify_picture(edr_classifier* it, const edr_picture* picture, edr_answer* answer,
                              edr_message* why);

/* A sound of any length: one channel, in -1..1, at the app's rate. */
edr_code edr_classify_sound(edr_classifier* it, const float* samples, size_t count,
                            edr_answer* answer, edr_message* why);

/* What was answered so far, as JSON, with nothing of what was asked. Returns the bytes that it
 * takes without the 0 behind them; as much as there is room for is written. */
size_t edr_counters(const edr_classifier* it, char* text, size_t room);

/* A picture as the model is to see it, `form->height` by `form->width` by `form->channels` bytes,
 * as Pillow resizes: bilinear, averaging where it shrinks. Transparency is laid over white. */
edr_code edr_prepare_picture(const edr_picture* picture, const edr_picture_form* form,
                             uint8_t* pixels, edr_message* why);

/* ---- keywords ---------------------------------------------------------------------------------- */

typedef struct edr_listener edr_listener;

typedef struct {
  const char* keyword;
  double seconds;    /* from the beginning of the stream to the end of the step that heard it */
  double confidence; /* the smoothed probability */
} edr_detection;

edr_code edr_open_listener(const edr_app* app, const char* folder, const edr_options* options,
                           edr_listener** opened, edr_message* why);

void edr_close_listener(edr_listener* it);

/* The next samples of the stream, as many as there are: one channel, at the app's rate; floats
 * beyond -1..1 are cut. `on_detection` is told of each keyword that is heard. */
edr_code edr_listen(edr_listener* it, const float* samples, size_t count,
                    void (*on_detection)(const edr_detection* heard, void* own), void* own,
                    edr_message* why);

/* Another stream, from its beginning. */
edr_code edr_restart(edr_listener* it, edr_message* why);

/* All of a WAV file of one channel, 16-bit or float32, in -1..1; the caller frees it. */
edr_code edr_read_wav(const char* path, int rate, float** samples, size_t* count, edr_message* why);

/* ---- self-test --------------------------------------------------------------------------------- */

typedef struct {
  size_t compared;  /* numbers, or the tokens that are expected */
  size_t equal;     /* bit for bit; of numbers */
  size_t edits;     /* tokens put in, left out or changed */
  double worst;     /* the largest difference, in the model's own numbers */
  double within;    /* share of the numbers within the tolerance, of the program with the least */
  bool ok;          /* whether no program has less than it should, or more edits than it may */
} edr_checked;

/* Run the golden data in `folder`/golden with the package's files. What differs too much is EDR_OK
 * too, and `checked->ok` false. */
edr_code edr_self_test(const edr_app* app, const char* folder, const edr_options* options,
                       edr_checked* checked, edr_message* why);

#ifdef __cplusplus
}
#endif

#endif
