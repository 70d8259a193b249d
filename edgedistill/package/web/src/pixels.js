// Whatever a browser shows as a picture, to its pixels.

/** Options by which a photo's own bytes are seen: no colour management, no alpha multiplied in. */
const PLAIN = {
  colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image",
};

/** RGBA {width, height, data} of a Blob, an ImageData or the like, or what a canvas can draw. */
export async function pixelsOf(source) {
  if (source.data && source.width && source.height) return source;
  if (source instanceof Blob) {
    const bitmap = await createImageBitmap(source, PLAIN);
    const found = drawn(bitmap, bitmap.width, bitmap.height);
    bitmap.close();
    return found;
  }
  const width = source.naturalWidth ?? source.videoWidth ?? source.width;
  const height = source.naturalHeight ?? source.videoHeight ?? source.height;
  if (!width || !height) throw new TypeError("not a picture, or one that is not loaded yet");
  return drawn(source, width, height);
}

function drawn(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}
