// LiteRT.js, in WebAssembly. It takes float32, int32 and uint8.

import * as litert from "@litertjs/core";

import { shapeOf } from "./numbers.js";

// Bundlers copy what is named like this.
const BUILDS = {
  plain: [
    new URL("@litertjs/core/wasm/litert_wasm_internal.js", import.meta.url).href,
    new URL("@litertjs/core/wasm/litert_wasm_internal.wasm", import.meta.url).href,
  ],
  compatible: [
    new URL("@litertjs/core/wasm/litert_wasm_compat_internal.js", import.meta.url).href,
    new URL("@litertjs/core/wasm/litert_wasm_compat_internal.wasm", import.meta.url).href,
  ],
  threaded: [
    new URL("@litertjs/core/wasm/litert_wasm_threaded_internal.js", import.meta.url).href,
    new URL("@litertjs/core/wasm/litert_wasm_threaded_internal.wasm", import.meta.url).href,
  ],
};

let options;

/** folder: where the runtime's files lie, if they were put somewhere by hand. */
export async function start(threads, folder) {
  const relaxed = await litert.supportsFeature("relaxedSimd");
  const several = relaxed && threads > 1;
  options = { accelerator: "wasm", cpuOptions: { numThreads: several ? threads : 1 } };
  if (litert.getGlobalLiteRtPromise()) {
    await litert.getGlobalLiteRtPromise(); // another model of the page started it
    return;
  }
  if (folder) {
    await litert.loadLiteRt(folder, { threads: several });
    return;
  }
  const [script, wasm] = BUILDS[several ? "threaded" : relaxed ? "plain" : "compatible"];
  // The script looks for its WebAssembly beside itself; a bundler may have renamed it.
  globalThis.Module = { locateFile: () => wasm };
  await litert.loadLiteRt(script);
}

/** A model file. Its `run(entry, inputs)` takes and gives the file's own arrays, by name. */
export async function load(content) {
  const model = await litert.loadAndCompile(content, options);
  return {
    async run(entry, inputs) {
      const program = model.signatures[entry.program] ?? model;
      const given = Object.fromEntries(entry.inputs.map((spec) =>
        [spec.name, new litert.Tensor(inputs[spec.name], shapeOf(spec))]));
      const tensors = await program.run(given);
      const found = {};
      for (const { name } of entry.outputs) found[name] = await tensors[name].data();
      // Its memory is freed by hand.
      for (const each of [...Object.values(given), ...Object.values(tensors)]) each.delete();
      return found;
    },
    close: () => model.delete(),
  };
}
