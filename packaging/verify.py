#!/usr/bin/env python3
"""Checks a bundle of evidence with the Python standard library and openssl(1): a second program beside attesto-verify.
Usage: verify.py BUNDLE    (a folder; docs/format.md describes it)    Exit: 0 all proven, 1 not"""
import base64, glob, hashlib, json, os, subprocess, sys, tempfile

root, b64, sha = sys.argv[1], base64.b64decode, lambda b: hashlib.sha256(b).digest()
hx, faults, count, agents, named, gone = lambda b: hashlib.sha256(b).hexdigest(), [], 0, {}, {}, set()
read = lambda *p: open(os.path.join(root, *p), "rb").read()
def must(ok, what):
    if not ok: faults.append(what)
def openssl(spki, msg, sig):  # Ed25519 over the bytes, P-256 over their SHA-256
    with tempfile.TemporaryDirectory() as d:
        for name, data in (("k", spki), ("m", msg), ("s", sig)): open(f"{d}/{name}", "wb").write(data)
        ed = spki[:12].hex() == "302a300506032b6570032100"
        cmd = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", f"{d}/k", "-rawin", "-in", f"{d}/m", "-sigfile", f"{d}/s"] if ed else \
              ["dgst", "-sha256", "-keyform", "DER", "-verify", f"{d}/k", "-signature", f"{d}/s", f"{d}/m"]
        return subprocess.run(["openssl"] + cmd, capture_output=True).returncode == 0
def pem(text): return b64("".join(text.decode().split("-----")[2].split()))
def ed_spki(raw): return bytes.fromhex("302a300506032b6570032100") + raw
def keyid(spki):
    f = lambda b: len(b).to_bytes(4, "big") + b
    wire = f(b"ssh-ed25519") + f(spki[12:]) if len(spki) == 44 else f(b"ecdsa-sha2-nistp256") + f(b"nistp256") + f(spki[26:])
    return "SHA256:" + base64.b64encode(sha(wire)).decode().rstrip("=")
def unique(pairs):
    keys = [k.lower() for k, _ in pairs]
    if len(keys) != len(set(keys)): raise ValueError("a key stands twice")
    return dict(pairs)
def parse(b): return json.loads(b.decode(), object_pairs_hook=unique)
def pae(t, p): return b"DSSEv1 %d %s %d %s" % (len(t), t, len(p), p)
def opened(raw, keys, what):  # an envelope's payload, if one of keys signed it; keys: {key id: SPKI}
    e = parse(raw); s, payload, kind = e["signatures"][0], b64(e["payload"], validate=True), e["payloadType"].encode()
    spelled = b'{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}' % (base64.b64encode(payload), kind,
        s["keyid"].encode(), base64.b64encode(b64(s["sig"], validate=True)))
    must(spelled == raw, what + ": envelope in another spelling")
    if keys is None: keys = {s["keyid"]: b64(parse(payload)["predicate"]["spki"])}  # an enrollment proves its own key
    must(s["keyid"] in keys and keyid(keys[s["keyid"]]) == s["keyid"] and openssl(keys[s["keyid"]], pae(kind, payload), b64(s["sig"])), what + ": signature")
    return payload
def node(l, r): return sha(b"\x01" + l + r)
def push(edge, n, h):
    while n & 1: h, n = node(edge.pop(), h), n >> 1
    edge.append(h)
def top(edge):
    h = edge[-1] if edge else sha(b"")
    for x in reversed(edge[:-1]): h = node(x, h)
    return h
