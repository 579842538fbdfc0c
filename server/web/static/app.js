// The theme before the first paint, then the few things that need a script: the
// theme switch, the copy buttons and the arrow keys. Everything else works without.
(function () {
  "use strict";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem("theme"); } catch (e) { /* storage is off: the system's choice holds */ }
  function apply() { root.setAttribute("data-bs-theme", chosen || (dark.matches ? "dark" : "light")); }
  apply();
  dark.addEventListener("change", apply);

  function theme() {
    const toggle = document.getElementById("theme");
    if (!toggle) { return; }
    toggle.hidden = false;
    toggle.addEventListener("click", function () {
      chosen = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      try { localStorage.setItem("theme", chosen); } catch (e) { /* it holds for this page only */ }
      apply();
    });
  }

  function copy(button) {
    if (!navigator.clipboard) { return; }
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent).then(function () {
        button.textContent = button.dataset.done;
      });
    });
  }

  // In a list the arrow keys go from row to row, and from the search into it.
  function arrows(event) {
    const place = event.target.closest && event.target.closest("[data-keys]");
    if (!place || (event.key !== "ArrowDown" && event.key !== "ArrowUp") || event.target.tagName === "SELECT") { return; }
    const rows = [...document.querySelectorAll("[data-keys=list] a.name")];
    const here = event.target.closest("tr"), at = rows.findIndex(function (a) { return here && here.contains(a); });
    const next = event.key === "ArrowDown" ? rows[at + 1] : at > 0 ? rows[at - 1] : document.getElementById("q");
    if (next) { event.preventDefault(); next.focus(); }
  }

  document.addEventListener("keydown", arrows);
  document.addEventListener("DOMContentLoaded", function () {
    theme();
    document.querySelectorAll("[data-copy]").forEach(copy);
  });
})();
