"use strict";
const form = document.querySelector("main");
const articles = [...document.querySelectorAll("article")];
let unsaved = false;

function verdictOf(article) {
  const chosen = article.querySelector("input[type=radio]:checked");
  return chosen ? chosen.value : "";
}

function cell(text) {
  const guarded = /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
  return '"' + guarded.replaceAll('"', '""') + '"';
}

function table() {
  const rows = articles.map((article) => [
    article.id,
    article.querySelector(".query").textContent,
    article.querySelector(".passage").textContent,
    verdictOf(article),
    article.querySelector(".edited").value.trim(),
    article.querySelector(".comment").value.trim(),
  ]);
  const columns = JSON.parse(form.dataset.columns);
  return "\ufeff" + [columns, ...rows].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function count() {
  const done = articles.filter((article) => verdictOf(article) || article.querySelector(".edited").value.trim()).length;
  document.querySelector("#done").textContent = done + " / " + articles.length;
}

form.addEventListener("input", () => {
  unsaved = true;
  count();
});

document.querySelector("#save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv;charset=utf-8" }));
  link.download = "verdicts.csv";
  link.click();
  URL.revokeObjectURL(link.href);
  unsaved = false;
});

window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});

document.querySelector("footer").hidden = false;
count();
