// Completion in the PromQL box: the metrics that exist, and PromQL's own words; and in the search box of jobs.
const WORDS = (
  "sum avg min max count stddev stdvar topk bottomk quantile count_values group by without on ignoring " +
  "group_left group_right offset bool and or unless rate irate increase delta idelta deriv predict_linear resets " +
  "changes histogram_quantile histogram_avg histogram_count histogram_sum histogram_fraction label_replace label_join " +
  "abs absent absent_over_time ceil floor round clamp clamp_min clamp_max exp ln log2 log10 sqrt sgn scalar vector " +
  "sort sort_desc time timestamp hour minute month year day_of_month day_of_week day_of_year days_in_month " +
  "avg_over_time min_over_time max_over_time sum_over_time count_over_time quantile_over_time stddev_over_time " +
  "last_over_time present_over_time"
).split(" ");
const AT_MOST = 12;

export function startCompletion() {
  attach({ box: "expr", list: "completions", word: wordBefore, names: () => [...WORDS, ...values("metric-names")], chosen: 0 });
  // Words one is about to search for are no conditions: Enter searches, until an arrow has chosen something.
  attach({ box: "q", list: "job-completions", word: termBefore, names: () => values("job-words"), chosen: -1, opens: true });
}

const values = (id) => [...document.querySelectorAll(`#${id} option`)].map((option) => option.value);

function attach({ box: boxId, list: listId, word: wordOf, names, chosen: first, opens }) {
  const box = document.getElementById(boxId);
  const list = document.getElementById(listId);
  if (!box || !list) return;
  const severalLines = box.localName === "textarea";
  let chosen = -1;

  // A box of several lines may not call itself a combobox; these three say the same to who listens.
  for (const [name, value] of [["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-haspopup", "listbox"]]) {
    box.setAttribute(name, value);
  }
  if (!severalLines) {
    box.setAttribute("role", "combobox");
    // The browser's own list knows only the first condition.
    box.removeAttribute("list");
  }
  const fit = () => {
    if (severalLines) box.rows = Math.min(12, box.value.split("\n").length);
  };
  const say = (open) => severalLines || box.setAttribute("aria-expanded", String(open));
  say(false);

  function close() {
    list.hidden = true;
    chosen = -1;
    box.removeAttribute("aria-activedescendant");
    say(false);
  }

  function open(anyway) {
    const word = wordOf(box);
    const found = word || anyway ? matches(word, names()).filter((name) => !opens || name !== word) : [];
    if (!found.length || (found.length === 1 && found[0] === word)) return close();
    list.replaceChildren(...found.map((name, i) => option(`${listId}-${i}`, name, word)));
    list.hidden = false;
    say(true);
    choose(first);
  }

  function step(by) {
    const count = list.children.length;
    choose(chosen < 0 && by < 0 ? count - 1 : (chosen + by + count) % count);
  }

  // None, if it is -1.
  function choose(i) {
    const options = [...list.children];
    chosen = i;
    options.forEach((element, at) => element.setAttribute("aria-selected", String(at === chosen)));
    if (chosen < 0) return box.removeAttribute("aria-activedescendant");
    options[chosen].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", options[chosen].id);
  }

  function accept(name) {
    const start = box.selectionStart - wordOf(box).length;
    const isWhole = opens && !/[:.]$/.test(name);
    box.setRangeText(isWhole ? `${name} ` : name, start, box.selectionStart, "end");
    close();
    fit();
    // After the name of a condition come its values.
    if (opens && !isWhole) open();
  }

  box.addEventListener("input", () => (fit(), open()));
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (severalLines && event.key === "Enter" && (event.ctrlKey || event.metaKey || (list.hidden && !event.shiftKey))) {
      event.preventDefault();
      return box.form.requestSubmit();
    }
    if (list.hidden && opens && event.key === "ArrowDown") {
      event.preventDefault();
      return open(true);
    }
    if (list.hidden) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) step(steps[event.key]);
    else if ((event.key === "Enter" || event.key === "Tab") && chosen >= 0) accept(list.children[chosen].dataset.name);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
  // Before the box loses the focus, and with it the list.
  list.addEventListener("pointerdown", (event) => {
    const picked = event.target.closest("[data-name]");
    event.preventDefault();
    if (picked) accept(picked.dataset.name);
  });
  if (severalLines) {
    box.form.addEventListener("change", (event) => event.target.type === "radio" && box.value.trim() && box.form.requestSubmit());
  }
}

// Inside quotes and after a brace stand label values and names, which we do not know here.
function wordBefore(box) {
  const text = box.value.slice(0, box.selectionStart);
  if ((text.match(/"/g) ?? []).length % 2) return "";
  return box.selectionStart === box.selectionEnd ? (text.match(/[a-zA-Z_:][\w:]*$/)?.[0] ?? "") : "";
}

// What was written of the condition before the cursor; a quotation mark holds spaces together.
function termBefore(box) {
  if (box.selectionStart !== box.selectionEnd) return "";
  return box.value.slice(0, box.selectionStart).match(/(?:[^\s"]|"[^"]*"?)*$/)[0];
}

// Names that begin with the word first, then those that contain it.
function matches(word, names) {
  const lower = word.toLowerCase();
  const begins = names.filter((name) => name.toLowerCase().startsWith(lower));
  const contains = names.filter((name) => lower.length > 1 && name.toLowerCase().indexOf(lower) > 0);
  return [...begins, ...contains].slice(0, AT_MOST);
}

function option(id, name, word) {
  const element = document.createElement("div");
  element.id = id;
  element.setAttribute("role", "option");
  element.dataset.name = name;
  const at = name.toLowerCase().indexOf(word.toLowerCase());
  const hit = document.createElement("b");
  hit.textContent = name.slice(at, at + word.length);
  element.append(name.slice(0, at), hit, name.slice(at + word.length));
  return element;
}
