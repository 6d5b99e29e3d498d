// What the pages about alerts do beyond their HTML: the reader's own "tomorrow", a preview while one types, a backtest
// that says how far it is.
import { localise } from "./times.js";

const PAUSE_MS = 350;
let typing = 0;

// After each refresh too: the server knows only its own midnight.
export function settleAlerts(root) {
  const tomorrow = new Date();
  tomorrow.setDate(tomorrow.getDate() + 1);
  tomorrow.setHours(9, 0, 0, 0);
  for (const choice of root.querySelectorAll("[data-tomorrow]")) {
    choice.value = `until:${tomorrow.getTime()}`;
    choice.textContent = choice.dataset.tomorrow;
  }
}

export function startAlerts() {
  document.addEventListener("input", (event) => {
    if (event.target.id !== "matchers") return;
    clearTimeout(typing);
    typing = setTimeout(preview, PAUSE_MS);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-preview]")) {
      event.preventDefault();
      preview();
    }
    if (event.target.closest?.("[data-close]")) event.target.closest("section").hidden = true;
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches?.("[data-backtest]")) return;
    event.preventDefault();
    backtest(event.target);
  });
}

async function preview() {
  const fields = new URLSearchParams({ matchers: document.getElementById("matchers").value });
  const address = document.querySelector("[data-preview]").formAction;
  const response = await fetch(`${address}?${fields}`, { headers: { "HX-Request": "true" } });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById("preview");
  if (fresh) document.getElementById("preview").innerHTML = fresh.innerHTML;
}

async function backtest(form) {
  const place = document.getElementById("backtest");
  const fields = new URLSearchParams(new FormData(form));
  const address = form.action;
  const isFromResult = place.contains(form);
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", "Progress of the backtest");
  const words = document.createElement("p");
  const limit = fields.get("limit") ? ` with ${fields.get("limit")}` : "";
  words.textContent = `Trying ${fields.get("rule")} on the last ${fields.get("since")}${limit}…`;
  place.replaceChildren(words, bar);
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
  fields.set("stream", "true");
  try {
    const response = await fetch(address, { method: "POST", body: fields });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    for await (const line of lines(response.body)) told(place, bar, line);
    // Who tries one number after the other goes on where they were; the server may have a path of its own before it.
    for (const again of place.querySelectorAll("form")) again.action = address;
    const field = isFromResult && (place.querySelector("[name=limit]") ?? place.querySelector("select"));
    if (field) {
      field.focus();
      field.select?.();
    }
  } catch (error) {
    failed(place, error.message);
  }
}

function told(place, bar, line) {
  if (line.error) return failed(place, line.error);
  if (line.html) {
    place.innerHTML = `<button type="button" class="quiet" data-close>Close</button>${line.html}`; // our own template
    localise(place);
  } else if (line.total > 0) {
    bar.max = line.total;
    bar.value = line.done;
  }
}

function failed(place, reason) {
  const words = document.createElement("p");
  words.className = "failure";
  words.textContent = `The backtest failed: ${reason}`;
  place.replaceChildren(words);
}

async function* lines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
}
