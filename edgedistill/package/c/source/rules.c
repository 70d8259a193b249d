/* `recognizer.txt` of a bundle: lines of fields between tabs, in a fixed order. */
#include "speech.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, LARGEST_FILE = 256 << 20, MOST_TOKENS = 1 << 24, MOST_GUARDED = 10000 };

typedef struct {
  const char* path;
  char *next, *field; /* the next line; the next field of this one, NULL behind the last */
  size_t line;
  edr_message* why;
} Reader;

static edr_code damaged(const Reader* it, const char* what) {
  return edr_say(it->why, EDR_DAMAGED, "%s: line %zu: %s; compile the bundle again", it->path,
                 it->line, what);
}

static edr_code next_line(Reader* it) {
  char* end = strchr(it->next, '\n');
  it->line++;
  if (!end) return damaged(it, "the file ends there");
  *end = 0;
  it->field = it->next;
  it->next = end + 1;
  return EDR_OK;
}

static char* next_field(Reader* it) {
  char* found = it->field;
  if (!found) return NULL;
  char* tab = strchr(found, '\t');
  if (tab) *tab = 0;
  it->field = tab ? tab + 1 : NULL;
  return found;
}

/* The next line, which begins with that word. */
static edr_code expect(Reader* it, const char* key) {
  TRY(next_line(it));
  const char* found = next_field(it);
  if (strcmp(found, key) == 0) return EDR_OK;
  char what[128];
  snprintf(what, sizeof what, "`%.40s` stands where `%s` should", found, key);
  return damaged(it, what);
}

static edr_code read_text(Reader* it, const char** text) {
  *text = next_field(it);
  return *text && **text ? EDR_OK : damaged(it, "a word is missing");
}

static edr_code read_number(Reader* it, int64_t low, int64_t high, int64_t* number) {
  const char* text;
  char* end;
  TRY(read_text(it, &text));
  errno = 0;
  *number = strtoll(text, &end, 10);
  if (*end || errno || *number < low || *number > high)
    return damaged(it, "a number is missing, or out of its bounds");
  return EDR_OK;
}

static edr_code read_line_number(Reader* it, const char* key, int64_t low, int64_t high,
                                 int64_t* number) {
  TRY(expect(it, key));
  return read_number(it, low, high, number);
}

static size_t count_fields(const Reader* it) {
  size_t count = it->field != NULL;
  for (const char* at = it->field; at && *at; at++) count += *at == '\t';
  return count;
}

static edr_code read_tokens(Reader* it, const char* key, Tokens* found) {
  TRY(expect(it, key));
  size_t count = count_fields(it);
  TRY(edr_allocate(&found->tokens, count, sizeof *found->tokens, it->why));
  for (int64_t token; found->count < count; found->count++) {
    TRY(read_number(it, 0, MOST_TOKENS, &token));
    found->tokens[found->count] = (int32_t)token;
  }
  return EDR_OK;
}

static edr_code read_name(Reader* it, size_t* count, const char** name) {
  if (*count == MOST_TENSORS) return damaged(it, "more tensors than a model has");
  (*count)++;
  return read_text(it, name);
}

static edr_code read_inputs(Reader* it, const char* key, Plan* plan) {
  TRY(expect(it, key));
  for (plan->input_count = 0; it->field;)
    TRY(read_name(it, &plan->input_count, &plan->inputs[plan->input_count].name));
  return EDR_OK;
}

static edr_code read_outputs(Reader* it, const char* key, Plan* plan) {
  TRY(expect(it, key));
  for (plan->output_count = 0; it->field;)
    TRY(read_name(it, &plan->output_count, &plan->outputs[plan->output_count]));
  return EDR_OK;
}

static edr_code read_file(Reader* it, const char* key, const char** name, uint64_t* bytes) {
  int64_t number;
  TRY(read_line_number(it, key, 1, INT64_MAX, &number));
  *bytes = (uint64_t)number;
  TRY(read_text(it, name));
  return strchr(*name, '/') ? damaged(it, "names a file elsewhere") : EDR_OK;
}

