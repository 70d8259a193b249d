/* Tokens to text. */
#include "speech.h"

#include <stdlib.h>
#include <string.h>

/* How many bytes at `from` are one character; 0 where they are none, and then `broken` says how
 * many of them are replaced together: the longest beginning of a character (Unicode 16, 3.9). */
static size_t character(const uint8_t* from, size_t left, size_t* broken) {
  uint8_t first = from[0], low = 0x80, high = 0xBF;
  size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  *broken = 1;
  if (length == 0 || first > 0xF4) return 0;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (size_t at = 1; at < length; at++, low = 0x80, high = 0xBF) {
    *broken = at;
    if (at >= left || from[at] < low || from[at] > high) return 0;
  }
  return length;
}

/* Whether a character of valid UTF-8 is white space, as Python's `str.strip` has it. */
static bool white(const char* text, size_t length) {
  static const char* const wide[] = {
      "\xC2\x85", "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005",
      "\u2006", "\u2007", "\u2008", "\u2009", "\u200A", "\u2028", "\u2029", "\u202F", "\u205F",
      "\u3000",
  };
  if (length == 1) return (*text >= 9 && *text <= 13) || (*text >= 28 && *text <= 32);
  for (size_t at = 0; at < sizeof wide / sizeof *wide; at++)
    if (strlen(wide[at]) == length && memcmp(text, wide[at], length) == 0) return true;
  return false;
}

static size_t length_at(const char* text) {
  uint8_t first = (uint8_t)*text;
  return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* Without white space at both ends. */
static size_t strip(char* text, size_t bytes) {
  size_t begin = 0, end = 0;
  while (begin < bytes && white(text + begin, length_at(text + begin)))
    begin += length_at(text + begin);
  for (size_t at = begin; at < bytes; at += length_at(text + at))
    if (!white(text + at, length_at(text + at))) end = at + length_at(text + at);
  size_t kept = end > begin ? end - begin : 0;
  memmove(text, text + begin, kept);
  text[kept] = 0;
  return kept;
}

/* Bytes as text: what is no character is replaced, white space at both ends left out. */
edr_code edr_decode_utf8(const uint8_t* from, size_t count, char** text, size_t* bytes,
                         edr_message* why) {
  static const char replacement[] = "\uFFFD";
  size_t written = 0, broken;
  TRY(edr_allocate(text, 3 * count + 1, 1, why));
  for (size_t at = 0; at < count;) {
    size_t length = character(from + at, count - at, &broken);
    memcpy(*text + written, length ? (const char*)from + at : replacement, length ? length : 3);
    written += length ? length : 3;
    at += length ? length : broken;
  }
  *bytes = strip(*text, written);
  return EDR_OK;
}

edr_code edr_text_of(const Rules* rules, Tokens tokens, char** text, size_t* bytes,
                     edr_message* why) {
  size_t count = 0, at = 0;
  uint8_t* joined;
  for (size_t each = 0; each < tokens.count; each++)
    count += rules->piece_bytes[tokens.tokens[each]];
  TRY(edr_allocate(&joined, count, 1, why));
  for (size_t each = 0; each < tokens.count; each++) {
    size_t length = rules->piece_bytes[tokens.tokens[each]];
    if (length) memcpy(joined + at, rules->pieces[tokens.tokens[each]], length);
    at += length;
  }
  edr_code code = edr_decode_utf8(joined, count, text, bytes, why);
  free(joined);
  return code;
}
