// The check of records in a reader's own browser, by WebCrypto and nothing else:
// docs/format.md, sections 1 to 6. The page of a bundle and the page of a record
// both run it; neither takes the server's word for anything but the root key, which
// it shows for comparison.
"use strict";
const utf8 = s => new TextEncoder().encode(s), text = b => new TextDecoder("utf-8", { fatal: true }).decode(b);
const b64 = s => Uint8Array.from(atob(s), c => c.charCodeAt(0)), to64 = b => btoa(String.fromCharCode(...b));
const hex = b => [...b].map(x => x.toString(16).padStart(2, "0")).join("");
const join = (...parts) => { const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0)); let at = 0; for (const p of parts) { out.set(p, at); at += p.length; } return out; };
const sha = async b => new Uint8Array(await crypto.subtle.digest("SHA-256", b)), same = (a, b) => hex(a) === hex(b);
const pae = (type, p) => join(utf8(`DSSEv1 ${utf8(type).length} ${type} ${p.length} `), p);
const uint32 = n => Uint8Array.of(n >>> 24, n >>> 16, n >>> 8, n), field = b => join(uint32(b.length), b);
function must(ok, what) { if (!ok) throw new Error(what); }

// A key is a DER SubjectPublicKeyInfo: Ed25519 in 44 bytes or P-256 in 91.
async function keyID(spki) {
  const wire = spki.length === 44 ? join(field(utf8("ssh-ed25519")), field(spki.slice(12))) : join(field(utf8("ecdsa-sha2-nistp256")), field(utf8("nistp256")), field(spki.slice(26)));
  return "SHA256:" + to64(await sha(wire)).replace(/=+$/, "");
}
function rawECDSA(der) { // r and s of 32 bytes each, from ASN.1
  let at = 2; const part = () => { const n = der[at + 1], v = der.slice(at + 2, at + 2 + n); at += 2 + n; const out = new Uint8Array(32); const cut = v.slice(Math.max(0, v.length - 32)); out.set(cut, 32 - cut.length); return out; };
  return join(part(), part());
}
async function verify(spki, msg, sig) {
  if (spki.length === 44) return crypto.subtle.verify("Ed25519", await crypto.subtle.importKey("spki", spki, "Ed25519", false, ["verify"]), sig, msg);
  const ec = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  return crypto.subtle.verify(ec, await crypto.subtle.importKey("spki", spki, ec, false, ["verify"]), rawECDSA(sig), msg);
}
// canCheck reports whether this browser knows the signatures. It needs a secure context.
async function canCheck() {
  try { await crypto.subtle.importKey("raw", new Uint8Array(32).fill(9), "Ed25519", false, ["verify"]); return true; } catch { return false; }
}
// open returns the payload of an envelope that one of keys signed; keys maps ids to SPKI.
async function open(raw, keys) {
  const e = JSON.parse(raw), s = e.signatures[0], payload = b64(e.payload);
  must(e.signatures.length === 1 && raw === `{"payload":"${to64(payload)}","payloadType":"${e.payloadType}","signatures":[{"keyid":"${s.keyid}","sig":"${to64(b64(s.sig))}"}]}`, "another spelling of the envelope");
  if (!keys) keys = { [s.keyid]: b64(JSON.parse(text(payload)).predicate.spki) }; // an enrollment proves its own key
  const key = keys[s.keyid];
  must(key && await keyID(key) === s.keyid && await verify(key, pae(e.payloadType, payload), b64(s.sig)), "the signature does not hold");
  return payload;
}
async function openHead(note, origin, logKeys) {
  const [body, sigs] = note.split("\n\n"), [name, size, root] = body.split("\n");
  must(name === origin, "a head of another log");
  for (const line of sigs.split("\n")) {
    const [, who, sig] = line.split(" ");
    if (who !== origin) continue;
    for (const raw of logKeys) {
      const b = b64(sig), id = (await sha(join(utf8(origin + "\n"), Uint8Array.of(1), raw))).slice(0, 4);
      if (same(b.slice(0, 4), id) && await verify(join(b64("MCowBQYDK2VwAyEA"), raw), utf8(body + "\n"), b.slice(4))) return { size: Number(size), root: b64(root) };
    }
  }
  throw new Error("the head is not signed by the log's key");
}
const node = (l, r) => sha(join(Uint8Array.of(1), l, r));
async function included(leaf, index, size, path, root) { // RFC 9162, section 2.1.3.2
  must(index < size, "the entry is beyond the log's head");
  let fn = index, sn = size - 1, r = leaf;
  for (const p of path) {
    must(sn > 0, "the proof is too long");
    if (fn % 2 === 1 || fn === sn) { r = await node(p, r); while (fn % 2 === 0 && fn !== 0) { fn /= 2; sn = Math.floor(sn / 2); } } else r = await node(r, p);
    fn = Math.floor(fn / 2); sn = Math.floor(sn / 2);
  }
  must(sn === 0 && same(r, root), "the entry is not in the log");
}
function power(n) { while (n > 1 && n % 2 === 0) n /= 2; return n === 1; }
async function continued(old, head, path) { // RFC 9162, section 2.1.4.2
  if (old.size === head.size) return must(same(old.root, head.root), "two logs of one size");
  must(old.size < head.size, "the log has become shorter");
  if (old.size === 0) return;
  path = path.slice();
  if (power(old.size)) path.unshift(old.root);
  must(path.length > 0, "the proof is too short");
  let fn = old.size - 1, sn = head.size - 1;
  while (fn % 2 === 1) { fn = Math.floor(fn / 2); sn = Math.floor(sn / 2); }
  let fr = path[0], sr = path[0];
  for (const c of path.slice(1)) {
    must(sn > 0, "the proof is too long");
    if (fn % 2 === 1 || fn === sn) { fr = await node(c, fr); sr = await node(c, sr); while (fn % 2 === 0 && fn !== 0) { fn /= 2; sn = Math.floor(sn / 2); } } else sr = await node(sr, c);
    fn = Math.floor(fn / 2); sn = Math.floor(sn / 2);
  }
  must(sn === 0 && same(fr, old.root) && same(sr, head.root), "the log does not continue the one that was seen");
}
// openLog returns who may sign in a log: the keyset under the root key, and the log's head.
async function openLog(D) {
  const rootID = await keyID(b64(D.root)), keyset = JSON.parse(text(await open(D.keyset, { [rootID]: b64(D.root) })));
  const log = { rootID, org: D.org, origin: D.origin, server: {}, logKeys: keyset.logKeys.map(b64), agents: {} };
  for (const k of keyset.serverKeys) log.server[await keyID(b64(k))] = b64(k);
  log.head = await openHead(D.checkpoint, D.origin, log.logKeys);
  return log;
}
// checkRecord checks a record up to the log's head, and learns from it who may sign
// the next. step hears what is about to be checked. An agent's records come in order.
async function checkRecord(log, r, step = () => {}) {
  step("inclusion");
  const e = JSON.parse(r.entry), a = log.agents[e.agent] = log.agents[e.agent] || {}, lines = r.proof.split("\n\n")[0].split("\n");
  must(lines[0] === "c2sp.org/tlog-proof@v1" && lines[1] === "index " + r.index, "the proof is of another entry");
  const under = await openHead(r.proof.slice(r.proof.indexOf("\n\n") + 2), log.origin, log.logKeys);
  must(under.size === log.head.size && same(under.root, log.head.root), "the proof leads to another head");
  await included(await sha(join(Uint8Array.of(0), utf8(r.entry))), r.index, log.head.size, lines.slice(2).map(b64), log.head.root);
  step("signature");
  const payload = await open(r.envelope, e.type === "enrollment" ? null : e.agent ? a.keys || {} : log.server), s = JSON.parse(text(payload)), p = s.predicate;
  step("entry");
  must(hex(await sha(utf8(r.envelope))) === e.env && hex(await sha(payload)) === e.stmt && p.org === log.org, "not what was logged");
  step("chain");
  if (e.type === "evidence" || e.type === "key-rotation") {
    must(p.agent === e.agent && p.seq === e.seq && p.prev === e.prev, "another record stands under the entry");
    must(a.seq === undefined || a.seq + 1 !== e.seq || a.stmt === e.prev, "it does not follow the record before it");
  }
  if (e.type === "enrollment" || e.type === "key-rotation") a.keys = { [await keyID(b64(p.spki))]: b64(p.spki) };
  if (e.type === "enrollment") a.host = p.hostname;
  if (e.agent) { a.seq = e.seq; a.stmt = e.stmt; }
  step("content");
  const named = new Map(s.subject.map(x => [x.digest.sha256, x.name]));
  for (const [name, blob] of Object.entries(r.blobs)) must(named.get(hex(await sha(utf8(blob)))) === name, name + " was changed");
  return { entry: e, statement: s, host: a.host };
}
