// Listen to a microphone or a recording: keywords as they are said, or a transcript at the end.

export function showSound(model, at) {
  const { app } = model;
  const rate = (app.listening ?? app.sound ?? app.transcription).rate;
  const list = at("heard");
  at("sound").hidden = false;
  at("how").textContent = howTo(app);

  const say = (seconds, words) => {
    const item = document.createElement("li");
    const time = Object.assign(document.createElement("time"), { textContent: `${seconds.toFixed(2)} s` });
    item.append(time, words);
    list.prepend(item);
  };
  const heard = (found) => found.forEach((each) =>
    say(each.seconds, `${each.keyword} (${each.confidence.toFixed(2)})`));

  async function whole(samples) {
    if (app.kind === "speech") {
      await model.transcribe(samples, { onSegment: ({ start, text }) => say(start, text) });
    } else if (app.listening) {
      await model.reset();
      heard(await model.listen(samples));
    } else {
      const { label, confidence } = await model.classify(samples);
      say(samples.length / rate, `${label} (${confidence.toFixed(2)})`);
    }
  }

  at("recording").onchange = async ({ target }) => {
    const [file] = target.files;
    if (file) await whole(await decoded(file, rate));
  };

  let stop;
  at("microphone").onclick = async ({ target }) => {
    if (stop) {
      await stop();
      stop = undefined;
      target.textContent = "Listen";
      return;
    }
    const chunks = [];
    if (app.listening) await model.reset();
    const close = await microphone(rate, async (chunk) => {
      if (app.listening) heard(await model.listen(chunk));
      else chunks.push(chunk);
    });
    target.textContent = "Stop";
    stop = async () => {
      await close();
      if (chunks.length) await whole(joined(chunks));
    };
  };
}

function howTo(app) {
  if (app.listening) return `Say ${Object.keys(app.listening.thresholds).join(", ")}.`;
  return app.kind === "speech" ? "Speak, then stop: the text comes piece by piece."
    : "Make a sound, then stop.";
}

/** A file's samples at the model's rate: the mean of its channels, resampled by the browser. */
async function decoded(file, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  const sound = await context.decodeAudioData(await file.arrayBuffer());
  const found = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const own = sound.getChannelData(channel);
    for (let place = 0; place < found.length; place++) found[place] += own[place] / sound.numberOfChannels;
  }
  return found;
}

/** Give chunks of the microphone's samples at the model's rate, until what is returned is called. */
async function microphone(rate, take) {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext({ sampleRate: rate });
  await context.audioWorklet.addModule(new URL("./recorder.js", import.meta.url));
  const recorder = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  recorder.port.onmessage = ({ data }) => take(data);
  context.createMediaStreamSource(stream).connect(recorder);
  return async () => {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
  };
}

function joined(chunks) {
  const found = new Float32Array(chunks.reduce((sum, each) => sum + each.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    found.set(chunk, at);
    at += chunk.length;
  }
  return found;
}
