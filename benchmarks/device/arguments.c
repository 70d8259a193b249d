/* The command line. */
#define _GNU_SOURCE
#include "runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static long whole(const char* flag, const char* text) {
  char* end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (end == text || *end || errno || value < 0) fail("%s: `%s` is no count", flag, text);
  return value;
}

static double real(const char* flag, const char* text) {
  char* end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= 0)) fail("%s: `%s` is no time", flag, text);
  return value;
}

static void add(Ends* ends, const char* flag, char* text) {
  char* equals = strrchr(text, '=');
  if (!equals || equals == text || !equals[1]) fail("%s: `%s` is not NAME=FILE", flag, text);
  if (ends->count == MOST_TENSORS) fail("%s: more than %d", flag, MOST_TENSORS);
  *equals = 0;
  ends->names[ends->count] = text;
  ends->files[ends->count++] = equals + 1;
}

static bool take_value(Order* order, const char* flag, char* value) {
  if (strcmp(flag, "--runtime") == 0) order->runtime = value;
  else if (strcmp(flag, "--library") == 0) order->library = value;
  else if (strcmp(flag, "--model") == 0) order->model = value;
  else if (strcmp(flag, "--program") == 0) order->program = value;
  else if (strcmp(flag, "--record") == 0) report_into(order->record = value);
  else if (strcmp(flag, "--profile") == 0) order->profile = value;
  else if (strcmp(flag, "--cpus") == 0) order->cpus = value;
  else if (strcmp(flag, "--input") == 0) add(&order->inputs, flag, value);
  else if (strcmp(flag, "--output") == 0) add(&order->outputs, flag, value);
  else if (strcmp(flag, "--threads") == 0) order->threads = (int)whole(flag, value);
  else if (strcmp(flag, "--warmup") == 0) order->warmup = whole(flag, value);
  else if (strcmp(flag, "--minimum") == 0) order->minimum = whole(flag, value);
  else if (strcmp(flag, "--runs") == 0) order->runs = whole(flag, value);
  else if (strcmp(flag, "--seconds") == 0) order->seconds = real(flag, value);
  else if (strcmp(flag, "--minimum-seconds") == 0) order->minimum_seconds = real(flag, value);
  else return false;
  return true;
}

Order parse(int count, char** arguments) {
  Order order = {
      .program = "main", .threads = 1, .warmup = 10, .minimum = 10, .runs = 200, .seconds = 5};
  for (int at = 1; at < count; at++) {
    const char* flag = arguments[at];
    if (strcmp(flag, "--memory") == 0) order.memory = true;
    else if (strcmp(flag, "--mark") == 0) order.mark = true;
    else if (at + 1 == count || !take_value(&order, flag, arguments[++at]))
      fail("`%s` is no option, or lacks its value", flag);
  }
  if (!order.runtime || !order.library || !order.model || !order.record || !order.inputs.count)
    fail("--runtime, --library, --model, --input and --record are needed");
  return order;
}
