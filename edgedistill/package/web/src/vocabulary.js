// Tokens and the text that they are pieces of.

/** What tokens say, without those that are no text. pieces: of `vocabulary.json`, base64. */
export function textOf(tokens, pieces) {
  const bytes = tokens.flatMap((token) => Array.from(atob(pieces[token]), (c) => c.charCodeAt(0)));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return decoder.decode(new Uint8Array(bytes)).trim();
}

/** Texts one behind the other, with a space between where the language writes any. */
export const joined = (texts, spaced) => texts.filter(Boolean).join(spaced ? " " : "");