/* Where each input of a step comes from: `token`, `position`, `heard 3`, `state 5`. */
static edr_code read_sources(Reader* it, Pair* pair) {
  enum { TOKEN, POSITION, HEARD, STATE };
  static const char* const words[] = {"token", "position", "heard", "state"};
  Plan* step = &pair->step;
  TRY(expect(it, "from"));
  pair->token = pair->position = MOST_TENSORS;
  for (size_t at = 0; at < step->input_count; at++) {
    const char* text;
    char* end;
    TRY(read_text(it, &text));
    size_t source = 0, length = strcspn(text, " ");
    while (source < 4 && (strlen(words[source]) != length || strncmp(words[source], text, length)))
      source++;
    size_t place = strtoul(text + length, &end, 10);
    size_t most = source == HEARD ? pair->encode.output_count : step->output_count;
    if (source > STATE || (source >= HEARD && !text[length]) || *end || place >= most)
      return damaged(it, "an input comes from nowhere");
    if (source == TOKEN) pair->token = at;
    if (source == POSITION) pair->position = at;
    step->inputs[at].from = source == HEARD ? OF_OTHER : source == STATE ? OF_STATE : FED;
    step->inputs[at].place = place;
  }
  if (pair->token == MOST_TENSORS || pair->position == MOST_TENSORS)
    return damaged(it, "no input takes a token and its position");
  return EDR_OK;
}

static edr_code read_pair(Reader* it, Pair* pair) {
  *pair = (Pair){.encode = {.name = "encode", .input_count = 1, .inputs = {{.name = "samples"}}},
                 .step = {.name = "decode_step"}};
  TRY(expect(it, "pair"));
  TRY(read_text(it, &pair->runtime));
  TRY(read_text(it, &pair->precision));
  TRY(read_file(it, "encode", &pair->encode_file, &pair->encode_bytes));
  TRY(read_file(it, "decode_step", &pair->step_file, &pair->step_bytes));
  TRY(read_outputs(it, "heard", &pair->encode));
  TRY(read_inputs(it, "takes", &pair->step));
  TRY(read_outputs(it, "gives", &pair->step));
  TRY(read_sources(it, pair));
  for (pair->logits = 0; pair->logits < pair->step.output_count; pair->logits++)
    if (strcmp(pair->step.outputs[pair->logits], "logits") == 0) return EDR_OK;
  return damaged(it, "no output is `logits`");
}

static bool wanted(const char* asked, const char* found) {
  return !asked || strcmp(asked, found) == 0;
}

/* Of all pairs the one that was asked for: of the shipped precision and runtime, or as near to them
 * as that allows. */
static edr_code choose_pair(Reader* it, const edr_options* options, Rules* rules) {
  const char *runtime, *precision;
  int64_t count;
  int best = -1;
  Pair* pair;
  TRY(expect(it, "shipped"));
  TRY(read_text(it, &runtime));
  TRY(read_text(it, &precision));
  TRY(read_line_number(it, "pairs", 0, 1000, &count));
  TRY(edr_allocate(&pair, 1, sizeof *pair, it->why));
  edr_code code = EDR_OK;
  for (int64_t at = 0; at < count && !code; at++) {
    code = read_pair(it, pair);
    if (code || !wanted(options->runtime, pair->runtime)) continue;
    if (!wanted(options->precision, pair->precision)) continue;
    int near = 2 * wanted(precision, pair->precision) + wanted(runtime, pair->runtime);
    if (near > best) best = near, rules->pair = *pair;
  }
  free(pair);
  if (code || best >= 0) return code;
  return edr_say(it->why, EDR_NO_MODEL, "%s: has no files of runtime %s and precision %s", it->path,
                 options->runtime ? options->runtime : "(any)",
                 options->precision ? options->precision : "(any)");
}

