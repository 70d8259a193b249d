// LiteRT.js, as `measure.js` calls a runtime.

import * as litert from "../litert/dist/index.js";

let options;

export async function prepare(job) {
  const gpu = job.backend === "webgpu";
  const folder = new URL("../litert/wasm/", import.meta.url).href;
  // With `jspi` operators that the adapter's kernels lack run in WebAssembly; without, all would.
  await litert.loadLiteRt(folder, { threads: job.threads > 1, jspi: gpu });
  options = { accelerator: gpu ? "webgpu" : "wasm", cpuOptions: { numThreads: job.threads } };
}

export async function load(content, job) {
  const model = await litert.loadAndCompile(content, options);
  const program = job.program ? model.signatures[job.program] : model.defaultSignature;
  const run = async (sample) => {
    const given = {};
    for (const [name, { shape, values }] of Object.entries(sample)) {
      given[name] = new litert.Tensor(values, shape);
    }
    const tensors = await program.run(given);
    const outputs = [];
    for (const name of job.outputs) {
      const { dtype, layout } = tensors[name].type;
      const values = await tensors[name].data();
      outputs.push({ name, dtype, shape: [...layout.dimensions], values });
    }
    // Its memory is freed by hand.
    for (const tensor of [...Object.values(given), ...Object.values(tensors)]) tensor.delete();
    return outputs;
  };
  const gpu = options.accelerator === "webgpu";
  const tell = () => (gpu ? { on_gpu: model.isFullyAccelerated ? "all" : "a part" } : {});
  return { run, tell, close: () => model.delete() };
}
