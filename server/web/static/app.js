// The theme before the first paint, then the few things that need a script: the
// theme switch, the copy buttons, keys, and the place of who reads a part that renews
// itself. Everything else works without.
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

  // Escape folds what is unfolded around the focus, and goes back to its heading.
  function fold(event) {
    const open = event.key === "Escape" && event.target.closest && event.target.closest("details[open]");
    if (open) { open.open = false; open.querySelector("summary").focus(); }
  }

  // A part that renews itself leaves its reader alone: not while they fill in a field of
  // it, and with the focus where it was and open what they opened.
  let held = null;
  const like = function (live, to) {
    return [...live.querySelectorAll("a, button, summary")].filter(function (e) { return e.tagName === to.tagName && e.getAttribute("href") === to.getAttribute("href"); });
  };
  const folds = function (live) { return [...live.querySelectorAll("details")]; };
  function renewing(event) {
    const at = document.activeElement;
    if (event.target.id === "live" && event.target.contains(at) && at.matches("input, select, textarea")) { event.preventDefault(); }
  }
  function leaving(event) {
    const live = event.target, at = document.activeElement;
    if (live.id === "live") { held = {at: at, nth: live.contains(at) ? like(live, at).indexOf(at) : -1, open: folds(live).map(function (d) { return d.open; })}; }
  }
  function renewed(event) {
    const live = document.getElementById("live"), was = held;
    if (!live || !was || !live.contains(event.target)) { return; }
    held = null;
    folds(live).forEach(function (d, i) { d.open = was.open[i] || d.open; });
    const at = was.nth < 0 ? null : like(live, was.at)[was.nth];
    if (at) { at.focus({preventScroll: true}); }
  }

  // A second click on the button of a form that is on its way sends nothing twice.
  const sent = new Set();
  function once(event) {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") { return; }
    if (sent.has(form)) { event.preventDefault(); return; }
    sent.add(form);
    setTimeout(function () { sent.delete(form); }, 5000); // the server did not answer with a page
  }

  document.addEventListener("submit", once);
  window.addEventListener("pageshow", function () { sent.clear(); }); // back to a page that was kept
  document.addEventListener("keydown", arrows);
  document.addEventListener("keydown", fold);
  document.addEventListener("htmx:beforeRequest", renewing);
  document.addEventListener("htmx:beforeSwap", leaving);
  document.addEventListener("htmx:afterSettle", renewed);
  document.addEventListener("DOMContentLoaded", function () {
    theme();
    document.querySelectorAll("[data-copy]").forEach(copy);
  });
})();
