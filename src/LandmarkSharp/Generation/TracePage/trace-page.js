const chosen = { token: null, layer: null, head: null, passage: null };
const element = (id) => document.getElementById(id);
const shown = 12, tip = element("tip");
let shares, cells, order;

function begin() {
  element("about").textContent = `${header.text ?? "A text"}, ${number(header.text_tokens)} tokens in blocks of ${header.block_tokens}; model ${header.model}: `
    + `${header.layers} layers of ${header.heads} heads, ${header.top_k} blocks read by each beside a window of ${header.window_blocks}`
    + `${header.keep_blocks === undefined ? "" : `, the last ${number(header.keep_blocks)} blocks kept`}. `
    + `${number(passages.length)} of ${number(header.block_count)} blocks were read.`;
  element("prompt").textContent = header.prompt.trim();
  element("prompt-details").hidden = header.prompt.trim() === "";
  for (const [id, count, name] of [["layer", header.layers, "layers"], ["head", header.heads, "heads"]]) {
    element(id).append(new Option(`all ${name}`, ""), ...Array.from({ length: count }, (_, i) => new Option(i, i)));
    element(id).addEventListener("change", (e) => choose({ [id]: e.target.value === "" ? null : Number(e.target.value) }));
  }
  tokens.forEach((token, t) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label(token);
    button.tabIndex = t === 0 ? 0 : -1;
    if (token.text === "" || token.text === "\n") button.className = "mark";
    button.addEventListener("click", () => choose({ token: chosen.token === t ? null : t }));
    element("answer").append(button);
    if (token.text.endsWith("\n")) element("answer").append("\n");
  });
  strip.setAttribute("aria-valuemax", Math.max(0, header.block_count - 1));
  listen();
  readColours();
  shapeHeat();
  choose({});
}

function choose(change) {
  const before = { ...chosen };
  Object.assign(chosen, change);
  if (!shares || ["token", "layer", "head"].some(k => before[k] !== chosen[k])) {
    shares = sharesOfPassages(chosen);
    order = [...shares.keys()].filter(i => shares[i] > 0).sort((a, b) => shares[b] - shares[a] || a - b);
  }
  if (!cells || before.head !== chosen.head || before.passage !== chosen.passage) cells = sharesOfCells(chosen);
  element("layer").value = chosen.layer ?? "";
  element("head").value = chosen.head ?? "";
  tell();
  list();
  draw();
}

function draw() {
  const window = chosen.token === null ? null : tokens[chosen.token].reads.window_block;
  const most = drawStrip(shares, window, chosen.passage === null ? null : passages[chosen.passage].block);
  element("strip-legend").textContent = `0 to ${percent(most)} of attention${window === null ? "" : "; underlined: the window"}`;
  const top = chosen.passage === null ? 1 : cells.reduce((a, b) => Math.max(a, b), 0);
  drawHeat(cells, top, chosen);
  element("heat-legend").textContent = `0 to ${percent(top)} of attention ${chosen.passage === null
    ? "read from memory, not the window" : `to block ${number(passages[chosen.passage].block)}`}`;
  const memory = sharesOfTokens();
  [...element("answer").querySelectorAll("button")].forEach((button, t) => {
    const strong = strength(memory[t], top);
    button.style.background = colour(strong);
    button.style.color = inkOn(strong);
    button.setAttribute("aria-pressed", t === chosen.token);
    button.title = `${percent(memory[t])} from ${chosen.passage === null ? "memory" : `block ${passages[chosen.passage].block}`}`;
  });
}

function sharesOfTokens() {
  const [first, last] = [from(chosen.layer), to(chosen.layer, header.layers)];
  return tokens.map((_, t) => {
    let sum = 0;
    for (let l = first; l < last; l++) sum += cells[l * tokens.length + t];
    return sum / (last - first);
  });
}

function tell() {
  const of = [
    chosen.token === null ? `All ${number(tokens.length)} tokens` : `Token ${chosen.token + 1} of ${number(tokens.length)}, “${label(tokens[chosen.token])}”`,
    chosen.layer === null ? "all layers" : `layer ${chosen.layer}`, chosen.head === null ? "all heads" : `head ${chosen.head}`,
  ].join(", ");
  const memory = shares.reduce((a, b) => a + b, 0);
  const block = chosen.passage === null ? "" : `; block ${number(passages[chosen.passage].block)}: ${percent(shares[chosen.passage])}`;
  element("told").textContent = `${of}: ${percent(memory)} from memory, ${percent(1 - memory)} in the window${block}`;
  element("passage").hidden = chosen.passage === null;
  if (chosen.passage === null) {
    strip.setAttribute("aria-valuenow", 0);
    strip.setAttribute("aria-valuetext", "no block chosen");
    return;
  }
  const passage = passages[chosen.passage];
  element("passage-title").textContent = `Block ${number(passage.block)}: ${percent(shares[chosen.passage])}`;
  element("passage-place").textContent = placeOf(passage);
  element("passage-text").textContent = passage.text;
  strip.setAttribute("aria-valuenow", passage.block);
  strip.setAttribute("aria-valuetext", `block ${passage.block}, ${percent(shares[chosen.passage])}: ${passage.text.trim().slice(0, 160)}`);
}

