// Charts: each keeps its uPlot from one refresh to the next and only gets new numbers, so that nothing flickers.
import uPlot from "uplot";
import { FORMATS, axisTexts } from "./figures.js";
import { text as timeText, timeAxisTexts } from "./times.js";
import { goTo } from "./live.js";

const HUES = 8;
const LOG_FLOOR = 0.001;
const DAY_S = 86_400;
const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
const alive = new Map(); // figure → { plot, key, hidden: Set of line names, document }

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", () => {
  for (const figure of [...alive.keys()]) destroy(figure, true);
  drawCharts(document);
});

export function drawCharts(root) {
  for (const figure of alive.keys()) {
    if (!figure.isConnected || !figure.querySelector("[data-plot]")) destroy(figure);
  }
  for (const figure of root.querySelectorAll("figure.chart")) {
    const source = figure.querySelector(".chart-data");
    if (source && figure.querySelector("[data-plot]")) draw(figure, JSON.parse(source.textContent));
  }
}

function draw(figure, chart) {
  const place = figure.querySelector("[data-plot]");
  const key = JSON.stringify([chart.unit, chart.stretched, chart.stacked, chart.log, chart.lines.map((line) => [line.name, line.hue])]);
  const known = alive.get(figure);
  if (known && known.key === key && place.contains(known.plot.root)) {
    known.chart = chart;
    known.plot.setData(columns(chart, known.hidden), false);
    known.plot.setScale("x", { min: chart.start, max: chart.start + (chart.points - 1) * chart.step });
    showValues(figure, known.plot, chart);
    applyHidden(figure, known);
    return;
  }
  const hidden = known?.hidden ?? new Set();
  if (known) destroy(figure);
  place.replaceChildren();
  const plot = new uPlot(options(figure, place, chart), columns(chart, hidden), place);
  const state = { plot, key, hidden, chart };
  state.observer = new ResizeObserver(() => plot.setSize(size(place)));
  state.observer.observe(place);
  alive.set(figure, state);
  figure.addEventListener("click", onLegend);
  plot.over.addEventListener("dblclick", () => history.length > 1 && isZoomed() && history.back());
  showValues(figure, plot, chart);
  applyHidden(figure, state);
}

function destroy(figure, keep = false) {
  const state = alive.get(figure);
  state.observer.disconnect();
  state.plot.destroy();
  if (!keep) alive.delete(figure);
  else state.key = "";
}

const isZoomed = () => new URL(location.href).searchParams.has("from");

function columns(chart, hidden) {
  const times = Array.from({ length: chart.points }, (_, i) => chart.start + i * chart.step);
  if (chart.stacked) return [times, ...stacked(chart, hidden)];
  const lift = (value) => (value == null ? null : Math.max(value, LOG_FLOOR));
  return [times, ...chart.lines.map((line) => (chart.log ? line.values.map(lift) : line.values))];
}

// Each line stands on those after it; one that is hidden has no height.
function stacked(chart, hidden) {
  let below = Array(chart.points).fill(0);
  const heights = [];
  for (const line of [...chart.lines].reverse()) {
    if (line.apart) {
      heights.unshift(line.values);
      continue;
    }
    if (!hidden.has(line.name)) below = below.map((height, i) => height + (line.values[i] ?? 0));
    heights.unshift(below);
  }
  return heights;
}

function size(place) {
  return { width: Math.max(120, place.clientWidth), height: place.clientHeight };
}

function options(figure, place, chart) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: colour("--muted"), font, ticks: { show: false }, grid: { stroke: colour("--hairline"), width: 1 } };
  return {
    ...size(place),
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: {
      // The crosshair is shared by all charts of the page, a selection is not.
      sync: { key: "page", setSeries: false, filters: { pub: (type) => type === "mousemove" || type === "mouseleave" } },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6, width: 2 },
      focus: { prox: 24 },
      y: false,
    },
    focus: { alpha: 0.3 },
    ...(chart.stacked ? { drawOrder: ["series", "axes"] } : {}),
    scales: {
      x: { time: true, range: () => [chartOf(figure, chart).start, lastTime(chartOf(figure, chart))] },
      y: chart.log
        ? { distr: 3, range: (_, low, high) => logRange(low, high) }
        : { range: (_, low, high) => yRange(chartOf(figure, chart), low, high) },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 24, gap: 4, values: (_, splits) => timeAxisTexts(splits) },
      { ...axis, space: 34, size: 56, gap: 6, values: (_, splits) => axisTexts(chart.unit, splits) },
    ],
    series: [{}, ...chart.lines.map((line) => lineStyle(colour, line, chart))],
    hooks: {
      setCursor: [(plot) => showValues(figure, plot, chartOf(figure, chart))],
      setSelect: [(plot) => zoom(plot)],
      setSeries: [(plot, i) => focusLegend(figure, i)],
      drawAxes: [(plot) => drawMoments(plot, chartOf(figure, chart), colour)],
    },
  };
}

// A refresh replaces the document behind a living plot.
const chartOf = (figure, first) => alive.get(figure)?.chart ?? first;
const lastTime = (chart) => chart.start + (chart.points - 1) * chart.step;

// A decade at least, so that a quiet hour does not look like a storm.
function logRange(low, high) {
  if (low == null || high == null) return [LOG_FLOOR, 1];
  const floor = 10 ** Math.floor(Math.log10(Math.max(low, LOG_FLOOR)));
  return [floor, Math.max(floor * 10, 10 ** Math.ceil(Math.log10(high) - 1e-9))];
}

