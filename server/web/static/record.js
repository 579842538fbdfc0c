// Checks the record of the page in this browser: the raw bytes come from the server,
// what they are worth is found out here by check.js. The browser also remembers the
// root key and the log's head, and from then on notices when either is exchanged.
(function () {
  "use strict";
  const box = document.getElementById("check"), steps = document.getElementById("check-steps");
  if (!box) { return; }
  const items = [...steps.children], say = function (name, when) { return box.dataset[name].replace("{}", when); };
  const kept = {
    get: function (key) { try { return JSON.parse(localStorage.getItem(key)); } catch (e) { return null; } },
    set: function (key, value) { try { localStorage.setItem(key, JSON.stringify(value)); } catch (e) { /* it is checked anew each time */ } },
  };
  function result(name) {
    document.querySelectorAll("#check-result > p").forEach(function (p) { p.hidden = p.dataset.when !== name; });
    box.dataset.result = name;
  }
  function mark(li, kind, sign, word, note) {
    const state = li.querySelector(".state"), sym = document.createElement("span");
    sym.className = "sym"; sym.setAttribute("aria-hidden", "true"); sym.textContent = sign;
    state.className = "state state-" + kind;
    state.replaceChildren(sym, word);
    li.querySelector(".said").textContent = note || "";
  }
  const day = function (time) { return new Date(time).toLocaleString(document.documentElement.lang); };

  // remember compares a value with what this browser saw before.
  function remember(key, value) {
    const old = kept.get(key);
    must(!old || old.value === value, "another one than on " + (old && day(old.at)));
    if (!old) { kept.set(key, { value: value, at: Date.now() }); }
    return old ? say("again", day(old.at)) : say("first", "");
  }

  async function check(step, note) {
    const headKey = "head:" + box.dataset.origin, old = kept.get(headKey);
    const answer = await fetch(box.dataset.proof + (old ? "&from=" + old.size : ""));
    step("root");
    must(answer.ok, "the server answered with status " + answer.status);
    const D = await answer.json(), last = D.records[D.records.length - 1];
    must(D.origin === box.dataset.origin && last && last.index === Number(box.dataset.index), "the proof is of another record");
    const log = await openLog(D);
    note(log.rootID + " · " + remember("root:" + D.origin.split("/")[0], log.rootID));
    step("log");
    note(log.head.size + " · " + to64(log.head.root));
    step("custody");
    if (D.key) {
      log.agents[D.agent] = { keys: { [await keyID(b64(D.key))]: b64(D.key) } };
      note(box.dataset.given);
    }
    for (const r of D.records.slice(0, -1)) { await checkRecord(log, r); }
    const found = await checkRecord(log, last, step);
    step("kept");
    if (old) { await continued({ size: old.size, root: b64(old.root) }, log.head, (D.consistency || []).map(b64)); }
    note(old ? say("again", day(old.at)) : say("first", ""));
    kept.set(headKey, { size: log.head.size, root: to64(log.head.root), at: Date.now() });
    return { statement: found.statement, blobs: last.blobs };
  }

  function show(found) {
    const details = document.getElementById("check-bytes"), list = [["statement", found.statement]];
    for (const [name, blob] of Object.entries(found.blobs)) { list.push([name, JSON.parse(blob)]); }
    details.querySelectorAll("h3, pre").forEach(function (e) { e.remove(); });
    for (const [name, value] of list) {
      const head = document.createElement("h3"), pre = document.createElement("pre");
      head.textContent = name;
      pre.tabIndex = 0;
      pre.textContent = JSON.stringify(value, null, 2).replace(/[\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
        function (c) { return "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"); });
      details.append(head, pre);
    }
    details.hidden = false;
  }

  async function run() {
    result("busy");
    if (!await canCheck()) { result("cannot"); return; }
    let at = -1;
    steps.hidden = false;
    items.forEach(function (li) { mark(li, "no_occasion", "–", box.dataset.skipped); });
    const done = function () { if (at >= 0) { mark(items[at], "fulfilled", "✓", box.dataset.holds, items[at].querySelector(".said").textContent); } };
    const step = function (name) { done(); at = items.findIndex(function (li) { return li.dataset.step === name; }); };
    try {
      show(await check(step, function (text) { items[at].querySelector(".said").textContent = text; }));
      done();
      result("ok");
    } catch (x) {
      if (at >= 0) { mark(items[at], "breached", "✕", box.dataset.not, x.message); }
      result("bad");
    }
  }

  const button = document.getElementById("check-run");
  button.hidden = false;
  button.addEventListener("click", run);
})();