def tile(n): s = "%03d" % (n % 1000); return s if n < 1000 else "/".join("x%03d" % (n // 1000 ** i % 1000) for i in range(len(str(n)) - 1, 0, -1) if n >= 1000 ** i) + "/" + s
def checkpoint(raw, origin, keys, what):
    text, sigs = raw.split(b"\n\n", 1); o, size, r = text.decode().split("\n")[:3]
    ok = any(l.split(" ")[1] == origin and any(b64(l.split(" ")[2])[:4] == sha(origin.encode() + b"\n\x01" + k)[:4] and
             openssl(ed_spki(k), text + b"\n", b64(l.split(" ")[2])[4:]) for k in keys) for l in sigs.decode().splitlines())
    must(o == origin and ok, what + ": signature"); return int(size), b64(r)

rootkey = pem(read("keys", "root.pub")); ks = parse(opened(read("keys", "keyset.dsse.json"), {keyid(rootkey): rootkey}, "keyset"))
server, logkeys = {keyid(b64(k)): b64(k) for k in ks["serverKeys"]}, [b64(k) for k in ks["logKeys"]]
m = parse(read("manifest.json")); sums = read("SHA256SUMS")
must(parse(opened(read("manifest.dsse.json"), server, "manifest"))["subject"][0]["digest"]["sha256"] == hx(read("manifest.json")), "manifest: changed")
must(m["sums"] == hx(sums), "SHA256SUMS: not the list that the server signed")
for digest, name in (l.split("  ", 1) for l in sums.decode().splitlines()): must(os.path.isfile(os.path.join(root, name)) and hx(read(name)) == digest, name + ": changed or missing")
for i, ep in enumerate(m["epochs"]):
    at = "" if i == len(m["epochs"]) - 1 else f"epochs/{ep['epoch']}/"
    size, want = checkpoint(read(at + "log/checkpoint"), f"{ks['server']}/t/{m['org']}/{ep['epoch']}", logkeys, at + "log/checkpoint")
    must(size == ep["size"], at + "log/checkpoint: another size"); edge, roots, last, lines = [], [top([])], "", []
    for n in range((size + 255) // 256):
        w = min(256, size - n * 256); raw = read(at + "log/tile/entries/" + tile(n) + ("" if w == 256 else f".p/{w}"))
        while raw: k = int.from_bytes(raw[:2], "big"); lines.append(raw[2:2 + k]); raw = raw[2 + k:]
    for n, line in enumerate(lines): push(edge, n, sha(b"\x00" + line)); roots.append(top(edge))
    must(len(lines) == size and roots[-1] == want, at + "log: root is not that of the entries")
    packed = {p["index"]: p for f in glob.glob(os.path.join(root, at, "records", "*.jsonl")) for p in map(parse, open(f, "rb"))}
    for n, line in enumerate(lines):
        e = parse(line); what, t, a = f"{at}records/{n}", e["type"], agents.setdefault(e["agent"], {}); must(e["time"] >= last, what + ": time"); last = e["time"]
        if t in ("evidence", "key-rotation"): must(e["seq"] == a.get("seq", -1) + 1 and e["prev"] == a.get("stmt"), what + ": chain")
        if e["agent"]: a["seq"], a["stmt"] = e["seq"], e["stmt"]
        if t in ("evidence", "workflow") and not ep["first"] <= n < ep["next"]: continue
        try:
            if m["layout"] == "packed":
                p = json.dumps(packed[n]["envelope"], separators=(",", ":")).encode(); blobs = {d: b64(x) for d, x in packed[n]["blobs"].items()}
            else:
                p = read(what, "envelope.json"); blobs = {hx(b): b for b in (read(what, f) for f in os.listdir(os.path.join(root, what)) if f.endswith((".facts.json", ".detail.json")))}
            keys = None if t == "enrollment" else a.get("keys", {}) if e["agent"] else server
            body = opened(p, keys, what); s = parse(body); pr, subjects = s["predicate"], {x["digest"]["sha256"]: x["name"] for x in s["subject"]}; count += 1
            must(hx(p) == e["env"] and hx(body) == e["stmt"] and pr["org"] == m["org"], what + ": not what was logged"); must(all(hx(b) == d and d in subjects for d, b in blobs.items()), what + ": a blob was changed")
            if t in ("enrollment", "key-rotation"): a["keys"] = {keyid(b64(pr["spki"])): b64(pr["spki"])}
            if t == "key-rotation": must(openssl(b64(pr["spki"]), pae(b"application/vnd.attesto.key-rotation.v1+json", body.replace(pr["proof"].encode(), b"")), b64(pr["proof"])), what + ": proof of the new key")
            if t == "erasure": gone |= {"all"} if pr["scope"] == "organisation" else set(subjects)
            if t == "evidence": must((pr["agent"], pr["seq"], pr["prev"]) == (e["agent"], e["seq"], e["prev"]), what + ": another entry's"); named.update({d: what for d, x in subjects.items() if d not in blobs and x.endswith(".facts.json") and (not m["kinds"] or x[:-11] in m["kinds"])})
            if t == "evidence" and pr["log"]["origin"] == ep["origin"]: must(pr["log"]["size"] <= n and roots[pr["log"]["size"]] == b64(pr["log"]["root"]), what + ": its agent saw another log")
        except (KeyError, ValueError, OSError) as x: faults.append(f"{what}: missing or not readable ({x})")
faults += [f"{w}: blob {d} is missing" for d, w in named.items() if d not in gone and "all" not in gone]
print(f"root key {keyid(rootkey)}\n{count} records of {m['orgName']}: " + ("proven" if not faults else "NOT PROVEN\n" + "\n".join(faults)))
sys.exit(1 if faults else 0)
