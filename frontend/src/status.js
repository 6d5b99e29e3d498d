// The public page: the reader's own time, and a warning when nobody has counted for long.
import { localise } from "./times.js";

const STALE_MS = 10 * 60_000;

localise(document);
const asOf = Date.parse(document.querySelector(".as-of time")?.dateTime ?? "");
const check = () => {
  document.querySelector(".stale").hidden = !(Date.now() - asOf > STALE_MS);
};
check();
setInterval(check, 60_000);
// Who leaves the page open sees what has changed, unless they are reading further down.
setInterval(() => {
  if (document.visibilityState === "visible" && scrollY < 200) location.reload();
}, 90_000);
