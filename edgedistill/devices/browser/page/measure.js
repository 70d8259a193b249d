// What the page does: `describe`; of a job `prepare`, then `measure` or `exercise`. Python calls
// these and reads what they return; arrays go through the page's own server.

const STEPS_IN_A_SAMPLE = 100; // a sample of that many steps of the clock is 1 % off at most
const WARM_BLOCKS = 10;
const SETTLED = 0.05;
const WARM_MS = 1000;
const IN_MEMORY_RUN = 5; // runs of each sample where memory is all that is asked

let runtime, job, samples;

// Smallest WebAssembly modules that hold an instruction of each extension.
const FEATURES = {
  simd128: [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0,
            253, 15, 253, 98, 11],
  relaxed_simd: [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0,
                 65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11],
  threads: [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 5, 4, 1, 3, 1, 1, 10, 11, 1,
            9, 0, 65, 0, 254, 16, 2, 0, 26, 11],
};

// The browser as a page sees it.
export async function describe(wantsGpu) {
  const flags = Object.keys(FEATURES).filter((name) =>
    WebAssembly.validate(new Uint8Array(FEATURES[name])));
  return {
    flags,
    processors: navigator.hardwareConcurrency,
    gpu: wantsGpu ? await adapter() : {},
  };
}

async function adapter() {
  if (!navigator.gpu) return { missing: "the browser has no navigator.gpu" };
  const found = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!found) return { missing: "navigator.gpu.requestAdapter() gave no adapter" };
  const { vendor, architecture, device, description, isFallbackAdapter } = found.info;
  return { vendor, architecture, device, description, software: Boolean(isFallbackAdapter) };
}

// Milliseconds between two readings of the clock that differ, at least.
function clockStep() {
  let least = Infinity;
  for (let turn = 0; turn < 50; turn++) {
    const begin = performance.now();
    let now = begin;
    while (now === begin) now = performance.now();
    least = Math.min(least, now - begin);
  }
  return least;
}

// Load the runtime and the job's inputs. Returns the milliseconds that the runtime took.
export async function prepare(order) {
  job = order;
  samples = await inputs();
  const begin = performance.now();
  runtime = await import(`./${job.runtime}.js`);
  await runtime.prepare(job);
  return performance.now() - begin;
}

async function bytes(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int8: Int8Array, uint8: Uint8Array,
  int16: Int16Array, uint16: Uint16Array, int32: Int32Array, uint32: Uint32Array,
  int64: BigInt64Array, uint64: BigUint64Array, bool: Uint8Array, float16: Uint16Array,
};

// Of each sample: {name: {dtype, shape, values}}.
async function inputs() {
  const found = Array.from({ length: job.samples }, () => ({}));
  for (const [number, input] of job.inputs.entries()) {
    const content = await bytes(`job/input/${number}`);
    const size = content.byteLength / job.samples;
    found.forEach((sample, place) => {
      const own = content.slice(place * size, (place + 1) * size);
      const values = new ARRAYS[input.dtype](own.buffer);
      sample[input.name] = { dtype: input.dtype, shape: input.shape, values };
    });
  }
  return found;
}

// Loads, times and outputs of the job.
export async function measure() {
  const content = await bytes("job/model");
  const [cold, model] = await timed(() => runtime.load(content, job));
  const warmup = await warmUp(model);
  const found = await latencies(model);
  const outputs = job.answer ? await answer(model) : [];
  const [warm, again] = await timed(() => runtime.load(content, job));
  await again.close();
  const told = await model.tell();
  return { cold_load_ms: cold, warm_load_ms: warm, warmup_ms: warmup, outputs, told, ...found };
}

async function timed(action) {
  const begin = performance.now();
  const result = await action();
  return [performance.now() - begin, result];
}

// Milliseconds of each run before those that count: blocks of them, until the median of a block is
// near the last one's, and of no third after as long as is to be measured. The engine compiles what
// runs often while it runs, so they go on unrecorded until it had time for that.
async function warmUp(model) {
  const times = [];
  if (!job.warmup) return times;
  const begin = performance.now();
  let last = NaN;
  for (let block = 0; block < WARM_BLOCKS; block++) {
    for (let turn = 0; turn < job.warmup; turn++) {
      times.push((await timed(() => model.run(samples[turn % samples.length])))[0]);
    }
    const now = median(times.slice(-job.warmup));
    const late = block > 0 && performance.now() - begin > 1000 * job.seconds;
    if (late || Math.abs(now - last) <= SETTLED * last) break;
    last = now;
  }
  while (performance.now() - begin < WARM_MS) await model.run(samples[0]);
  return times;
}

function median(values) {
  const ordered = [...values].sort((a, b) => a - b);
  return ordered[Math.floor(ordered.length / 2)];
}

async function latencies(model) {
  const step = clockStep();
  let place = 0;
  const several = async (count) => {
    for (let turn = 0; turn < count; turn++) await model.run(samples[place++ % samples.length]);
  };
  // As many runs in a sample as the clock needs to tell its length; but one, where a protocol asks
  // for a time and with it for the latency of each.
  let block = 1;
  while (!job.minimum_seconds
    && (await timed(() => several(block)))[0] < STEPS_IN_A_SAMPLE * step) block *= 2;
  const times = [];
  const begin = performance.now();
  const goesOn = () => {
    const seconds = (performance.now() - begin) / 1000;
    return times.length < job.minimum || seconds < job.minimum_seconds
      || (times.length < job.runs && seconds < job.seconds);
  };
  while (goesOn()) times.push((await timed(() => several(block)))[0] / block);
  return { samples_ms: times, runs_in_a_sample: block, clock_step_us: 1000 * step };
}

// Send what the model gives for each sample; returns the outputs' names, types and shapes.
async function answer(model) {
  let found = [];
  for (const sample of samples) {
    const given = await model.run(sample);
    found = given.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    for (const [place, { values }] of given.entries()) {
      const sent = await fetch(`job/output/${place}`, { method: "POST", body: values });
      if (!sent.ok) throw new Error(`output ${place}: ${sent.status}`);
    }
  }
  return found;
}

// Load and run without a clock, for whoever watches the process's memory.
export async function exercise() {
  const model = await runtime.load(await bytes("job/model"), job);
  for (let turn = 0; turn < IN_MEMORY_RUN; turn++) {
    for (const sample of samples) await model.run(sample);
  }
  await model.close();
}

Object.assign(globalThis, { edgedistill: { describe, prepare, measure, exercise } });
