// Keys: `/` to write a query, `g` and a letter to go somewhere, `r` to refresh, `?` for this list.
import { refresh } from "./live.js";

const CHORD_MS = 1_500;
let waiting = 0;

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing && !event.defaultPrevented) return event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (act(event.key)) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const opener = event.target.closest?.("[data-open]");
    if (opener) document.getElementById(opener.dataset.open)?.showModal();
    const dialog = event.target.closest?.("dialog");
    // A click beside an open dialog is a click on the dialog itself.
    if (dialog && event.target === dialog) dialog.close();
  });
}

function act(key) {
  if (waiting) {
    clearTimeout(waiting);
    waiting = 0;
    const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
    link?.click();
    return Boolean(link);
  }
  if (key === "g") {
    waiting = setTimeout(() => (waiting = 0), CHORD_MS);
    return true;
  }
  if (key === "r") return refresh(), true;
  if (key === "?") return document.getElementById("help")?.showModal(), true;
  if (key === "/") return focusQuery(), true;
  return false;
}

function focusQuery() {
  const box = document.getElementById("expr") ?? document.getElementById("q");
  if (!box) {
    document.querySelector('[data-go="e"]')?.click();
    return;
  }
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
}
