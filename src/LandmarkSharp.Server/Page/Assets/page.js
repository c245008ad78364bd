// What the server's components cannot do from where they are: draw, send files, and lead the keyboard.

/** Makes the page ready, once it is connected. */
export function start() {
  document.addEventListener("keydown", e => {
    if (e.key === "Escape") document.querySelector("#passage .head button")?.click();
    // A line goes with Enter; Shift makes another.
    if (e.key !== "Enter" || e.shiftKey || e.isComposing || e.target.id !== "question") return;
    e.preventDefault();
    e.target.dispatchEvent(new Event("change", { bubbles: true }));
    e.target.form.requestSubmit();
  });
}

let cameFrom = null;

/** Goes to where something was opened. */
export function enter(id) {
  cameFrom = document.activeElement;
  const there = document.getElementById(id), calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  there.focus({ preventScroll: true });
  there.closest("section").scrollIntoView({ block: innerWidth < 900 ? "start" : "nearest", behavior: calm ? "auto" : "smooth" });
}

/** Brings the last question into view. */
export function showLast() {
  document.querySelector(".turns > li:last-child")?.scrollIntoView({ block: "nearest" });
}

/** Goes back to where that was asked for. */
export function goBack() {
  (cameFrom?.isConnected ? cameFrom : document.getElementById("strip"))?.focus();
  cameFrom = null;
}

// ---- Files

const part = 4 << 20, attempts = 6;

let page = null;
const waiting = [];         // what is given before the page is connected

/** Says by whom files are taken, and sends those that wait. */
export function takeFiles(by) {
  page = by;
  give(waiting.splice(0));
}

async function give(files) {
  if (!page) waiting.push(...files);
  else for (const file of files) await sendFile(file, page);
}

// The document's, not the zone's: a file that misses the zone, or comes before the page is connected, would take the page's place.
document.addEventListener("change", e => {
  if (e.target.id !== "files") return;
  give([...e.target.files]);
  e.target.value = "";
});
const mark = isOver => document.getElementById("drop")?.classList.toggle("over", isOver);
/** Whether files are dragged. Links would take the page's place too; text goes into what is written. */
function takes(e) {
  const areFiles = e.dataTransfer.types.includes("Files");
  if (areFiles || !e.target.closest?.("textarea, input")) e.preventDefault();
  return areFiles;
}
document.addEventListener("dragover", e => { if (takes(e)) mark(true); });
document.addEventListener("dragleave", e => e.relatedTarget || mark(false));        // out of the window
document.addEventListener("drop", e => {
  if (!takes(e)) return;
  mark(false);
  give([...e.dataTransfer.files]);
});

/** Sends a file in parts; what an interrupted one had sent is not sent again. */
async function sendFile(file, page) {
  const place = await page.invokeMethodAsync("BeginSending", file.name);
  if (!place) return;
  const tell = (sent, problem = null) => page.invokeMethodAsync("TellSent", file.name, sent, problem);
  try {
    const uploads = `v1/memories/${encodeURIComponent(place.memory)}/uploads`;
    const { id } = await json(await fetch(uploads, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ document: file.name, bytes: file.size, media_type: place.type }),
    }));
    let offset = 0, failed = 0;
    while (offset < file.size) {
      try {
        const answer = await fetch(`${uploads}/${id}`, {
          method: "PATCH", headers: { "Content-Type": "application/octet-stream", "Upload-Offset": offset }, body: file.slice(offset, offset + part),
        });
        if (answer.status !== 409) await json(answer);
        offset = Number(answer.headers.get("Upload-Offset"));
        failed = 0;
      } catch (error) {
        if (!(error instanceof TypeError) || ++failed === attempts) throw error;        // the network's, or the server's
        await new Promise(resolve => setTimeout(resolve, 500 * 2 ** failed));
        const there = await fetch(`${uploads}/${id}`).catch(() => null);
        if (there?.ok) offset = Number(there.headers.get("Upload-Offset"));
      }
      await tell(offset / file.size);
    }
  } catch (error) {
    await tell(0, error instanceof TypeError ? `“${file.name}” could not be sent: the server is not reached; add it again when it is.` : error.message);
  }
}

/** What the server answered, or its sentence as an error. */
async function json(answer) {
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error.message);
  return body;
}

// ---- The strip

const strips = new WeakMap();

