// The model of this package: open it, ask it, test it. `index.d.ts` says what is taken and given.

import { Counters } from "./counters.js";
import { files } from "./files.js";
import { compared, fedBack, statesOf, transcripts } from "./golden.js";
import { Decider, Hops } from "./listening.js";
import { answerOf, largest, real, sigmoid, similarities, softmax, stored } from "./numbers.js";
import { fed, prepared } from "./picture.js";
import { pixelsOf } from "./pixels.js";
import * as runtime from "./runtime.js";
import { clipWindow } from "./sound.js";
import { transcribed } from "./transcribing.js";

const MOST_THREADS = 4;

async function bytes(name) {
  const answer = await fetch(files[name]);
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer.arrayBuffer();
}

const json = async (name) => JSON.parse(new TextDecoder().decode(await bytes(name)));

/** Load the runtime and the model. */
export async function open({ threads, runtimeFolder } = {}) {
  const app = await json("app.json");
  const most = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  // A small model is slower in several threads.
  const wanted = threads ?? (app.kind === "speech" ? MOST_THREADS : 1);
  await runtime.start(Math.min(wanted, most), runtimeFolder);
  const models = new Map();
  for (const { file } of app.files) {
    if (!models.has(file)) models.set(file, await runtime.load(new Uint8Array(await bytes(file))));
  }
  const pieces = app.transcription ? (await json(app.transcription.vocabulary)).pieces : [];
  const texts = app.texts ? new Float32Array(await bytes(app.texts.file)) : null;
  return new Model(app, models, { pieces, texts });
}

class Model {
  #models;
  #pieces;
  #texts;
  #counters;
  #ear;
  #last = Promise.resolve();

  constructor(app, models, { pieces, texts }) {
    this.app = app;
    this.#models = models;
    this.#pieces = pieces;
    this.#texts = texts;
    if (app.activation === "softmax") this.#counters = new Counters(app);
  }

  /** One after the other: a runtime runs one thing at a time, and a stream has an order. */
  #inTurn(action) {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }

  #program(name) {
    const entry = this.app.files.find((each) => each.program === name);
    if (!entry) throw new Error(`this package's model has no program ${name}: it is of ${this.app.task}`);
    const model = this.#models.get(entry.file);
    return { entry, model, run: (inputs) => model.run(entry, inputs) };
  }

  /** Logits or other real values: Float32Array. */
  #values(entry, outputs) {
    const spec = answerOf(entry);
    const values = real(outputs[spec.name], spec);
    return this.#texts ? similarities(values, this.#texts, this.app.texts) : values;
  }

  async classify(source) {
    const { activation, labels, routing, temperature, counting } = this.app;
    if (activation !== "softmax") throw new Error(`of ${this.app.task}, call values()`);
    const logits = await this.#ask(source);
    const probabilities = softmax(logits, temperature);
    const place = largest(probabilities);
    const confidence = probabilities[place];
    const route = confidence < (routing?.threshold ?? 0);
    this.#counters.count(place, softmax(logits, counting?.temperature)[place], route);
    return { label: labels[place], confidence, probabilities, route };
  }

  async values(source) {
    const values = await this.#ask(source);
    const { activation, labels } = this.app;
    return { values: activation === "sigmoid" ? sigmoid(values) : Array.from(values), labels };
  }

  #ask(source) {
    return this.#inTurn(async () => {
      const { entry, run } = this.#program("main");
      const [spec] = entry.inputs;
      return this.#values(entry, await run({ [spec.name]: await this.#given(source, spec) }));
    });
  }

  async #given(source, spec) {
    if (this.app.kind === "picture") {
      return fed(prepared(await pixelsOf(source), this.app.preprocessing), spec);
    }
    return stored(clipWindow(source, this.app.sound), spec);
  }

  listen(chunk) {
    return this.#inTurn(async () => {
      this.#ear ??= await this.#openEar();
      const found = [];
      for (const hop of this.#ear.hops.cut(chunk)) found.push(...(await this.#heard(hop)));
      return found;
    });
  }

  /** Begin a stream anew. */
  reset() {
    return this.#inTurn(() => {
      this.#ear = undefined;
    });
  }

  async #openEar() {
    const form = this.app.listening;
    if (!form) throw new Error("this package's model does not listen");
    const program = this.#program(form.program);
    this.#ear = {
      ...program, hops: new Hops(form.hop), decider: new Decider(form),
      states: statesOf(program.entry),
      places: Object.keys(form.thresholds).map((label) => this.app.labels.indexOf(label)),
    };
    const silence = new Float32Array(form.hop);
    for (let step = 0; step < Math.floor(form.lead_in / form.hop); step++) await this.#step(silence);
    return this.#ear;
  }

  async #step(hop) {
    const { entry, run, states } = this.#ear;
    const spec = entry.inputs.find(({ name }) => name === this.app.listening.input);
    const outputs = await run({ ...states, [spec.name]: stored(hop, spec) });
    this.#ear.states = fedBack(entry, outputs);
    return softmax(this.#values(entry, outputs), this.app.temperature);
  }

  async #heard(hop) {
    const probabilities = await this.#step(hop);
    const { rate, hop: samples } = this.app.listening;
    const heard = this.#ear.decider.feed(this.#ear.places.map((place) => probabilities[place]));
    return heard.map(({ keyword, step, confidence }) =>
      ({ keyword, seconds: ((step + 1) * samples) / rate, confidence }));
  }

  transcribe(samples, { onSegment } = {}) {
    return this.#inTurn(() => this.#transcribed(samples, onSegment));
  }

  #transcribed(samples, onSegment) {
    const form = this.app.transcription;
    if (!form) throw new Error("this package's model does not transcribe");
    return transcribed(samples, form, this.#pieces, this.#recognizer(), onSegment);
  }

  #recognizer() {
    const encode = this.#program("encode");
    const decode = this.#program("decode_step");
    const answer = answerOf(decode.entry);
    let heard;
    let states;
    return {
      hear: async (window) => {
        const [spec] = encode.entry.inputs;
        heard = await encode.run({ [spec.name]: stored(window, spec) });
        states = statesOf(decode.entry);
      },
      step: async (token, position) => {
        const own = { token: Int32Array.of(token), position: Int32Array.of(position) };
        const outputs = await decode.run({ ...heard, ...states, ...own });
        states = fedBack(decode.entry, outputs);
        return real(outputs[answer.name], answer);
      },
    };
  }

  selfTest() {
    return this.#inTurn(async () => {
      const { golden, kind, listening } = this.app;
      if (kind === "speech") {
        return { main: await transcripts(golden, (sound) => this.#transcribed(sound), bytes) };
      }
      const { entry, model } = this.#program("main");
      const found = { main: await compared(entry, golden, model, bytes) };
      if (golden.steps && listening) {
        const step = this.#program(listening.program);
        found.steps = await compared(step.entry, golden.steps, step.model, bytes);
      }
      return found;
    });
  }

  counters() {
    return this.#counters?.document() ?? null;
  }

  close() {
    return this.#inTurn(async () => {
      for (const model of this.#models.values()) await model.close();
    });
  }
}
