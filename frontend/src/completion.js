// Completion in the PromQL box: the metrics that exist, and PromQL's own words.
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
  const box = document.getElementById("expr");
  const list = document.getElementById("completions");
  if (!box || !list) return;
  const names = [...document.querySelectorAll("#metric-names option")].map((option) => option.value);
  let chosen = -1;

  // A box of several lines may not call itself a combobox; these three say the same to who listens.
  for (const [name, value] of [["aria-autocomplete", "list"], ["aria-controls", list.id], ["aria-haspopup", "listbox"]]) {
    box.setAttribute(name, value);
  }
  const fit = () => {
    box.rows = Math.min(12, box.value.split("\n").length);
  };

  function close() {
    list.hidden = true;
    chosen = -1;
    box.removeAttribute("aria-activedescendant");
  }

  function open() {
    const word = wordBefore(box);
    const found = word ? matches(word, names) : [];
    if (!found.length || (found.length === 1 && found[0] === word)) return close();
    list.replaceChildren(...found.map((name, i) => option(name, i, word)));
    list.hidden = false;
    choose(0);
  }

  function choose(i) {
    const options = [...list.children];
    chosen = (i + options.length) % options.length;
    options.forEach((element, at) => element.setAttribute("aria-selected", String(at === chosen)));
    options[chosen].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", options[chosen].id);
  }

  function accept(name) {
    const start = box.selectionStart - wordBefore(box).length;
    box.setRangeText(name, start, box.selectionStart, "end");
    close();
    fit();
  }

  box.addEventListener("input", () => (fit(), open()));
  box.addEventListener("blur", close);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey || (list.hidden && !event.shiftKey))) {
      event.preventDefault();
      return box.form.requestSubmit();
    }
    if (list.hidden) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) choose(chosen + steps[event.key]);
    else if (event.key === "Enter" || event.key === "Tab") accept(list.children[chosen].dataset.name);
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
  box.form.addEventListener("change", (event) => event.target.type === "radio" && box.value.trim() && box.form.requestSubmit());
}

// Inside quotes and after a brace stand label values and names, which we do not know here.
function wordBefore(box) {
  const text = box.value.slice(0, box.selectionStart);
  if ((text.match(/"/g) ?? []).length % 2) return "";
  return box.selectionStart === box.selectionEnd ? (text.match(/[a-zA-Z_:][\w:]*$/)?.[0] ?? "") : "";
}

// Names that begin with the word first, then those that contain it.
function matches(word, names) {
  const lower = word.toLowerCase();
  const all = [...WORDS, ...names];
  const begins = all.filter((name) => name.toLowerCase().startsWith(lower));
  const contains = all.filter((name) => lower.length > 1 && name.toLowerCase().indexOf(lower) > 0);
  return [...begins, ...contains].slice(0, AT_MOST);
}

function option(name, i, word) {
  const element = document.createElement("div");
  element.id = `completion-${i}`;
  element.setAttribute("role", "option");
  element.dataset.name = name;
  const at = name.toLowerCase().indexOf(word.toLowerCase());
  const hit = document.createElement("b");
  hit.textContent = name.slice(at, at + word.length);
  element.append(name.slice(0, at), hit, name.slice(at + word.length));
  return element;
}