static int hex(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* A line of hexadecimal digits into bytes, in its own place. */
static edr_code read_piece(Reader* it, const uint8_t** piece, uint32_t* bytes) {
  TRY(next_line(it));
  char* text = it->field;
  size_t count = strlen(text);
  for (size_t at = 0; at + 1 < count; at += 2) {
    int high = hex(text[at]), low = hex(text[at + 1]);
    if (high < 0 || low < 0) return damaged(it, "is no token");
    text[at / 2] = (char)(16 * high + low);
  }
  *piece = (const uint8_t*)text;
  *bytes = (uint32_t)(count / 2);
  return count % 2 ? damaged(it, "is no token") : EDR_OK;
}

static edr_code read_pieces(Reader* it, Rules* rules) {
  int64_t count;
  TRY(read_line_number(it, "tokens", 1, MOST_TOKENS, &count));
  rules->token_count = (size_t)count;
  TRY(edr_allocate(&rules->pieces, rules->token_count, sizeof *rules->pieces, it->why));
  TRY(edr_allocate(&rules->piece_bytes, rules->token_count, sizeof *rules->piece_bytes, it->why));
  for (size_t at = 0; at < rules->token_count; at++)
    TRY(read_piece(it, &rules->pieces[at], &rules->piece_bytes[at]));
  return *it->next ? damaged(it, "more follows") : EDR_OK;
}

static edr_code read_guards(Reader* it, edr_guards* guards) {
  int64_t repeats, longest, share, exponent;
  TRY(read_line_number(it, "repeats", -1, MOST_GUARDED, &repeats));
  TRY(read_line_number(it, "longest", 1, MOST_GUARDED, &longest));
  TRY(read_line_number(it, "most_no_speech", 0, (int64_t)1 << 53, &share));
  TRY(read_number(it, -1200, 1, &exponent));
  *guards = (edr_guards){(int)repeats, (int)longest, ldexp((double)share, (int)exponent)};
  return EDR_OK;
}

static edr_code read_sizes(Reader* it, Rules* rules) {
  int64_t version, rate, window, spaced, limit;
  TRY(read_line_number(it, "edgedistill recognizer", 0, INT64_MAX, &version));
  if (version != VERSION) return damaged(it, "is of another version");
  TRY(read_line_number(it, "rate", 1000, 768000, &rate));
  TRY(read_line_number(it, "window", 2, 100000000, &window));
  TRY(expect(it, "language"));
  TRY(read_text(it, &rules->language));
  TRY(read_line_number(it, "spaced", 0, 1, &spaced));
  TRY(read_line_number(it, "limit", 2, 1 << 20, &limit));
  rules->rate = (int)rate;
  rules->window = (size_t)window;
  rules->spaced = spaced != 0;
  rules->limit = (size_t)limit;
  return EDR_OK;
}

static bool are_tokens(Tokens tokens, size_t count) {
  for (size_t at = 0; at < tokens.count; at++)
    if ((size_t)tokens.tokens[at] >= count) return false;
  return true;
}

static edr_code read_all(Reader* it, const edr_options* options, Rules* rules) {
  int64_t end, no_speech;
  TRY(read_sizes(it, rules));
  TRY(read_tokens(it, "prompt", &rules->prompt));
  if (!rules->prompt.count || rules->prompt.count >= rules->limit)
    return damaged(it, "no transcript can begin so");
  TRY(read_line_number(it, "end", 0, MOST_TOKENS, &end));
  TRY(read_tokens(it, "suppressed", &rules->suppressed));
  TRY(read_tokens(it, "suppressed_first", &rules->suppressed_first));
  TRY(read_line_number(it, "no_speech", -1, MOST_TOKENS, &no_speech));
  TRY(read_guards(it, &rules->guards));
  TRY(choose_pair(it, options, rules));
  TRY(read_pieces(it, rules));
  size_t count = rules->token_count;
  rules->end = (int32_t)end;
  rules->no_speech = (int32_t)no_speech;
  if (!are_tokens(rules->prompt, count) || !are_tokens(rules->suppressed, count) ||
      !are_tokens(rules->suppressed_first, count) || end >= (int64_t)count ||
      no_speech >= (int64_t)count)
    return damaged(it, "a rule names what is no token");
  return EDR_OK;
}

static edr_code check_size(const char* folder, const char* name, uint64_t bytes, edr_message* why) {
  char* path;
  TRY(edr_path(folder, name, &path, why));
  edr_code code = edr_check_size(path, bytes, why);
  free(path);
  return code;
}

static edr_code read_content(const char* path, Rules* rules, edr_message* why) {
  size_t bytes;
  TRY(edr_read_file(path, LARGEST_FILE, &rules->content, &bytes, why));
  if (strlen(rules->content) == bytes) return EDR_OK;
  return edr_say(why, EDR_DAMAGED, "%s: is no text; compile the bundle again", path);
}

/* `rules` begins as zeros, and is to be freed whatever comes back. */
edr_code edr_read_rules(const char* folder, const edr_options* options, Rules* rules,
                        edr_message* why) {
  char* path;
  TRY(edr_path(folder, "recognizer.txt", &path, why));
  edr_code code = read_content(path, rules, why);
  Reader reader = {.path = path, .next = rules->content, .why = why};
  if (!code) code = read_all(&reader, options, rules);
  free(path);
  TRY(code);
  const Pair* pair = &rules->pair;
  TRY(check_size(folder, pair->encode_file, pair->encode_bytes, why));
  return check_size(folder, pair->step_file, pair->step_bytes, why);
}

void edr_free_rules(Rules* rules) {
  free(rules->prompt.tokens);
  free(rules->suppressed.tokens);
  free(rules->suppressed_first.tokens);
  free(rules->pieces);
  free(rules->piece_bytes);
  free(rules->content);
}
