// Greedy decoding: the likeliest token, one after the other, by an app's rules and guards.

import { largest } from "./numbers.js";

/**
 * step: async (token, position) => logits, Float32Array, of what follows. rules, guards:
 * `transcription` of app.json. Returns {tokens, logProbability, noSpeech, ended, looped}: without
 * prompt and end; the natural logarithm of a token's probability on average, the end with them.
 */
export async function greedy(step, rules, guards) {
  let noSpeech = 0;
  let logits;
  for (const [position, token] of rules.prompt.entries()) {
    logits = await step(token, position);
    if (position === 0 && rules.no_speech != null) {
      noSpeech = Math.exp(logProbability(logits, rules.no_speech));
    }
  }
  if (noSpeech > guards.no_speech) return decoded([], [0], noSpeech, { ended: true });
  const said = [];
  const sure = [];
  for (;;) {
    const allowed = suppressed(logits, rules, said.length === 0);
    const token = largest(allowed);
    sure.push(logProbability(allowed, token));
    if (token === rules.end) return decoded(said, sure, noSpeech, { ended: true });
    said.push(token);
    if (guards.repeats != null) {
      const { times, length } = loop(said, guards.longest);
      if (times > guards.repeats) {
        return decoded(said.slice(0, said.length - times * length), sure, noSpeech, { looped: true });
      }
    }
    if (rules.prompt.length + said.length >= rules.limit) return decoded(said, sure, noSpeech, {});
    logits = await step(token, rules.prompt.length + said.length - 1);
  }
}

function suppressed(logits, rules, first) {
  const found = Float32Array.from(logits);
  for (const token of rules.suppressed) found[token] = -Infinity;
  if (first) for (const token of rules.suppressed_first) found[token] = -Infinity;
  return found;
}

function logProbability(logits, token) {
  const highest = logits[largest(logits)];
  let total = 0;
  for (const each of logits) total += Math.exp(each - highest);
  return logits[token] - highest - Math.log(total);
}

function decoded(tokens, sure, noSpeech, { ended = false, looped = false }) {
  const logProbability = sure.reduce((sum, each) => sum + each, 0) / sure.length;
  return { tokens, logProbability, noSpeech, ended, looped };
}

/** How many times the last n-gram follows itself, and how long it is: of all, what repeats most. */
export function loop(said, longest) {
  let found = { times: 0, length: 0 };
  for (let length = 1; length <= longest; length++) {
    const repeats = (end) => {
      for (let at = 0; at < length; at++) {
        if (said[end - length + at] !== said[said.length - length + at]) return false;
      }
      return true;
    };
    let times = 0;
    for (let end = said.length - length; end >= length && repeats(end); end -= length) times++;
    if (times > found.times) found = { times, length };
  }
  return found;
}
