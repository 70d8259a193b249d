/** Load the runtime and the model; once a page, as both stay in memory. */
export function open(options?: {
  /**
   * Threads of a run; more than one need a page that is cross-origin isolated, and are cut to what
   * the browser has. By default 1, for speech up to 4.
   */
  threads?: number;
  /**
   * Address of the folder with the runtime's own files, where no bundler copied them: it ends with a
   * slash, and is of the page's own origin.
   */
  runtimeFolder?: string;
}): Promise<Model>;

/** What a picture can be given as. A Blob, such as a dropped file, is turned as its EXIF says. */
export type Picture =
  | Blob
  | ImageData
  | ImageBitmap
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | { width: number; height: number; data: Uint8ClampedArray | Uint8Array };

/** One channel at the model's rate: floats in -1..1, or int16. */
export type Samples = Float32Array | Int16Array;

export interface Answer {
  /** The likeliest label. */
  label: string;
  /** Its probability, 0..1: as often right as it says. */
  confidence: number;
  /** Of all labels, in the order of `app.labels`. */
  probabilities: number[];
  /** Whether the confidence is so low that the app should ask the teacher. */
  route: boolean;
}

/** The answer of a model that chooses no label: attributes' probabilities, measures, an embedding. */
export interface Values {
  values: number[];
  /** What the values are of; of an embedding its captions. */
  labels: string[];
}

export interface Detection {
  keyword: string;
  /** From the beginning of the stream to the end of the step that heard it. */
  seconds: number;
  /** The keyword's smoothed probability, 0..1. */
  confidence: number;
}

export interface Segment {
  /** Seconds from the beginning. */
  start: number;
  end: number;
  text: string;
  tokens: number[];
  /** Natural logarithm of a token's probability, on average. */
  logProbability: number;
  /** Probability that nothing is said. */
  noSpeech: number;
  /** Whether the model ended it itself. */
  ended: boolean;
  /** Whether it was ended as it repeated itself. */
  looped: boolean;
}

export interface Transcript {
  text: string;
  segments: Segment[];
  seconds: number;
  language: string;
}

/** How near a program came to its golden data. */
export interface Compared {
  /** Compared; of speech the tokens that are expected. */
  values: number;
  /**
   * Further off than the tolerance, of speech the tokens put in, left out or changed; no more than a
   * share of `1 - share` are.
   */
  wrong: number;
  /** The worst difference, in the model file's own numbers; of speech the same as `wrong`. */
  worst: number;
  tolerance: number;
  share: number;
}

/** What `edgedistill drift` reads. No picture and no sound is in it. */
export interface Counts {
  format: 1;
  bundle: string;
  samples: number;
  classes: number[];
  edges: number[];
  confidences: number[];
  routed: number;
}

export interface Model {
  /** `app.json`: all that is known of the model. */
  readonly app: { name: string; kind: "picture" | "sound" | "speech"; task: string; labels?: string[];
    [more: string]: unknown };
  /** Ask about a picture, or of a model of sound about a recording. */
  classify(source: Picture | Samples): Promise<Answer>;
  /** The same of a model that chooses no label. */
  values(source: Picture | Samples): Promise<Values>;
  /** What is heard in the next samples of a stream, a chunk of any length. Of keywords. */
  listen(chunk: Samples): Promise<Detection[]>;
  /** Begin a stream anew. */
  reset(): Promise<void>;
  /** Speech to text, of any length. `onSegment` is given each segment as it comes. */
  transcribe(samples: Samples, options?: { onSegment?: (segment: Segment) => void }):
    Promise<Transcript>;
  /** Run the golden data on this device; throws an Error where it is not met. */
  selfTest(): Promise<{ main: Compared; steps?: Compared }>;
  /** What was answered since `open`; null of a model that chooses no label. */
  counters(): Counts | null;
  /** Free the model's memory. */
  close(): Promise<void>;
}
