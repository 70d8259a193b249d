// A photo's pixels to what a model takes: as Pillow 13 resizes, to the byte.

import { ARRAYS, countOf, storedValue } from "./numbers.js";

const BITS = 22; // of the fraction of a weight

/**
 * One line of weights for each new pixel: bilinear, averaging where it shrinks.
 * From `start` to `end` of a line of `length` pixels, not in whole pixels, `count` new ones.
 */
function taps(length, start, end, count) {
  const scale = Math.fround(end - start) / count;
  const support = Math.max(scale, 1);
  return Array.from({ length: count }, (_, place) => {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let at = first; at < last; at++) {
      weights.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) * (1 / support))));
    }
    const total = weights.reduce((sum, each) => sum + each, 0);
    return { first, weights: weights.map((each) => Math.floor(0.5 + (each / total) * 2 ** BITS)) };
  });
}

/** A sum of bytes times weights as a byte. */
const toByte = (sum) => Math.min(255, Math.max(0, Math.floor((sum + 2 ** (BITS - 1)) / 2 ** BITS)));

function across(image, tapsOfRow) {
  const { width, height, channels, data } = image;
  const found = new Uint8Array(tapsOfRow.length * height * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (const { first, weights } of tapsOfRow) {
      const from = (y * width + first) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let at = 0; at < weights.length; at++) {
          sum += data[from + at * channels + channel] * weights[at];
        }
        found[to++] = toByte(sum);
      }
    }
  }
  return { width: tapsOfRow.length, height, channels, data: found };
}

function down(image, tapsOfColumn) {
  const { width, channels, data } = image;
  const row = width * channels;
  const found = new Uint8Array(tapsOfColumn.length * row);
  tapsOfColumn.forEach(({ first, weights }, y) => {
    for (let place = 0; place < row; place++) {
      let sum = 0;
      for (let at = 0; at < weights.length; at++) {
        sum += data[(first + at) * row + place] * weights[at];
      }
      found[y * row + place] = toByte(sum);
    }
  });
  return { width, height: tapsOfColumn.length, channels, data: found };
}

/**
 * A part of a picture in another size. image: {width, height, channels, data}, its bytes row by row,
 * the channels of a pixel together; box: [left, top, right, bottom], not in whole pixels.
 */
export function resized(image, width, height, box = [0, 0, image.width, image.height]) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const tapsOfRow = taps(image.width, left, right, width);
  const tapsOfColumn = taps(image.height, top, bottom, height);
  // Each pass rounds to bytes, so their order matters: this is Pillow 13's.
  const less = image.height - height;
  const downFirst = less > 0 && less > 2 * (image.width - width);
  return downFirst ? across(down(image, tapsOfColumn), tapsOfRow)
    : down(across(image, tapsOfRow), tapsOfColumn);
}

/** The largest part in the middle whose width is `shape` times its height. */
function middle({ width, height }, shape) {
  const wide = Math.min(width, height * shape);
  const high = Math.min(height, width / shape);
  const left = (width - wide) / 2;
  const top = (height - high) / 2;
  return [left, top, left + wide, top + high];
}

/** All of it, as large as fits, in the middle of black; odd pixels are right and below. */
function inside(image, width, height, padding) {
  const scale = Math.min(width / image.width, height / image.height);
  const wide = Math.min(width, Math.max(1, Math.trunc(image.width * scale + 0.5)));
  const high = Math.min(height, Math.max(1, Math.trunc(image.height * scale + 0.5)));
  const scaled = resized(image, wide, high);
  const { channels } = image;
  const data = new Uint8Array(width * height * channels).fill(padding);
  const left = Math.trunc((width - wide) / 2);
  const top = Math.trunc((height - high) / 2);
  for (let y = 0; y < high; y++) {
    const row = scaled.data.subarray(y * wide * channels, (y + 1) * wide * channels);
    data.set(row, ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}

/** A channel of a pixel over white. */
function overWhite(value, alpha) {
  if (alpha === 255) return value;
  if (alpha === 0) return 255;
  const own = alpha * 128;
  const sum = value * own + 255 * (255 * 128 - own) + 0x4000;
  return (((sum >> 8) + sum) >> 8) >> 7;
}

/** Pixels {width, height, data}, RGBA, in 1 channel (grey) or 3 (RGB); alpha is laid over white. */
export function withChannels({ width, height, data }, channels) {
  const found = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const alpha = data[from + 3];
    const [red, green, blue] = [0, 1, 2].map((at) => overWhite(data[from + at], alpha));
    if (channels === 1) {
      found[to++] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      found[to++] = red;
      found[to++] = green;
      found[to++] = blue;
    }
  }
  return { width, height, channels, data: found };
}

/**
 * The bytes that a model sees of RGBA pixels {width, height, data}: {width, height, channels, data};
 * form: `preprocessing` of app.json.
 */
export function prepared(pixels, form) {
  const image = withChannels(pixels, form.channels);
  const size = form.image_size;
  const [height, width] = typeof size === "number" ? [size, size] : size;
  if (image.width === width && image.height === height) return image;
  const how = form.resize?.how ?? "crop";
  if (how === "fit") return inside(image, width, height, form.resize.padding ?? 0);
  return resized(image, width, height, how === "crop" ? middle(image, width / height) : undefined);
}

/** A prepared picture as a model's input: the file's own array. */
export function fed({ width, height, channels, data }, spec) {
  const table = Array.from({ length: 256 }, (_, byte) => storedValue(Math.fround(byte / 255), spec));
  const found = new ARRAYS[spec.dtype](countOf(spec));
  const area = width * height;
  for (let place = 0; place < area; place++) {
    for (let channel = 0; channel < channels; channel++) {
      const to = spec.layout === "NHWC" ? place * channels + channel : channel * area + place;
      found[to] = table[data[place * channels + channel]];
    }
  }
  return found;
}
