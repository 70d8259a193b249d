// Samples as models take them. Sound is one channel, Float32Array in -1..1 or Int16Array.

import { round } from "./numbers.js";

const FULL = 32768;

/** float32 in -1..1, kept within. */
export function asFloats(samples) {
  if (samples instanceof Int16Array) return Float32Array.from(samples, (each) => each / FULL);
  return Float32Array.from(checked(samples), (each) => Math.min(1, Math.max(-1, each)));
}

/** int16. */
export function asIntegers(samples) {
  if (samples instanceof Int16Array) return samples;
  const within = (each) => Math.min(FULL - 1, Math.max(-FULL, round(each * FULL)));
  return Int16Array.from(checked(samples), within);
}

function checked(samples) {
  if (!(samples instanceof Float32Array)) {
    throw new TypeError("sound is a Float32Array in -1..1, or an Int16Array, of one channel");
  }
  if (!samples.every(Number.isFinite)) throw new TypeError("sound with samples that are no numbers");
  return samples;
}

const FRAME_MS = 10;
const LOUD_DB = 30;
const ABOVE_DB = 6;
const QUIET_SHARE = 0.2;
const MOST_SHARE = 0.9;
const AFTER_MS = 250;

/** The window {rate, samples, cut} of a recording, Float32Array; of a shorter one with silence. */
export function clipWindow(sound, { rate, samples: length, cut }) {
  const samples = asIntegers(sound);
  const spare = samples.length - length;
  let start = spare;
  if (cut === "middle") start = Math.floor(spare / 2);
  if (cut === "spoken" && spare > 0) {
    const end = spokenEnd(samples, rate, length) + Math.floor((rate * AFTER_MS) / 1000);
    start = Math.min(spare, Math.max(0, end - length));
  }
  const found = new Float32Array(length);
  const part = asFloats(samples.subarray(Math.max(0, start), Math.max(0, start + length)));
  found.set(part, Math.max(0, -start));
  return found;
}

/** Where the shortest stretch ends that holds most of the loudness of what is said. */
function spokenEnd(samples, rate, longest) {
  const frame = Math.max(1, Math.floor((rate * FRAME_MS) / 1000));
  const frames = Math.floor(samples.length / frame);
  if (!frames) return samples.length;
  const level = levels(samples, frame, frames);
  const loudest = Math.max(...level);
  const quiet = Math.max(quantile(level, QUIET_SHARE) + ABOVE_DB, loudest - LOUD_DB);
  const until = [0];
  for (const each of level) until.push(until.at(-1) + Math.max(each - quiet, 0));
  const stretch = Math.min(Math.max(1, Math.floor(longest / frame)), frames);
  let most = 0;
  for (let at = 0; at + stretch <= frames; at++) {
    most = Math.max(most, until[at + stretch] - until[at]);
  }
  if (!most) return samples.length;
  let best = [Infinity, frames];
  for (let start = 0, end = 0; start < frames; start++) {
    while (end <= frames && until[end] < until[start] + MOST_SHARE * most) end++;
    if (end > frames) break;
    if (end - start < best[0]) best = [end - start, end];
  }
  return best[1] * frame;
}

/** Decibels of each frame and its neighbours. */
function levels(samples, frame, frames) {
  const power = Array.from({ length: frames }, (_, place) => {
    let sum = 0;
    for (let at = place * frame; at < (place + 1) * frame; at++) sum += samples[at] ** 2;
    return sum / frame;
  });
  return power.map((each, at) =>
    10 * Math.log10(((power[at - 1] ?? 0) + each + (power[at + 1] ?? 0)) / 3 + 1e-3));
}

/** Linear between the two nearest. */
function quantile(values, share) {
  const ordered = [...values].sort((a, b) => a - b);
  const place = share * (ordered.length - 1);
  const low = Math.floor(place);
  return ordered[low] + (place - low) * ((ordered[low + 1] ?? ordered[low]) - ordered[low]);
}

/** The samples of a WAV file of 16 bits and one channel (an ArrayBuffer): {rate, samples}. */
export function readWav(content) {
  const view = new DataView(content);
  const name = (at) => String.fromCharCode(...new Uint8Array(content, at, 4));
  if (name(0) !== "RIFF" || name(8) !== "WAVE") throw new TypeError("not a WAV file");
  let rate = 0;
  for (let at = 12; at + 8 <= content.byteLength;) {
    const size = view.getUint32(at + 4, true);
    if (name(at) === "fmt ") {
      const plain = view.getUint16(at + 8, true) === 1 && view.getUint16(at + 10, true) === 1;
      if (!plain || view.getUint16(at + 22, true) !== 16) {
        throw new TypeError("a WAV file of 16 bits and one channel is meant");
      }
      rate = view.getUint32(at + 12, true);
    }
    if (name(at) === "data") {
      const count = Math.min(size, content.byteLength - at - 8) >> 1;
      return { rate, samples: new Int16Array(content.slice(at + 8, at + 8 + 2 * count)) };
    }
    at += 8 + size + (size % 2);
  }
  throw new TypeError("a WAV file without samples");
}
