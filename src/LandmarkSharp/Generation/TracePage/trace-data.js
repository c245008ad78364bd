// The trace, flat: what a head of a layer read for a token lies from starts[cell] to starts[cell + 1].
const { header, tokens } = JSON.parse(document.getElementById("trace").textContent);
const passages = header.passages;
const data = (() => {
  const place = new Map(passages.map((p, i) => [p.block, i]));
  const cells = tokens.length * header.layers * header.heads;
  const starts = new Int32Array(cells + 1);
  let cell = 0;
  for (const token of tokens)
    for (const heads of token.reads.layers)
      for (const read of heads) starts[cell + 1] = starts[cell++] + read.blocks.length;
  const at = new Int32Array(starts[cells]), masses = new Float32Array(starts[cells]);
  let i = 0;
  for (const token of tokens) {
    for (const heads of token.reads.layers)
      for (const read of heads)
        read.blocks.forEach((block, j) => {
          at[i] = place.get(block);
          masses[i++] = read.masses[j];
        });
    token.reads.layers = null;            // what is flat is not needed twice
  }
  return { starts, at, masses };
})();

const from = (one) => one ?? 0, to = (one, all) => one === null ? all : one + 1;

// Calls see(token, layer, passage, mass times queries) for all that was read under a selection, null for all; gives the queries, heads counted.
function walk(token, layer, head, see) {
  let rows = 0;
  for (let t = from(token); t < to(token, tokens.length); t++) {
    const queries = tokens[t].reads.queries;
    for (let l = from(layer); l < to(layer, header.layers); l++)
      for (let h = from(head); h < to(head, header.heads); h++) {
        const cell = (t * header.layers + l) * header.heads + h;
        rows += queries;
        for (let i = data.starts[cell]; i < data.starts[cell + 1]; i++) see(t, l, data.at[i], data.masses[i] * queries);
      }
  }
  return rows;
}

// Each passage's share of the attention of a selection.
function sharesOfPassages({ token, layer, head }) {
  const shares = new Float64Array(passages.length);
  const rows = walk(token, layer, head, (t, l, p, mass) => shares[p] += mass);
  return rows ? shares.map(s => s / rows) : shares;
}

// Each layer's and token's share that went to memory, or to one passage of it: [layer * tokens + token].
function sharesOfCells({ head, passage }) {
  const shares = new Float64Array(header.layers * tokens.length);
  walk(null, null, head, (t, l, p, mass) => {
    if (passage === null || p === passage) shares[l * tokens.length + t] += mass;
  });
  const heads = head === null ? header.heads : 1;
  return shares.map((s, i) => s / Math.max(1, heads * tokens[i % tokens.length].reads.queries));
}

const percent = (share) => share > 0 && share < 0.0005 ? "under 0.1 %" : `${(100 * Math.max(0, share)).toFixed(1)} %`;
const number = (n) => n.toLocaleString("en");

// A token as a label: marks and parts of characters spell nothing.
function label(token) {
  if (token.text === "") return `#${token.id}`;
  if (/^ +$/.test(token.text)) return "␣";
  return token.text.replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}

function placeOf(passage) {
  const bytes = passage.first_byte === undefined ? ""
    : `, bytes ${number(passage.first_byte)} to ${number(Math.max(passage.first_byte, passage.first_byte + passage.bytes - 1))}`;
  const memory = passage.memory !== undefined && header.passages.some((p) => p.memory !== undefined && p.memory !== passage.memory)
    ? `${passage.memory}: ` : "";
  const document = passage.document === undefined ? "" : `${memory}${passage.document}, `;
  const beyond = passage.document === undefined && passage.first_token + passage.tokens > header.text_tokens ? ", past the text's end" : "";
  return `${document}tokens ${number(passage.first_token)} to ${number(passage.first_token + passage.tokens - 1)}${bytes}${beyond}`;
}
