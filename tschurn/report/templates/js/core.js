// What the parts of the page share: its packed data, numbers written as in the text, and files to save.
// All files of this folder run as one script, in the order of render.SCRIPTS.

const root = document.documentElement;
const parts = [];
// A part sets itself up on the page's content, anew whenever a language has replaced it.
const part = (setup) => parts.push(setup);

const packed = new Map();
// A packed block of the page → its text; unpacked once.
const unpack = (name) => {
  if (!packed.has(name)) {
    const bytes = Uint8Array.from(atob(document.getElementById(`packed-${name}`).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    packed.set(name, new Response(stream).text());
  }
  return packed.get(name);
};
const parsed = new Map();
// The same as data, which nobody may change: it is parsed once, for all.
const unpacked = (name) => {
  if (!parsed.has(name)) parsed.set(name, unpack(name).then(JSON.parse));
  return parsed.get(name);
};

// --- numbers, as words.py writes them; null is a dash ---------------------------------------------
const MINUS = "\u2212";
const grouped = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const write = {
  whole: (v) => (v === null ? "–" : grouped(v, 0)),
  score: (v) => (v === null ? "–" : v.toFixed(3)),
  share: (v) => (v === null ? "–" : `${grouped(v * 100, Math.abs(v * 100 - Math.round(v * 100)) < 1e-9 ? 0 : 1)}%`),
  signed: (v) => (v === null ? "–" : `${v < 0 ? MINUS : "+"}${Math.abs(v).toFixed(3)}`),
  brief: (v) =>
    v === null ? "–" : (Math.abs(v) >= 100 ? grouped(v, 0) : String(Number(v.toPrecision(3)))).replace("-", MINUS),
};

// --- files to save --------------------------------------------------------------------------------
// A spreadsheet would run a text that begins like a formula: it gets an apostrophe before it.
const FORMULA = /^[\s\u200b\ufeff"]*[=+\-@\t\r＝＋－＠]/;
const cell = (value) => {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  let text = String(value).replace(/([;\t\r\n])(?=[\s"\u200b\ufeff]*[=+\-@＝＋－＠])/g, "$1'");
  if (FORMULA.test(text)) text = `'${text}`;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
// Rows of cells → a CSV file that opens in a spreadsheet, Korean as Korean.
const saveTable = (name, rows) => {
  const text = `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  link.download = `${name}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
};

// An element with text; what comes from a log is text, never HTML.
const element = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};
