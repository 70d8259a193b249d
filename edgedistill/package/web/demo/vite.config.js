// Cross-origin isolation is what lets a page have threads; the demo runs without it, in one.
const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default {
  base: "./", // so that the built page works in any folder
  build: { assetsInlineLimit: 0, target: "es2022" },
  server: { headers },
  preview: { headers },
};
