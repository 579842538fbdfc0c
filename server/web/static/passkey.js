// Passkeys: what the server asks goes to the browser's own API, and the answer back.
// Without such a browser the forms stay hidden, and passwords and codes work as ever.
(function () {
  "use strict";
  if (!window.PublicKeyCredential || !PublicKeyCredential.parseCreationOptionsFromJSON) { return; }

  async function post(path, body, type) {
    const answer = await fetch(path, {method: "POST", credentials: "same-origin", headers: {"Content-Type": type}, body: body});
    if (!answer.ok) { throw new Error(String(answer.status)); }
    return answer.json();
  }

  async function add(form) {
    const asked = await post(form.action + "/new", new URLSearchParams(new FormData(form)).toString(), "application/x-www-form-urlencoded");
    const key = await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked.publicKey)});
    return post(form.action, JSON.stringify(key.toJSON()), "application/json");
  }

  async function enter(form) {
    const asked = await post("/signin/passkey/ask", "", "application/x-www-form-urlencoded");
    const key = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked.publicKey)});
    const next = new FormData(form).get("next") || "/";
    return post("/signin/passkey?next=" + encodeURIComponent(next), JSON.stringify(key.toJSON()), "application/json");
  }

  document.querySelectorAll("form[data-passkey]").forEach(function (form) {
    form.hidden = false;
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      const fault = form.querySelector("[role=alert]");
      fault.hidden = true;
      (form.dataset.passkey === "add" ? add(form) : enter(form)).then(function (answer) {
        location.assign(answer.next);
      }, function () { fault.hidden = false; });
    });
  });
})();
