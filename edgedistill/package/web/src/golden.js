// The golden data: what the model has to give on this device, within the package's tolerance.

import { ARRAYS, blank, countOf } from "./numbers.js";
import { readWav } from "./sound.js";

/** {values, wrong, worst} of so many values: wrong are those further off than the tolerance. */
export class Tally {
  constructor(tolerance, share) {
    Object.assign(this, { tolerance, share, values: 0, wrong: 0, worst: 0 });
  }

  add(found, wanted) {
    for (let at = 0; at < wanted.length; at++) {
      const off = Math.abs(Number(found[at]) - Number(wanted[at]));
      this.values += 1;
      if (!(off <= this.tolerance)) this.wrong += 1;
      if (!(off <= this.worst)) this.worst = off;
    }
    return this;
  }

  /** Throws an error where fewer than `share` of the values are near enough. */
  checked() {
    const { values, wrong, worst, tolerance, share } = this;
    if (values === 0 || wrong > (1 - share) * values) {
      throw new Error(`golden data: ${wrong} of ${values} values are further off than ${tolerance}; `
        + `the worst by ${worst}`);
    }
    return { values, wrong, worst, tolerance, share };
  }
}

/** Arrays of samples by name, one after the other: [{name: array}, ...]. */
async function samplesOf(parts, specs, count, bytes) {
  const found = Array.from({ length: count }, () => ({}));
  for (const { name, file } of parts) {
    const spec = specs.find((each) => each.name === name);
    const size = countOf(spec);
    const whole = new ARRAYS[spec.dtype](await bytes(file));
    if (whole.length !== count * size) throw new Error(`${file} is of another length than it says`);
    found.forEach((sample, at) => {
      sample[name] = whole.subarray(at * size, (at + 1) * size);
    });
  }
  return found;
}

/** Run a program on its golden data; a state goes from one sample to the next. */
export async function compared(entry, golden, model, bytes) {
  const inputs = await samplesOf(golden.inputs, entry.inputs, golden.samples, bytes);
  const outputs = await samplesOf(golden.outputs, entry.outputs, golden.samples, bytes);
  const tally = new Tally(golden.tolerance, golden.share);
  let states = statesOf(entry);
  for (const [at, sample] of inputs.entries()) {
    const found = await model.run(entry, { ...states, ...sample });
    states = fedBack(entry, found);
    for (const [name, wanted] of Object.entries(outputs[at])) tally.add(found[name], wanted);
  }
  return tally.checked();
}

/** The states of a program at its beginning, by the names of its inputs. */
export function statesOf(entry) {
  const names = new Set(Object.values(entry.state ?? {}));
  const specs = entry.inputs.filter(({ name }) => names.has(name));
  return Object.fromEntries(specs.map((spec) => [spec.name, blank(spec)]));
}

/** What a program gave as the states of its next step. */
export const fedBack = (entry, found) =>
  Object.fromEntries(Object.entries(entry.state ?? {}).map(([from, to]) => [to, found[from]]));

/** Transcribe the golden recordings; transcribe: samples to {segments}. Throws an error where more of
 * the tokens than a share of `edits` are others. */
export async function transcripts(golden, transcribe, bytes) {
  let [values, wrong] = [0, 0];
  for (const { file, tokens } of golden.utterances) {
    const { samples } = readWav(await bytes(file));
    const { segments } = await transcribe(samples);
    const found = segments.flatMap((each) => each.tokens);
    values += tokens.length;
    wrong += edits(found, tokens);
  }
  if (wrong > golden.edits * values) {
    throw new Error(`golden data: ${wrong} edits of ${values} tokens; `
      + `a share of ${golden.edits} may be`);
  }
  return { values, wrong, worst: wrong, tolerance: 0, share: 1 - golden.edits };
}

/** How many tokens are to be put in, left out or changed. */
export function edits(found, wanted) {
  let row = Array.from({ length: wanted.length + 1 }, (_, at) => at);
  found.forEach((token, at) => {
    const next = [at + 1];
    for (let to = 1; to <= wanted.length; to++) {
      const changed = row[to - 1] + (token === wanted[to - 1] ? 0 : 1);
      next.push(Math.min(changed, row[to] + 1, next[to - 1] + 1));
    }
    row = next;
  });
  return row[wanted.length];
}