// The bucket that is not over yet, hatched, and moments such as deploys as upright lines.
function drawMoments(plot, chart, colour) {
  const { ctx } = plot;
  const { left, top, width, height } = plot.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour("--muted");
  if (chart.unfinished != null) {
    const from = plot.valToPos(chart.unfinished - chart.step, "x", true);
    ctx.globalAlpha = 0.45;
    ctx.beginPath();
    ctx.rect(from, top, left + width - from, height);
    ctx.clip();
    ctx.beginPath();
    for (let x = from - height; x < left + width; x += 6 * devicePixelRatio) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
  }
  ctx.restore();
  ctx.save();
  ctx.strokeStyle = colour("--muted");
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const [at] of chart.marks ?? []) {
    const x = plot.valToPos(at, "x", true);
    if (x < left || x > left + width) continue;
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, top + height);
    ctx.stroke();
  }
  ctx.restore();
}

function yRange(chart, low, high) {
  if (low == null || high == null) return [0, 1];
  const floor = chart.stretched ? low : Math.min(0, low);
  // An error ratio of nothing but zeros must not look like a line in the middle of noise.
  const least = chart.unit === "share" ? 0.01 : chart.unit === "amount" || chart.unit === "rate" ? 1 : 0.001;
  if (high <= floor) return [floor, floor + least];
  const top = floor < 0 ? high : Math.max(high, chart.unit === "share" ? least : 0);
  return [floor < 0 ? floor * 1.06 : floor, top + (top - floor) * 0.06];
}

function lineStyle(colour, line, chart) {
  const stroke = colour(`--hue${line.hue % HUES}`);
  return {
    label: line.name,
    stroke,
    fill: chart.stacked && !line.apart ? tint(stroke, colour("--paper")) : undefined,
    width: 1.6,
    dash: DASHES[Math.floor(line.hue / HUES) % DASHES.length],
    points: { show: (plot, series, from, to) => to - from < 3, size: 5 },
    spanGaps: Boolean(chart.joined),
  };
}

// Opaque, since each area of a stack lies over those behind it. Both are "#rrggbb", or "#rgb".
function tint(hue, paper) {
  const [over, under] = [hue, paper].map((text) => {
    const digits = text.slice(1);
    const pairs = digits.length === 3 ? [...digits].map((digit) => digit + digit) : digits.match(/../g);
    return pairs.map((pair) => parseInt(pair, 16));
  });
  return `rgb(${over.map((part, i) => Math.round(part * 0.3 + under[i] * 0.7)).join(" ")})`;
}

// The legend says the values at the cursor; without one, the last.
function showValues(figure, plot, chart) {
  const at = plot.cursor.left >= 0 ? plot.cursor.idx : null;
  const format = FORMATS[chart.unit];
  for (const item of figure.querySelectorAll("[data-line]")) {
    const values = chart.lines[Number(item.dataset.line)]?.values;
    const output = item.querySelector("output");
    if (values && output) setText(output, format(at == null ? lastKnown(values) : values[at]));
  }
  // Of several days, a time alone could be of any.
  const style = (chart.points - 1) * chart.step > DAY_S ? "full" : "time";
  const moment = at == null ? "" : timeText(new Date((chart.start + at * chart.step) * 1000), style);
  let stamp = figure.querySelector(".stamp");
  if (!stamp) {
    stamp = document.createElement("span");
    stamp.className = "stamp";
    stamp.setAttribute("aria-hidden", "true");
    figure.querySelector("figcaption").append(stamp);
  }
  setText(stamp, moment);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function lastKnown(values) {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] != null) return values[i];
  return null;
}

function zoom(plot) {
  if (plot.select.width < 4) return;
  const from = Math.floor(plot.posToVal(plot.select.left, "x"));
  const to = Math.ceil(plot.posToVal(plot.select.left + plot.select.width, "x"));
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  const url = new URL(location.href);
  url.searchParams.delete("range");
  url.searchParams.set("from", from);
  url.searchParams.set("to", Math.max(to, from + 10));
  url.searchParams.set("refresh", "0");
  goTo(url.href);
}

function focusLegend(figure, i) {
  for (const item of figure.querySelectorAll("[data-line]")) {
    item.classList.toggle("focused", i != null && Number(item.dataset.line) === i - 1);
  }
}

// A click hides a line, a click with a modifier shows it alone.
function onLegend(event) {
  const button = event.target.closest("[data-line] button[aria-pressed]");
  const figure = event.currentTarget;
  const state = alive.get(figure);
  if (!button || !state) return;
  const name = state.chart.lines[Number(button.closest("[data-line]").dataset.line)].name;
  if (event.metaKey || event.ctrlKey || event.shiftKey) {
    const others = state.chart.lines.map((line) => line.name).filter((other) => other !== name);
    state.hidden = state.hidden.size === others.length && !state.hidden.has(name) ? new Set() : new Set(others);
  } else if (!state.hidden.delete(name)) {
    state.hidden.add(name);
  }
  applyHidden(figure, state);
}

function applyHidden(figure, { plot, hidden, chart }) {
  if (chart.stacked) plot.setData(columns(chart, hidden), true);
  plot.batch(() => {
    chart.lines.forEach((line, i) => {
      const show = !hidden.has(line.name);
      if (plot.series[i + 1].show !== show) plot.setSeries(i + 1, { show });
    });
  });
  for (const item of figure.querySelectorAll("[data-line]")) {
    const line = chart.lines[Number(item.dataset.line)];
    item.querySelector("button").setAttribute("aria-pressed", String(!hidden.has(line?.name)));
  }
}
