// Asks the server and shows what it found. Everything that comes from it is put in as text, never as HTML.
"use strict";

const LONG = 420; // characters that four lines hold
const page = document.documentElement.dataset;
const part = (id) => document.getElementById(id);
let running = new AbortController();

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function score(value) {
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);
}

function bar(share) {
  const made = element("span", { className: "bar" });
  made.style.setProperty("--share", `${Math.round(100 * Math.min(1, Math.max(0, share)))}%`);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function name(document) {
  return document.title || document.content.slice(0, 120);
}

function webAddress(url) {
  return /^https?:\/\//i.test(url ?? "") ? url : null;
}

async function post(path, body, signal) {
  const headers = { "Content-Type": "application/json" };
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), signal });
  if (response.status === 401) part("unlock").hidden = false;
  const row = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(typeof row.detail === "string" ? row.detail : "The server could not answer.");
  return row.result;
}

function measured(label, value, share) {
  const number = element("dd", { dir: "ltr" }, value);
  return element("div", {}, element("dt", { dir: "ltr" }, label), number, share === null ? null : bar(share));
}

function placed(found) {
  return found ? `no. ${found.rank} · ${score(found.score)}` : "not found";
}

function passage(found, best, kinds) {
  const text = element("p", { className: "text", dir: "auto", lang: found.language || page.language }, found.content);
  const address = webAddress(found.url);
  const title = address ? element("a", { href: address, rel: "noopener noreferrer" }, name(found)) : found.title;
  const scores = element("dl", { className: "scores" }, measured("Score", score(found.score), best ? found.score / best : null));
  if (kinds.length > 1) {
    for (const [key, label] of kinds) scores.append(measured(label, placed(found[key]), null));
  }
  const heading = found.title || address ? element("h3", { dir: "auto", lang: found.language || page.language }, title) : null;
  const whole = element("div", {}, heading, text);
  if (found.content.length > LONG) {
    text.classList.add("cut");
    const more = element("button", { type: "button", className: "more" }, "Show all");
    more.setAttribute("aria-expanded", "false");
    more.addEventListener("click", () => {
      const cut = text.classList.toggle("cut");
      more.textContent = cut ? "Show all" : "Show less";
      more.setAttribute("aria-expanded", String(!cut));
    });
    whole.append(element("div", {}, more));
  }
  whole.append(scores);
  const row = element("li", { id: `passage-${found.rank}` }, element("span", { className: "number" }, String(found.rank)), whole);
  row.dataset.id = found.id;
  return row;
}

function line(found, best, fused) {
  const cells = [
    element("span", { className: "number" }, String(found.rank)),
    element("span", { className: "name", dir: "auto", lang: found.language || page.language }, name(found)),
    element("span", { className: "value", dir: "ltr" }, score(found.score)),
    bar(best ? found.score / best : 0),
  ];
  const place = fused.get(found.id);
  const row = place === undefined
    ? element("span", { className: "row" }, ...cells)
    : element("a", { className: "row", href: `#passage-${place}` }, ...cells);
  const item = element("li", {}, row);
  item.dataset.id = found.id;
  return item;
}

function showSearch(result, milliseconds) {
  const kinds = [["lexical", "BM25"], ["dense", "Vectors"]].filter(([key]) => result[key] !== null);
  const best = (rows) => Math.max(0, ...rows.map((row) => row.score));
  const fused = new Map(result.documents.map((found) => [found.id, found.rank]));
  part("documents").replaceChildren(...result.documents.map((found) => passage(found, best(result.documents), kinds)));
  for (const key of ["lexical", "dense"]) {
    const rows = result[key] ?? [];
    part(`${key}-part`).hidden = rows.length === 0;
    part(key).replaceChildren(...rows.map((found) => line(found, best(rows), fused)));
  }
  part("results").hidden = result.documents.length === 0;
  part("rankings").hidden = result.documents.length === 0 || kinds.length < 2;
  const count = result.documents.length;
  part("status").textContent = count
    ? `${count} ${count === 1 ? "passage" : "passages"} in ${milliseconds} ms`
    : "Nothing was found.";
}

