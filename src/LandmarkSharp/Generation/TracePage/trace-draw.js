const strip = document.getElementById("strip"), heat = document.getElementById("heat");
const stripTop = 4, stripHeight = 44, heatLeft = 34;
let colours, heatShape;

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const rgb = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map(x => parseInt(x, 16));
  colours = {
    ramp: [rgb("--low"), rgb("--mid"), rgb("--high")],
    soft: style.getPropertyValue("--soft"),
    accent: style.getPropertyValue("--accent"),
  };
}

// From low to high by way of the middle; x from 0 to 1.
function mixed(x) {
  const at = 2 * Math.min(1, Math.max(0, x)), part = at < 1 ? 0 : 1;
  const [a, b] = [colours.ramp[part], colours.ramp[part + 1]];
  return a.map((v, i) => Math.round(v + (b[i] - v) * (at - part)));
}

const colour = (x) => `rgb(${mixed(x).join(" ")})`;

// Black or white, whichever can be read on it: relative luminance as WCAG 2 has it.
function inkOn(x) {
  const [r, g, b] = mixed(x).map(v => ((v / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

// Small shares are to be seen too.
const strength = (share, most) => most > 0 && share > 0 ? 0.12 + 0.88 * Math.sqrt(share / most) : 0;

function sized(canvas, width, height) {
  const scale = Math.min(devicePixelRatio || 1, 16000 / Math.max(width, height));
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const draw = canvas.getContext("2d");
  draw.scale(scale, scale);
  return draw;
}

// Blocks from left to right; where there are more of them than pixels, a column is several.
const blockX = (block) => block / header.block_count * strip.clientWidth;

function drawStrip(shares, window, chosen) {
  const width = strip.clientWidth, draw = sized(strip, width, 72);
  const cell = Math.max(1, width / header.block_count), columns = Math.ceil(width / cell), sums = new Float64Array(columns + 1);
  const column = (block) => Math.min(columns, Math.floor(blockX(block) / cell + 1e-6));
  passages.forEach((p, i) => sums[column(p.block)] += shares[i]);
  const most = Math.max(...sums);
  draw.fillStyle = colour(0);
  draw.fillRect(0, stripTop, width, stripHeight);
  const gap = cell >= 6 ? 1 : 0, least = Math.max(cell - gap, 2);
  sums.forEach((sum, i) => {
    if (sum === 0) return;
    draw.fillStyle = colour(strength(sum, most));
    draw.fillRect(Math.min(i * cell, width - least), stripTop, least, stripHeight);
  });
  if (window !== null) {
    draw.fillStyle = colours.accent;
    draw.fillRect(Math.min(blockX(window), width - 3), stripTop + stripHeight + 2, Math.max(3, width - blockX(window)), 3);
  }
  if (chosen !== null) {
    const x = Math.min(blockX(chosen) + cell / 2, width - 1), y = stripTop + stripHeight + 6;
    draw.strokeStyle = draw.fillStyle = colours.accent;
    draw.lineWidth = 2;
    draw.strokeRect(Math.min(x - Math.max(cell, 4) / 2, width - 4), stripTop - 2, Math.max(cell, 4), stripHeight + 4);
    draw.beginPath();
    draw.moveTo(x, y);
    draw.lineTo(x - 6, y + 10);
    draw.lineTo(x + 6, y + 10);
    draw.fill();
  }
  return most;
}

function shapeHeat() {
  const room = heat.parentElement.clientWidth - heatLeft - 8;
  const width = Math.min(44, Math.max(16, Math.floor(room / Math.max(1, tokens.length)))), most = (15000 - heatLeft) / Math.max(1, tokens.length);
  heatShape = { cellWidth: Math.min(width, most), cellHeight: header.layers > 40 ? 12 : header.layers > 16 ? 16 : 22 };
  heatShape.width = heatLeft + heatShape.cellWidth * tokens.length + 2;
  heatShape.labels = heatShape.cellWidth < 12 ? 2 : 14 + 7 * Math.min(11, Math.max(...tokens.map(t => label(t).trim().length), 1));
  heatShape.height = heatShape.cellHeight * header.layers + heatShape.labels;
  heat.style.width = `${heatShape.width}px`;
  heat.style.height = `${heatShape.height}px`;
}

function drawHeat(shares, most, chosen) {
  const { cellWidth, cellHeight, width, height } = heatShape, draw = sized(heat, width, height), bottom = cellHeight * header.layers;
  const gap = cellWidth >= 6 ? 1 : 0;
  for (let l = 0; l < header.layers; l++)
    for (let t = 0; t < tokens.length; t++) {
      draw.fillStyle = colour(strength(shares[l * tokens.length + t], most));
      draw.fillRect(heatLeft + t * cellWidth, l * cellHeight, cellWidth - gap, cellHeight - 1);
    }
  draw.font = "11px system-ui, sans-serif";
  draw.textBaseline = "middle";
  draw.textAlign = "right";
  const every = cellHeight < 14 ? 4 : 1;
  for (let l = 0; l < header.layers; l += every) {
    draw.fillStyle = l === chosen.layer ? colours.accent : colours.soft;
    draw.fillText(l, heatLeft - 6, (l + 0.5) * cellHeight);
  }
  if (cellWidth >= 12) {
    tokens.forEach((token, t) => {
      const text = label(token).trim();
      draw.save();
      draw.translate(heatLeft + (t + 0.5) * cellWidth, bottom + 6);
      draw.rotate(-Math.PI / 2);
      draw.fillStyle = t === chosen.token ? colours.accent : colours.soft;
      draw.fillText(text.length > 11 ? `${text.slice(0, 10)}…` : text, 0, 0);
      draw.restore();
    });
  }
  draw.strokeStyle = colours.accent;
  draw.lineWidth = 2;
  const left = heatLeft + from(chosen.token) * cellWidth, top = from(chosen.layer) * cellHeight;
  if (chosen.token !== null || chosen.layer !== null)
    draw.strokeRect(
      left, Math.max(1, top), (to(chosen.token, tokens.length) - from(chosen.token)) * cellWidth - gap,
      (to(chosen.layer, header.layers) - from(chosen.layer)) * cellHeight - 1);
}

// The token and layer at a place of the heat map; null beside it.
function cellAt(x, y) {
  const token = Math.floor((x - heatLeft) / heatShape.cellWidth), layer = Math.floor(y / heatShape.cellHeight);
  return token >= 0 && token < tokens.length && layer >= 0 && layer < header.layers ? { token, layer } : null;
}

// The most read passage near a place of the strip; null where there is none.
function passageAt(x, shares) {
  const reach = Math.max(8, strip.clientWidth / header.block_count / 2);
  let found = null, best = -1;
  passages.forEach((p, i) => {
    const apart = Math.abs(blockX(p.block + 0.5) - x);
    if (apart > reach || shares[i] <= 0) return;
    const worth = apart <= reach / 4 ? 1 + shares[i] : shares[i] / (1 + apart);
    if (worth > best) [found, best] = [i, worth];
  });
  return found;
}
