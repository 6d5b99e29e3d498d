// One refresh for the whole page: the page's own address again, morphed into what is there.
import htmx from "htmx.org/dist/htmx.esm.js";
import { Idiomorph } from "idiomorph";
import { localise } from "./times.js";

const RETRY_MS = 5_000;
let timer = 0;
let failedSince = 0;
let busy = false;

htmx.defineExtension("morph", {
  isInlineSwap: (style) => style === "morph",
  handleSwap: (style, target, fragment) => {
    if (style !== "morph") return false;
    return Idiomorph.morph(target, fragment.children, {
      morphStyle: "outerHTML",
      ignoreActiveValue: true,
      callbacks: { beforeNodeMorphed, beforeAttributeUpdated },
    });
  },
});

// What belongs to the reader or to a script stays: a half-written query, a drawn chart.
function beforeNodeMorphed(old, fresh) {
  if (!(old instanceof Element) || !(fresh instanceof Element)) return true;
  if (old.hasAttribute("data-keep") && fresh.hasAttribute("data-keep")) return false;
  return !(old.hasAttribute("data-plot") && fresh.hasAttribute("data-plot") && old.querySelector(".uplot"));
}

function beforeAttributeUpdated(name, node) {
  return !((name === "open" && node.tagName === "DETAILS") || (name === "aria-pressed" && node.closest("[data-line]")));
}

export function startLive(settle) {
  const app = document.getElementById("app");
  if (!app) return;
  document.addEventListener("htmx:afterSwap", () => {
    document.getElementById("app").classList.toggle("stale", false);
    failedSince = 0;
    busy = false;
    favicon();
    settle();
    say("");
    plan();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // Led elsewhere, to the log-in most likely: go there as a whole page.
    if (event.detail.shouldSwap && !/<div id="app"/.test(event.detail.serverResponse)) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });
  document.addEventListener("htmx:sendError", () => failed("the server does not answer"));
  document.addEventListener("htmx:timeout", () => failed("the server took too long"));
  document.addEventListener("htmx:responseError", (event) => {
    // A session that has ended leads to the log-in, and back here after it.
    if (event.detail.xhr.status === 401) location.reload();
    else failed(`the server answered ${event.detail.xhr.status}`);
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
  document.addEventListener("click", onLink);
  window.addEventListener("popstate", () => location.reload());
  plan();
}

// A link of the page's own controls changes the page in place; any other is an ordinary link.
function onLink(event) {
  const link = event.target.closest?.("a[data-live]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
    return;
  }
  event.preventDefault();
  link.closest("details")?.removeAttribute("open");
  goTo(link.href);
}

export function goTo(url) {
  history.pushState(null, "", url);
  fetchInto(url);
}

export function refresh() {
  if (document.hidden || busy) return;
  // Who is reading a menu or selecting text gets the refresh a moment later.
  const selecting = String(getSelection() ?? "").length > 0;
  if (selecting || document.querySelector("dialog[open], details.menu[open]")) {
    plan(1_000);
    return;
  }
  fetchInto(document.getElementById("app").dataset.refreshUrl);
}

function fetchInto(url) {
  clearTimeout(timer);
  busy = true;
  htmx.ajax("GET", url, { target: "#app", swap: "morph", source: document.body }).catch(() => {
    busy = false;
  });
}

function plan(wait) {
  clearTimeout(timer);
  const every = Number(document.getElementById("app").dataset.refreshS) * 1000;
  if (wait || every) timer = setTimeout(refresh, wait || every);
}

function failed(reason) {
  busy = false;
  failedSince ||= Date.now();
  document.getElementById("app").classList.add("stale");
  const since = new Date(failedSince).toISOString();
  say(`Not updated since <time datetime="${since}" data-style="time"></time>: ${reason}. Trying again every few seconds.`);
  plan(RETRY_MS);
}

function say(html) {
  const note = document.getElementById("stale-note");
  if (!note || (note.innerHTML === "" && html === "")) return;
  note.innerHTML = html; // texts above only: nothing here comes from outside
  localise(note);
}

function favicon() {
  const wanted = document.getElementById("app").dataset.icon;
  const link = document.querySelector('link[rel="icon"]');
  if (wanted && link && link.getAttribute("href") !== wanted) link.setAttribute("href", wanted);
}
