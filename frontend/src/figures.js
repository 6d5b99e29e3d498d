// Numbers as people read them; server/web/figures.py says the same, so that a refresh never rewords a number.
const GAP = "\u202f";
const LARGE = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

function digits(value) {
  const size = Math.abs(value);
  if (size === 0) return "0";
  const places = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.09995 ? 2 : 3;
  const text = value.toFixed(places);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

export function amount(value) {
  if (value == null) return "–";
  for (const [size, prefix] of LARGE) {
    if (Math.abs(value) >= size * 0.9995) return digits(value / size) + GAP + prefix;
  }
  if (value !== 0 && Math.abs(value) < 0.001) {
    return value.toExponential(1).replace(/e([+-])(\d)$/, "e$10$2");
  }
  return digits(value);
}

function share(value) {
  if (value == null) return "–";
  const percent = value * 100;
  if (percent !== 0 && Math.abs(percent) < 0.01) return `<0.01${GAP}%`;
  return percent.toFixed(Math.abs(percent) >= 10 || percent === 0 ? 0 : Math.abs(percent) >= 1 ? 1 : 2) + GAP + "%";
}

function seconds(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  for (const [limit, scale, unit] of [[0.0009995, 1e6, "µs"], [0.9995, 1e3, "ms"], [99.95, 1, "s"], [5400, 1 / 60, "min"]]) {
    if (size < limit) return (value === 0 ? "0" : digits(value * scale)) + GAP + unit;
  }
  return digits(value / 3600) + GAP + "h";
}

export const FORMATS = { amount, share, seconds, rate: (value) => (value == null ? "–" : amount(value) + "/s") };

// Axis labels share one precision: "0.5 s, 1 s, 1.5 s" instead of "500 ms, 1 s, 1.5 s".
export function axisTexts(unit, splits) {
  if (unit === "share") {
    const step = Math.abs((splits[1] ?? 1) - splits[0]) * 100;
    const places = step >= 1 ? 0 : step >= 0.1 ? 1 : 2;
    return splits.map((value) => (value * 100).toFixed(places) + GAP + "%");
  }
  if (unit === "seconds") {
    // A logarithmic axis leaves some of its marks without a text.
    if (splits.includes(null)) return splits.map((value) => (value == null ? null : seconds(value)));
    const top = Math.max(...splits.map(Math.abs));
    if (top < 0.9995) return splits.map(seconds).map((text, i) => (splits[i] === 0 ? "0" : text));
    if (top < 99.95) return splits.map((value) => (value === 0 ? "0" : digits(value) + GAP + "s"));
  }
  return splits.map((value) => (value === 0 ? "0" : FORMATS[unit](value)));
}