/** Draws memories' blocks, each memory's in a canvas of its own, and what was read of them. */
export function drawStrip(host, view, chosen, page) {
  let strip = strips.get(host);
  if (!strip) strips.set(host, strip = watchStrip(host));
  Object.assign(strip, { view, chosen, page, shares: new Map(view.shares.map(s => [s.block, s.share])), now: new Map(view.now.map(s => [s.block, s.share])) });
  strip.read = [...new Set([...strip.shares.keys(), ...strip.now.keys()])].sort((a, b) => a - b);
  const canvases = host.querySelectorAll("canvas");
  strip.parts = view.memories.map((memory, i) => ({ ...memory, end: view.memories[i + 1]?.first ?? view.blocks, canvas: canvases[i] }));
  draw(strip);
}

function watchStrip(host) {
  const strip = { host, at: host.parentElement.querySelector(".strip-at"), busy: false };
  new ResizeObserver(() => draw(strip)).observe(host);
  document.addEventListener("themechange", () => draw(strip));
  host.addEventListener("keydown", e => move(strip, e));
  host.addEventListener("pointermove", e => tell(strip, blockAt(strip, e)));
  host.addEventListener("pointerleave", () => tell(strip, strip.chosen));
  host.addEventListener("click", e => open(strip, blockAt(strip, e), true));
  return strip;
}

/** One after the other, and of several that come meanwhile the last: keys that are held down are faster than passages. */
async function open(strip, block, enters) {
  if (block === null) return;
  strip.wanted = { block, enters };
  if (strip.busy) return;
  strip.busy = true;
  try {
    for (let next = strip.wanted, last; next !== last; last = next, next = strip.wanted) {
      await strip.page.invokeMethodAsync("Open", next.block, next.enters);
      strip.chosen = next.block;                                    // for a key that comes before it is drawn
    }
  } finally {
    strip.busy = false;
  }
}

function move(strip, e) {
  const last = strip.view.blocks - 1, at = (strip.busy ? strip.wanted.block : strip.chosen) ?? -1, leap = Math.max(1, Math.round(strip.view.blocks / 50));
  const read = strip.read.length ? strip.read : null;
  const to = {
    ArrowRight: () => read ? read.find(b => b > at) ?? read.at(-1) : at + 1,
    ArrowLeft: () => read ? read.findLast(b => b < at) ?? read[0] : at - 1,
    ArrowUp: () => at + 1, ArrowDown: () => at - 1, PageUp: () => at + leap, PageDown: () => at - leap, Home: () => 0, End: () => last,
    Enter: () => at < 0 ? read?.[0] ?? 0 : at, " ": () => at < 0 ? read?.[0] ?? 0 : at,
  }[e.key];
  if (!to || e.altKey || e.ctrlKey || e.metaKey) return;
  e.preventDefault();
  open(strip, Math.min(last, Math.max(0, to())), e.key === "Enter" || e.key === " ");
}

/**
 * Cells as large as fit, a block each, alike in all memories; where there are more blocks than cells of three pixels, a cell is several. Each
 * memory begins a row.
 */
function shape(strip) {
  const width = strip.host.clientWidth, blocks = strip.parts.map(p => p.end - p.first), largest = Math.max(...blocks);
  const most = (width < 600 ? 120 : 88) + 24 * (blocks.length - 1), rows = (columns, each) => blocks.map(b => Math.ceil(Math.ceil(b / each) / columns));
  const sum = all => all.reduce((a, b) => a + b, 0);
  for (let least = 24; least >= 3; least--) {
    const columns = Math.min(Math.floor(width / least), Math.max(largest, Math.floor(width / 32))), size = width / columns;
    if (sum(rows(columns, 1)) * size <= most) return { size, columns, rows: rows(columns, 1), each: 1 };
  }
  const columns = Math.floor(width / 3), size = width / columns, spare = Math.max(1, Math.floor(most / size) - blocks.length + 1);
  const each = Math.ceil(sum(blocks) / (columns * spare));
  return { size, columns, rows: rows(columns, each), each };
}

const strength = (share, most) => most > 0 && share > 0 ? 0.25 + 0.75 * Math.sqrt(share / most) : 0;

