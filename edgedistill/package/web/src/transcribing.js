// Sound of any length to text: cut at its quietest places, decoded piece by piece, joined.

import { greedy } from "./decoding.js";
import { parted, silent } from "./parting.js";
import { asFloats, asIntegers } from "./sound.js";
import { joined, textOf } from "./vocabulary.js";

/**
 * What is said in samples. form: `transcription` of app.json; pieces: of its vocabulary; recognizer:
 * {hear(window), step(token, position)}, both async; onSegment: is given each segment as it comes.
 */
export async function transcribed(sound, form, pieces, recognizer, onSegment = () => {}) {
  const samples = asIntegers(sound);
  const segments = [];
  let end = 0;
  for (const piece of parted(samples, form.window, form.rate)) {
    const start = end;
    end += piece.length;
    if (silent(piece, form.rate)) continue;
    const window = new Float32Array(form.window);
    window.set(asFloats(piece));
    await recognizer.hear(window);
    const found = await greedy(recognizer.step, form.rules, form.guards);
    if (!Number.isFinite(found.logProbability)) {
      throw new Error("the recognizer gives what is no number: take another precision or runtime");
    }
    const text = textOf(found.tokens, pieces);
    const segment = { start: start / form.rate, end: end / form.rate, text, ...found };
    segments.push(segment);
    onSegment(segment);
  }
  const text = joined(segments.map((each) => each.text), form.spaced);
  return { text, segments, seconds: samples.length / form.rate, language: form.language };
}
