/* Programs of model files, run by LiteRT or ONNX Runtime. */
#ifndef EDGEDISTILL_RUNTIME_H
#define EDGEDISTILL_RUNTIME_H

#include "edgedistill.h"

enum { MOST_TENSORS = 512, MOST_AXES = 8 };

typedef struct Engine Engine;
typedef struct Program Program;

/* Where the values of an input come from. */
typedef enum {
  FED,      /* the caller */
  OF_OTHER, /* an output of another program, where it lies */
  OF_STATE, /* an output of the run before; at the beginning all are its zero */
} Source;

typedef struct {
  const char* name;
  Source from;
  size_t place; /* among the outputs that it comes from */
  int32_t zero;
} Input;

/* A program as it is to be loaded; it has to stay as long as what is made of it. */
typedef struct {
  const char* name;    /* among a file's; of a file of one any */
  const char* path;    /* of the file */
  const void* content; /* what is in it, instead; it has to stay */
  size_t bytes;
  size_t input_count, output_count;
  Input inputs[MOST_TENSORS];
  const char* outputs[MOST_TENSORS];
  Program* other; /* of the same engine, closed later; or NULL */
} Plan;

typedef struct {
  edr_dtype dtype;
  size_t bytes; /* of one sample */
} Kind;

/* The places of inputs and outputs are those of the plan. */
typedef struct {
  const char *name, *library;
  edr_code (*open)(const char* library, int threads, Engine** engine, edr_message* why);
  void (*close)(Engine* it); /* after its programs */
  edr_code (*load)(Engine* it, const Plan* plan, Program** program, edr_message* why);
  void (*unload)(Program* it);
  const Kind* (*inputs)(const Program* it);
  const Kind* (*outputs)(const Program* it);
  edr_code (*begin)(Program* it, edr_message* why); /* states as at the beginning */
  edr_code (*feed)(Program* it, size_t place, const void* values, edr_message* why);
  edr_code (*run)(Program* it, edr_message* why);
  /* What the last run gave, until the next; the caller may change it. */
  edr_code (*read)(Program* it, size_t place, void** values, edr_message* why);
} Runtime;
extern const Runtime edr_litert, edr_onnxruntime;

/* A runtime with its library loaded. */
typedef struct {
  const Runtime* runtime;
  Engine* engine;
} Running;

/* runtime.c */
edr_code edr_start(const char* runtime, const edr_options* options, Running* running,
                   edr_message* why);
void edr_stop(Running* running);
size_t edr_bytes_of(edr_dtype dtype);
void edr_fill_zeros(void* values, Kind kind, int32_t zero);

#endif
