// A stream of sound to keywords: hops out of chunks of any length, and the rule when one is heard.

import { asFloats } from "./sound.js";

/** Cuts chunks of samples into hops; what is left over waits for the next chunk. */
export class Hops {
  constructor(hop) {
    this.hop = hop;
    this.kept = new Float32Array(0);
  }

  /** The hops that this chunk completes: Float32Array each. */
  cut(chunk) {
    const samples = asFloats(chunk);
    const whole = new Float32Array(this.kept.length + samples.length);
    whole.set(this.kept);
    whole.set(samples, this.kept.length);
    const found = [];
    let at = 0;
    for (; at + this.hop <= whole.length; at += this.hop) found.push(whole.slice(at, at + this.hop));
    this.kept = whole.slice(at);
    return found;
  }
}

/** The rule on a stream of probabilities. rule: `listening` of app.json. */
export class Decider {
  constructor({ smoothing, refractory, thresholds }) {
    this.refractory = refractory;
    this.thresholds = Object.entries(thresholds);
    this.step = 0;
    this.last = this.thresholds.map(() => -Infinity);
    this.before = Array.from({ length: smoothing }, () => this.thresholds.map(() => 0));
  }

  /** What is heard in the next step: [{keyword, step, confidence}]. probabilities: in the order of
   * the thresholds. */
  feed(probabilities) {
    this.before = [...this.before.slice(1), probabilities];
    const found = [];
    this.thresholds.forEach(([keyword, threshold], place) => {
      // From the oldest to the newest, so that the sum has the same bits everywhere.
      const total = this.before.reduce((sum, each) => sum + each[place], 0);
      const confidence = total / this.before.length;
      if (confidence > threshold && this.step - this.last[place] > this.refractory) {
        found.push({ keyword, step: this.step, confidence });
        this.last[place] = this.step;
      }
    });
    this.step += 1;
    return found;
  }
}
