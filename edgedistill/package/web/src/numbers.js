// Between real numbers and those of a model file, and from outputs to probabilities.

export const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array,
  int16: Int16Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array,
  int64: BigInt64Array, uint64: BigUint64Array, bool: Uint8Array, float16: Uint16Array,
};

const LIMITS = {
  int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], uint16: [0, 65535],
  int32: [-2147483648, 2147483647],
};

/** The shape of one sample: a batch of 1. */
export const shapeOf = (spec) => spec.shape.map((size) => size ?? 1);

/** How many values one sample has. */
export const countOf = (spec) => shapeOf(spec).reduce((whole, size) => whole * size, 1);

/** The nearest whole number, halves to even. */
export function round(value) {
  const near = Math.round(value);
  return near - value === 0.5 && near % 2 !== 0 ? near - 1 : near;
}

/** One real number as the file stores it; where there is no scale, itself. */
export function storedValue(real, spec) {
  if (spec.scale == null) return real;
  const [low, high] = LIMITS[spec.dtype];
  // In float32, and by the reciprocal, as the golden data was made.
  const steps = round(Math.fround(Math.fround(real) * Math.fround(1 / spec.scale)));
  return Math.min(high, Math.max(low, steps + (spec.zero_point ?? 0)));
}

/** Real numbers as the file's own array. */
export const stored = (reals, spec) =>
  ARRAYS[spec.dtype].from(reals, (real) => storedValue(real, spec));

/** What the file's own numbers stand for: Float32Array. */
export function real(values, spec) {
  if (spec.scale == null) {
    return values instanceof Float32Array ? values : Float32Array.from(values, Number);
  }
  const zero = spec.zero_point ?? 0;
  const scale = Math.fround(spec.scale);
  return Float32Array.from(values, (value) => (value - zero) * scale);
}

/** A state at its beginning: zeros, or where there is a scale its zero point. */
export function blank(spec) {
  const values = new ARRAYS[spec.dtype](countOf(spec));
  return spec.scale == null ? values : values.fill(spec.zero_point ?? 0);
}

/** Probabilities of logits that are divided by a temperature. */
export function softmax(logits, temperature = 1) {
  const highest = logits.reduce((most, each) => Math.max(most, each), -Infinity);
  const powers = Array.from(logits, (each) => Math.exp((each - highest) / temperature));
  const total = powers.reduce((sum, each) => sum + each, 0);
  return powers.map((each) => each / total);
}

/** The probability of each logit by itself. */
export const sigmoid = (logits) => Array.from(logits, (each) => 1 / (1 + Math.exp(-each)));

/** Cosines of an embedding with texts, times the scale. texts: rows of length 1, one behind the other. */
export function similarities(embedding, texts, { shape: [rows, width], scale }) {
  const length = Math.sqrt(embedding.reduce((sum, each) => sum + each * each, 0));
  return Float32Array.from({ length: rows }, (_, row) => {
    let product = 0;
    for (let at = 0; at < width; at++) product += embedding[at] * texts[row * width + at];
    return (scale * product) / Math.max(length, 1e-12);
  });
}

/** The place of the largest; of equals the first. */
export function largest(values) {
  let place = 0;
  for (let at = 1; at < values.length; at++) if (values[at] > values[place]) place = at;
  return place;
}

/** The output that answers: `logits`, else the first. */
export const answerOf = (entry) =>
  entry.outputs.find(({ name }) => name === "logits") ?? entry.outputs[0];
