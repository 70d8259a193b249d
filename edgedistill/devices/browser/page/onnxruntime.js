// ONNX Runtime Web, as `measure.js` calls a runtime.

let ort, options;
const logged = [];

export async function prepare(job) {
  const gpu = job.backend === "webgpu";
  if (gpu) keepLog();
  ort = await import(`../onnxruntime-web/dist/ort.${gpu ? "webgpu" : "wasm"}.min.mjs`);
  ort.env.wasm.wasmPaths = new URL("../onnxruntime-web/dist/", import.meta.url).href;
  ort.env.wasm.numThreads = job.threads;
  ort.env.logLevel = "error";
  options = { executionProviders: [gpu ? "webgpu" : "wasm"], graphOptimizationLevel: "all" };
  // The first session starts the runtime; with a model of nothing that is all it does.
  const nothing = await fetch("job/nothing.onnx");
  const session = await ort.InferenceSession.create(await nothing.arrayBuffer(), options);
  await session.release();
}

// The runtime's log goes to the console, whose functions it takes as it starts.
function keepLog() {
  for (const kind of ["log", "info", "warn", "error", "debug"]) {
    const say = console[kind].bind(console);
    console[kind] = (...words) => {
      logged.push(words.join(" "));
      say(...words);
    };
  }
}

export async function load(content, job) {
  const session = await ort.InferenceSession.create(content, options);
  const run = async (sample) => {
    const feeds = {};
    for (const [name, { dtype, shape, values }] of Object.entries(sample)) {
      feeds[name] = new ort.Tensor(dtype, values, shape);
    }
    const given = await session.run(feeds);
    return job.outputs.map((name) => {
      const { type, dims, data } = given[name];
      return { name, dtype: type, shape: dims, values: data };
    });
  };
  const tell = () => (job.backend === "webgpu" ? placements(content) : {});
  return { run, tell, close: () => session.release() };
}

// How many operators run where: those that the adapter's kernels lack run in WebAssembly.
async function placements(content) {
  logged.length = 0;
  const session = await ort.InferenceSession.create(content, { ...options, logSeverityLevel: 0 });
  await session.release();
  const told = {};
  for (const line of logged) {
    const found = line.match(/odes? ?(?:\(s\))? placed on \[(\w+)\]\. Number of nodes: (\d+)/);
    if (found) told[`operators_in_${found[1]}`] = Number(found[2]);
  }
  return told;
}
