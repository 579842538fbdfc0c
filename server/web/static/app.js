// The theme before the first paint, then the few things that need a script: the
// theme switch and the copy buttons. Everything else works without.
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

  document.addEventListener("DOMContentLoaded", function () {
    theme();
    document.querySelectorAll("[data-copy]").forEach(copy);
  });
})();
