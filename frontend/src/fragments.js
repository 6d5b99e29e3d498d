// Links in old notifications and in Grafana lead into Alertmanager's first page, "/#/alerts?filter=…": to ours from there.
const HERE = { alerts: ["filter", "receiver"], silences: [] };

// The path of our page, from the root of the server; "" where the fragment leads nowhere.
export function pathOf(hash) {
  const [, place, query] = hash.match(/^#!?\/([^?]*)\??(.*)$/) ?? [];
  if (place === undefined) return "";
  const given = new URLSearchParams(query);
  const [page, what = "", ...rest] = place.replace(/\/$/, "").split("/");
  if (page === "silences" && what === "new") {
    return withParams("/silences/new", { filter: given.get("filter") || decoded(rest.join("/")), comment: given.get("comment") });
  }
  if (page === "silences" && /^[\w-]+$/.test(what)) return `/silences/${what}`;
  if (!Object.hasOwn(HERE, page) || what) return "";
  return withParams(`/${page}`, Object.fromEntries(HERE[page].map((name) => [name, given.get(name)])));
}

function withParams(path, params) {
  const kept = String(new URLSearchParams(Object.entries(params).filter(([, value]) => value)));
  return kept ? `${path}?${kept}` : path;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function follow() {
  const path = pathOf(location.hash);
  if (!path) return;
  const next = document.querySelector("form input[name=next]");
  const root = document.querySelector('#app[data-section="overview"] a.brand');
  // A log-in comes in between: the fragment is not sent along with its form.
  if (next?.value === "/") next.value = path;
  else if (root) location.replace(new URL(root.href).pathname.replace(/\/$/, "") + path);
}

export function startFragments() {
  follow();
  window.addEventListener("hashchange", follow);
}
