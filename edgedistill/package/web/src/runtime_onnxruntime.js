// ONNX Runtime Web, in WebAssembly.

import * as ort from "onnxruntime-web/wasm";

import { shapeOf } from "./numbers.js";

// Bundlers copy what is named like this. Without it the runtime's threads would run the app again.
const SCRIPT = new URL("onnxruntime-web/ort-wasm-simd-threaded.mjs", import.meta.url).href;
const WASM = new URL("onnxruntime-web/ort-wasm-simd-threaded.wasm", import.meta.url).href;

/** folder: where the runtime's files lie, if they were put somewhere by hand. */
export async function start(threads, folder) {
  ort.env.wasm.wasmPaths = folder ?? { mjs: SCRIPT, wasm: WASM };
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
}

/** A model file. Its `run(entry, inputs)` takes and gives the file's own arrays, by name. */
export async function load(content) {
  const session = await ort.InferenceSession.create(content, {
    executionProviders: ["wasm"], graphOptimizationLevel: "all",
  });
  return {
    async run(entry, inputs) {
      const feeds = {};
      for (const spec of entry.inputs) {
        feeds[spec.name] = new ort.Tensor(spec.dtype, inputs[spec.name], shapeOf(spec));
      }
      const given = await session.run(feeds);
      return Object.fromEntries(entry.outputs.map(({ name }) => [name, given[name].data]));
    },
    close: () => session.release(),
  };
}
