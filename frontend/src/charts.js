// Charts: each keeps its uPlot from one refresh to the next and only gets new numbers, so that nothing flickers.
import uPlot from "uplot";
import { FORMATS, axisTexts } from "./figures.js";
import { text as timeText } from "./times.js";
import { goTo } from "./live.js";

const HUES = 8;
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
    const source = figure.querySelector("script.chart-data");
    if (source && figure.querySelector("[data-plot]")) draw(figure, JSON.parse(source.textContent));
  }
}

function draw(figure, chart) {
  const place = figure.querySelector("[data-plot]");
  const key = JSON.stringify([chart.unit, chart.stretched, chart.lines.map((line) => [line.name, line.hue])]);
  const known = alive.get(figure);
  if (known && known.key === key && place.contains(known.plot.root)) {
    known.chart = chart;
    known.plot.setData(columns(chart), false);
    known.plot.setScale("x", { min: chart.start, max: chart.start + (chart.points - 1) * chart.step });
    showValues(figure, known.plot, chart);
    applyHidden(figure, known);
    return;
  }
  const hidden = known?.hidden ?? new Set();
  if (known) destroy(figure);
  place.replaceChildren();
  const plot = new uPlot(options(figure, place, chart), columns(chart), place);
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

function columns(chart) {
  const times = Array.from({ length: chart.points }, (_, i) => chart.start + i * chart.step);
  return [times, ...chart.lines.map((line) => line.values)];
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
    scales: {
      x: { time: true, range: () => [chartOf(figure, chart).start, lastTime(chartOf(figure, chart))] },
      y: { range: (_, low, high) => yRange(chartOf(figure, chart), low, high) },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 70, size: 24, gap: 4, values: (plot, splits) => timeTexts(plot, splits) },
      { ...axis, space: 34, size: 56, gap: 6, values: (_, splits) => axisTexts(chart.unit, splits) },
    ],
    series: [{}, ...chart.lines.map((line) => lineStyle(colour, line))],
    hooks: {
      setCursor: [(plot) => showValues(figure, plot, chartOf(figure, chart))],
      setSelect: [(plot) => zoom(plot)],
      setSeries: [(plot, i) => focusLegend(figure, i)],
    },
  };
}

// A refresh replaces the document behind a living plot.
const chartOf = (figure, first) => alive.get(figure)?.chart ?? first;
const lastTime = (chart) => chart.start + (chart.points - 1) * chart.step;

function yRange(chart, low, high) {
  if (low == null || high == null) return [0, 1];
  const floor = chart.stretched ? low : Math.min(0, low);
  // An error ratio of nothing but zeros must not look like a line in the middle of noise.
  const least = chart.unit === "share" ? 0.01 : chart.unit === "amount" || chart.unit === "rate" ? 1 : 0.001;
  if (high <= floor) return [floor, floor + least];
  const top = floor < 0 ? high : Math.max(high, chart.unit === "share" ? least : 0);
  return [floor < 0 ? floor * 1.06 : floor, top + (top - floor) * 0.06];
}

function lineStyle(colour, line) {
  return {
    label: line.name,
    stroke: colour(`--hue${line.hue % HUES}`),
    width: 1.6,
    dash: DASHES[Math.floor(line.hue / HUES) % DASHES.length],
    points: { show: (plot, series, from, to) => to - from < 3, size: 5 },
    spanGaps: false,
  };
}

function timeTexts(plot, splits) {
  const span = plot.scales.x.max - plot.scales.x.min;
  const style = span > 86_400 * 1.5 ? "day" : (splits[1] ?? 0) - (splits[0] ?? 0) < 60 ? "time" : "minute";
  return splits.map((at) => {
    const moment = new Date(at * 1000);
    return style === "day"
      ? moment.toLocaleDateString(undefined, { day: "numeric", month: "short" })
      : timeText(moment, style);
  });
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
  const moment = at == null ? "" : timeText(new Date((chart.start + at * chart.step) * 1000), "time");
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
