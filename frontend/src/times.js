// The server writes UTC; people read their own time, and find UTC when they point at it.
const STYLES = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  minute: { hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  full: { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
  date: { day: "numeric", month: "short" },
  day: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
};
const formats = Object.fromEntries(
  Object.entries(STYLES).map(([name, style]) => [name, new Intl.DateTimeFormat(undefined, style)]),
);
const DAY_MS = 86_400_000;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

export function localise(root) {
  // The page's own moment, not this machine's: the two clocks may differ.
  const now = Date.parse(document.querySelector(".as-of time")?.dateTime ?? "") || Date.now();
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    // "since 14:02" three days later would be a lie by omission.
    const old = element.dataset.style === "minute" && Math.abs(now - moment.getTime()) > DAY_MS * 0.9;
    element.textContent = text(moment, old ? "day" : element.dataset.style);
  }
}

export function text(moment, style) {
  return (formats[style] ?? formats.time).format(moment);
}

// What is typed is the reader's own time too, and sent in UTC.
const localised = new WeakSet();

export function localiseInputs(root) {
  for (const input of root.querySelectorAll("input[data-utc]")) {
    if (localised.has(input)) continue;
    localised.add(input);
    const moment = new Date(`${input.value}Z`);
    if (isUsual(moment)) input.value = asTyped(moment);
    const words = input.closest("label").querySelector("[data-zone]");
    if (words) words.textContent = `in ${zone.replaceAll("_", " ")} time`;
  }
  for (const input of root.querySelectorAll("input[data-own-zone]")) input.value ||= zone;
}

// When it is sent and not while one types: a browser that goes back fills fields in without a word.
export function startTimes() {
  document.addEventListener("formdata", (event) => {
    for (const input of event.target.querySelectorAll("input[data-utc]")) {
      const moment = new Date(input.value);
      if (isUsual(moment)) event.formData.set(input.name, moment.toISOString().slice(0, 19));
    }
  });
}

// Any other is left for the server to refuse.
function isUsual(moment) {
  return moment.getFullYear() >= 1970 && moment.getFullYear() < 9999;
}

function asTyped(moment) {
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

// Below a chart, from seconds: each day is named once, where it begins, and what lies within it has its time.
export function timeAxisTexts(splits) {
  const style = (splits[1] ?? 0) - (splits[0] ?? 0) < 60 ? "time" : "minute";
  return splits.map((at) => {
    const moment = new Date(at * 1000);
    const beginsDay = !moment.getHours() && !moment.getMinutes() && !moment.getSeconds();
    return text(moment, beginsDay ? "date" : style);
  });
}
