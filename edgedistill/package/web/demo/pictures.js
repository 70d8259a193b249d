// Draw, drop or choose a picture.

const MOST_SHOWN = 10;

export function showPictures(model, at) {
  const board = at("board");
  const context = board.getContext("2d", { willReadFrequently: true });
  at("picture").hidden = false;
  const ask = (source) => answers(model, source).then((rows) => show(at("answers"), rows));

  async function photo(file) {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(board.width / bitmap.width, board.height / bitmap.height);
    wipe();
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    const place = [(board.width - width) / 2, (board.height - height) / 2];
    context.drawImage(bitmap, ...place, width, height);
    await ask(file); // the file itself: the board shows a smaller copy
  }

  function wipe() {
    context.fillStyle = "black";
    context.fillRect(0, 0, board.width, board.height);
    at("answers").replaceChildren();
  }

  draw(board, context, () => ask(board));
  at("wipe").onclick = wipe;
  at("photo").onchange = ({ target }) => target.files[0] && photo(target.files[0]);
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) photo(file);
  });
  wipe();
}

/** Rows {name, value, share, best} for the page, the likeliest first. */
async function answers(model, source) {
  const { activation } = model.app;
  if (activation !== "softmax") {
    const { values, labels } = await model.values(source);
    const bar = activation === "sigmoid";
    const rows = values.map((value, place) => ({ name: labels[place] ?? String(place), value,
      share: bar ? value : 0 }));
    return { rows: rows.slice(0, MOST_SHOWN) };
  }
  const { probabilities, label, route } = await model.classify(source);
  const rows = probabilities
    .map((value, place) => ({ name: model.app.labels[place], value, share: value }))
    .map((row) => ({ ...row, best: row.name === label }));
  const fewest = rows.length > MOST_SHOWN
    ? rows.sort((a, b) => b.value - a.value).slice(0, MOST_SHOWN) : rows;
  return { rows: fewest, note: route ? "Unsure: here an app would ask the teacher." : "" };
}

function show(list, { rows, note }) {
  list.replaceChildren(...rows.map(({ name, value, share, best }) => {
    const item = document.createElement("li");
    const bar = Object.assign(document.createElement("meter"), { value: share });
    item.className = best ? "best" : "";
    item.append(text(name), bar, text(value.toFixed(3)));
    return item;
  }));
  if (note) {
    const item = Object.assign(document.createElement("li"), { className: "note", textContent: note });
    list.append(item);
  }
}

const text = (content) => Object.assign(document.createElement("span"), { textContent: content });

function draw(board, context, changed) {
  let drawing = false;
  const place = (event) => {
    const box = board.getBoundingClientRect();
    const scale = board.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  board.onpointerdown = (event) => {
    board.setPointerCapture(event.pointerId);
    drawing = true;
    Object.assign(context, { strokeStyle: "white", lineWidth: 26, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    context.moveTo(...place(event));
  };
  board.onpointermove = (event) => {
    if (!drawing) return;
    context.lineTo(...place(event));
    context.stroke();
  };
  board.onpointerup = () => {
    drawing = false;
    changed();
  };
}
