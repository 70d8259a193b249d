// Long recordings parted where they are quietest. Samples are Int16Array.

const STEP_MS = 10;
const PAUSE_MS = 200; // a pause between words, not a closed consonant
const SILENT_MS = 30;
const SILENT = 3.2e-4 * 32768; // -70 decibels of full scale

/** The pieces of a recording, each of at most `window` samples, which one behind the other are it. */
export function* parted(samples, window, rate) {
  const least = Math.min(rate, Math.floor(window / 2));
  const first = Math.floor(window / 2);
  let rest = samples;
  while (rest.length > window) {
    const last = Math.min(window, rest.length - least);
    const at = quietest(rest.subarray(0, window), first, last, rate);
    yield rest.subarray(0, at);
    rest = rest.subarray(at);
  }
  if (rest.length) yield rest;
}

/** The place from `first` to `last` about which a pause has the least power; of equals the latest. */
function quietest(samples, first, last, rate) {
  const half = Math.max(1, Math.floor((rate * PAUSE_MS) / 2000));
  const energy = new Float64Array(samples.length + 1); // whole numbers below 2^53
  samples.forEach((each, at) => (energy[at + 1] = energy[at] + each * each));
  let place = first;
  let least = Infinity;
  for (let at = first; at <= last; at += Math.max(1, Math.floor((rate * STEP_MS) / 1000))) {
    const end = Math.min(at + half, samples.length);
    const start = Math.max(at - half, 0);
    const power = (energy[end] - energy[start]) / (end - start);
    if (power <= least) [least, place] = [power, at];
  }
  return place;
}

/** Whether no 30 ms are louder than -70 decibels of full scale. */
export function silent(samples, rate) {
  const frame = Math.max(1, Math.floor((rate * SILENT_MS) / 1000));
  for (let start = 0; start < samples.length; start += frame) {
    const power = samples.subarray(start, start + frame).reduce((sum, each) => sum + each * each, 0);
    if (power / frame > SILENT ** 2) return false;
  }
  return true;
}