function showAnswer(result) {
  const sources = new Map(result.sources.map((source) => [source.number, source]));
  const target = (source) => {
    const row = [...part("documents").children].find((item) => item.dataset.id === source.id);
    return row ? `#${row.id}` : null;
  };
  const pieces = result.answer.split(/(\[\d+\])/).map((piece) => {
    const source = sources.get(Number(/^\[(\d+)\]$/.exec(piece)?.[1]));
    const place = source && target(source);
    return place ? element("a", { className: "cite", href: place, title: name(source) }, piece) : piece;
  });
  const text = element("p", { dir: "auto", lang: page.language }, ...pieces);
  const notes = [];
  if (!result.answered) notes.push("The documents do not answer this.");
  if (result.language_ok === false) notes.push(`The answer may not be in ${page.name}.`);
  const cited = result.sources.filter((source) => source.cited).map((source) => {
    const place = target(source);
    const words = `[${source.number}] ${name(source)}`;
    return element("li", { dir: "auto", lang: page.language }, place ? element("a", { href: place }, words) : words);
  });
  const list = cited.length ? element("ul", { className: "cited" }, ...cited) : null;
  list?.setAttribute("aria-label", "Sources of the answer");
  part("answer-text").replaceChildren(text, ...notes.map((note) => element("p", { className: "note", dir: "ltr" }, note)), ...(list ? [list] : []));
}

function fail(error) {
  if (error.name === "AbortError") return;
  part("status").textContent = "";
  part("error").textContent = error instanceof TypeError ? "The server cannot be reached." : error.message;
  part("error").hidden = false;
}

async function answer(query, found, signal) {
  part("answer").hidden = false;
  part("answer").setAttribute("aria-busy", "true");
  part("answer-text").replaceChildren(element("p", { className: "note", dir: "ltr" }, "Reading the passages …"));
  try {
    const result = await post("ask/run", { query }, signal);
    await found;
    showAnswer(result);
  } catch (error) {
    if (!signal.aborted) part("answer").hidden = true;
    throw error;
  } finally {
    if (!signal.aborted) part("answer").setAttribute("aria-busy", "false");
  }
}

async function run(query) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  part("error").hidden = true;
  part("unlock").hidden = true;
  part("answer").hidden = true;
  part("status").textContent = "Searching …";
  document.title = `${query} – ${page.name}`;
  const start = performance.now();
  const found = post("search/run", { query }, signal).then((result) => showSearch(result, Math.round(performance.now() - start)));
  const both = page.answers === "yes" ? [found, answer(query, found, signal)] : [found];
  for (const outcome of await Promise.allSettled(both)) {
    if (outcome.status === "rejected") fail(outcome.reason);
  }
}

function asked() {
  return new URLSearchParams(location.search).get("q")?.trim() ?? "";
}

function fromAddress() {
  part("query").value = asked();
  if (asked()) run(asked());
}

// marks a passage in all three lists
function mark(event) {
  const leaves = event.type === "mouseleave" || event.type === "focusout";
  const id = leaves ? undefined : event.target.closest("li[data-id]")?.dataset.id;
  for (const item of document.querySelectorAll("li[data-id]")) {
    item.classList.toggle("same", id !== undefined && item.dataset.id === id);
  }
}

part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const query = part("query").value.trim();
  if (!query) return;
  if (query !== asked()) history.pushState(null, "", `?${new URLSearchParams({ q: query })}`);
  run(query);
});
part("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("key", part("key").value);
  run(part("query").value.trim());
});
for (const list of document.querySelectorAll("ol")) {
  for (const type of ["mouseover", "focusin", "focusout", "mouseleave"]) list.addEventListener(type, mark);
}
addEventListener("popstate", (event) => {
  // a jump to a passage changes the address too
  if (!location.hash || event.state) fromAddress();
});
fromAddress();
