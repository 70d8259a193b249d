// A page to try the model with.

import { open } from "../src/index.js";
import { showPictures } from "./pictures.js";
import { showSound } from "./sounds.js";

const at = (id) => document.getElementById(id);

async function begin() {
  const model = await open();
  const { name, task, runtime, precision, kind } = model.app;
  document.title = name;
  at("name").textContent = name;
  at("about").textContent = `${task}, ${precision}, ${runtime}, all of it on this device`;
  if (kind === "picture") showPictures(model, at);
  else showSound(model, at);
  at("test").onclick = () => tell(() => model.selfTest());
  at("count").onclick = () => tell(() => model.counters());
}

async function tell(action) {
  try {
    at("told").textContent = JSON.stringify(await action());
  } catch (error) {
    at("told").textContent = String(error);
  }
}

begin().catch((error) => {
  at("name").textContent = "The model cannot be loaded";
  at("about").textContent = String(error);
});