function draw(strip) {
  if (!strip.view || !strip.host.clientWidth) return;
  strip.shape = shape(strip);
  const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
  const { each } = strip.shape, sums = map => {
    const sum = new Map();
    for (const [block, share] of map) {
      const part = partOf(strip, block), key = part.first + Math.floor((block - part.first) / each) * each;
      sum.set(key, (sum.get(key) ?? 0) + share);
    }
    return sum;
  };
  const lit = [["--read", sums(strip.shares)], ["--now", sums(strip.now)]];
  strip.parts.forEach((part, i) => drawPart(strip, part, strip.shape.rows[i], lit, colour));
  tell(strip, strip.chosen);
}

/** The memory that a block is of. */
const partOf = (strip, block) => strip.parts.findLast(p => p.first <= block);

/** Draws a memory's blocks. */
function drawPart(strip, { first, end, canvas }, rows, lit, colour) {
  const { size, columns, each } = strip.shape, scale = devicePixelRatio || 1, gap = size >= 5 ? 1 : 0;
  canvas.style.height = `${rows * size}px`;
  [canvas.width, canvas.height] = [Math.round(strip.host.clientWidth * scale), Math.round(rows * size * scale)];
  const pen = canvas.getContext("2d"), cells = Math.ceil((end - first) / each);
  pen.scale(scale, scale);
  const place = cell => [cell % columns * size, Math.floor(cell / columns) * size];
  const fill = (cell, grow = 0) => {
    const [x, y] = place(cell);
    pen.fillRect(x - grow, y - grow, size - gap + 2 * grow, size - gap + 2 * grow);
  };
  // Documents are told apart by their tint.
  const tints = [colour("--block"), colour("--block-other")], starts = strip.view.documents.map(d => d.first).filter(d => d >= first && d < end);
  for (let cell = 0, document = 0; cell < cells; cell++) {
    while (document + 1 < starts.length && starts[document + 1] <= first + cell * each) document++;
    pen.fillStyle = tints[document % 2];
    fill(cell);
  }
  for (const [name, sums] of lit) {
    const most = Math.max(...sums.values());
    pen.fillStyle = colour(name);
    for (const [block, share] of sums) {
      if (block < first || block >= end) continue;
      pen.globalAlpha = strength(share, most);
      fill(Math.floor((block - first) / each), size < 5 ? 0.5 : 0);
    }
    pen.globalAlpha = 1;
  }
  if (strip.chosen === null || strip.chosen < first || strip.chosen >= end) return;
  const [x, y] = place(Math.floor((strip.chosen - first) / each)), side = Math.max(size - gap, 7), shift = (side - size + gap) / 2;
  pen.strokeStyle = colour("--ink");
  pen.lineWidth = 2;
  pen.strokeRect(Math.max(1, x - shift), Math.max(1, y - shift), side, side);
}

/** The block at a place: of a cell of several, the one most read. */
function blockAt(strip, e) {
  const { size, columns, each } = strip.shape;
  const at = strip.parts.map(p => ({ part: p, box: p.canvas.getBoundingClientRect() })).find(({ box }) => e.clientY >= box.top && e.clientY < box.bottom);
  if (!at) return null;
  const { part, box } = at, column = Math.min(columns - 1, Math.max(0, Math.floor((e.clientX - box.left) / size)));
  const first = part.first + (Math.floor((e.clientY - box.top) / size) * columns + column) * each;
  if (first < 0 || first >= part.end) return null;
  let best = first;
  const share = block => Math.max(strip.shares.get(block) ?? 0, strip.now.get(block) ?? 0);
  for (let block = first + 1; block < Math.min(first + each, part.end); block++) if (share(block) > share(best)) best = block;
  return best;
}

/** Says beneath the strip what is pointed at; screen readers are told by its own value. */
function tell(strip, block) {
  if (block === null || block >= strip.view.blocks) {
    strip.at.textContent = `${strip.view.blocks.toLocaleString("en")} blocks` + (strip.shares.size ? `, ${strip.shares.size} of them read` : "");
    return;
  }
  const document = strip.view.documents.findLast(d => d.first <= block)?.name, share = strip.now.get(block) ?? strip.shares.get(block);
  const memory = strip.parts.length > 1 ? `${partOf(strip, block).name} · ` : "";
  strip.at.textContent = `Block ${(block + 1).toLocaleString("en")} of ${strip.view.blocks.toLocaleString("en")} · ${memory}${document}`
    + (share === undefined ? "" : ` · ${(share * 100).toFixed(1)} %`);
}
