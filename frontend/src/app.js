// Everything a page does beyond what its HTML already does by itself.
import "./app.css";
import { drawCharts } from "./charts.js";
import { localise, localiseInputs, startTimes } from "./times.js";
import { startLive } from "./live.js";
import { startKeys } from "./keys.js";
import { startCompletion } from "./completion.js";
import { startSmallThings } from "./small.js";
import { startFragments } from "./fragments.js";
import { settleAlerts, startAlerts } from "./alerts.js";

document.documentElement.classList.add("scripted");

// After the first load and after each refresh alike: all of these may be called again on the same page.
function settle() {
  localise(document);
  localiseInputs(document);
  drawCharts(document);
  settleAlerts(document);
}

settle();
startLive(settle);
startTimes();
startKeys();
startCompletion();
startSmallThings();
startAlerts();
startFragments();