function list() {
  const most = order.length ? shares[order[0]] : 1;
  element("passages").replaceChildren(...order.slice(0, shown).map((i) => {
    const item = document.createElement("li"), button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", i === chosen.passage);
    const part = (name, text) => {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      return span;
    };
    const bar = part("bar", "");
    bar.style.width = `${Math.max(1, 100 * shares[i] / most)}%`;
    const words = part("words", passages[i].text.trim());
    words.dir = "auto";
    button.append(`${percent(shares[i])} `, part("place", `block ${number(passages[i].block)}, ${placeOf(passages[i])}`), bar, words);
    button.addEventListener("click", () => choose({ passage: chosen.passage === i ? null : i }));
    item.append(button);
    return item;
  }));
  element("passages-more").textContent = order.length === 0 ? "No block was read here: all attention stayed in the window."
    : order.length > shown ? `and ${number(order.length - shown)} more, which the strip shows` : "";
}

// One step from a choice: before the first is the whole.
const step = (now, by, count) => now === null ? (by > 0 ? 0 : count - 1) : now + by < 0 || now + by >= count ? null : now + by;

function stepPassage(key) {
  const read = [...order].sort((a, b) => a - b);         // in the order of the text
  if (read.length === 0) return;
  const now = chosen.passage;
  const next = key === "Home" ? read[0] : key === "End" ? read.at(-1)
    : now === null ? order[0]
    : key === "ArrowRight" || key === "ArrowUp" ? read.find(i => i > now) ?? now : read.findLast(i => i < now) ?? now;
  choose({ passage: next });
}

function stepCell(key) {
  const all = tokens.length, layers = header.layers;
  if (all === 0) return;
  if (key === "ArrowLeft" || key === "ArrowRight") choose({ token: step(chosen.token, key === "ArrowRight" ? 1 : -1, all) });
  else if (key === "ArrowUp" || key === "ArrowDown") choose({ layer: step(chosen.layer, key === "ArrowDown" ? 1 : -1, layers) });
  else choose({ token: key === "Home" ? 0 : all - 1 });
  const scroll = heat.parentElement, left = heatLeft + from(chosen.token) * heatShape.cellWidth;
  if (left < scroll.scrollLeft + heatLeft) scroll.scrollLeft = left - heatLeft;
  else if (left + heatShape.cellWidth > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = left + heatShape.cellWidth - scroll.clientWidth + 8;
}

function stepAnswer(key) {
  const buttons = [...element("answer").querySelectorAll("button")], now = buttons.indexOf(document.activeElement);
  const next = buttons[key === "Home" ? 0 : key === "End" ? buttons.length - 1 : now + (key === "ArrowRight" ? 1 : -1)];
  if (now < 0 || !next) return;
  [buttons[now].tabIndex, next.tabIndex] = [-1, 0];
  next.focus();
}

function showTip(event, text) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 8))}px`;
  tip.style.top = `${event.clientY + 18 + height > innerHeight ? Math.max(4, event.clientY - height - 12) : event.clientY + 18}px`;
}

function listen() {
  const keys = (target, steps, names) => target.addEventListener("keydown", (e) => {
    if (!names.includes(e.key) || e.ctrlKey || e.altKey || e.metaKey) return;
    e.preventDefault();
    steps(e.key);
  });
  const across = ["ArrowLeft", "ArrowRight", "Home", "End"], all = [...across, "ArrowUp", "ArrowDown"];
  keys(strip, stepPassage, all);
  keys(heat, stepCell, all);
  keys(element("answer"), stepAnswer, across);
  document.addEventListener("keydown", (e) => {
    if (e.key === "Escape") choose({ token: null, layer: null, head: null, passage: null });
  });
  element("reset").addEventListener("click", () => choose({ token: null, layer: null, head: null, passage: null }));
  element("deselect").addEventListener("click", () => choose({ passage: null }));
  strip.addEventListener("click", (e) => {
    choose({ passage: passageAt(e.offsetX, shares) });
    if (matchMedia("(max-width: 999px)").matches) element("passage").scrollIntoView({ block: "nearest" });
  });
  heat.addEventListener("click", (e) => {
    const cell = cellAt(e.offsetX, e.offsetY);
    if (cell) choose(cell.token === chosen.token && cell.layer === chosen.layer ? { token: null, layer: null } : cell);
  });
  strip.addEventListener("pointermove", (e) => {
    const i = passageAt(e.offsetX, shares);
    showTip(e, i === null ? "" : `${percent(shares[i])}, block ${number(passages[i].block)}\n${passages[i].text.trim().slice(0, 300)}`);
  });
  heat.addEventListener("pointermove", (e) => {
    const cell = cellAt(e.offsetX, e.offsetY);
    showTip(e, cell && `${percent(cells[cell.layer * tokens.length + cell.token])} in layer ${cell.layer} for “${label(tokens[cell.token])}”`);
  });
  for (const map of [strip, heat]) map.addEventListener("pointerleave", () => tip.hidden = true);
  new ResizeObserver(() => {
    shapeHeat();
    draw();
  }).observe(document.body);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    draw();
  });
}

begin();
