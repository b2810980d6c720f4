// Sends files in pieces with a digest each; what broke off goes on where it was, also after a reload.
"use strict";
(() => {
  const PIECE = 8 * 2 ** 20, ATTEMPTS = 6, PAUSE = 250;
  const form = document.getElementById("upload");
  if (!form) return;
  const input = form.querySelector("#file"), queue = document.getElementById("queue");
  const list = queue.querySelector(".queue"), start = document.getElementById("start"), said = document.getElementById("said");
  const jobs = [];
  let busy = false;

  // SHA-256 (FIPS 180-4): browsers keep their own from pages that came without TLS.
  function sha256Plain(bytes) {
    const k = [], h = [];
    for (let n = 2; k.length < 64; n++) {
      let prime = true;
      for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
      if (!prime) continue;
      if (h.length < 8) h.push(((n ** 0.5) % 1) * 2 ** 32 | 0);
      k.push((Math.cbrt(n) % 1) * 2 ** 32 | 0);
    }
    const size = bytes.length, padded = new Uint8Array(((size + 8) >> 6 << 6) + 64);
    padded.set(bytes);
    padded[size] = 128;
    const view = new DataView(padded.buffer), w = new Int32Array(64);
    view.setUint32(padded.length - 8, Math.floor(size / 2 ** 29));
    view.setUint32(padded.length - 4, size << 3);
    const turn = (x, n) => (x >>> n) | (x << (32 - n));
    for (let at = 0; at < padded.length; at += 64) {
      for (let i = 0; i < 64; i++) {
        if (i < 16) { w[i] = view.getInt32(at + 4 * i); continue; }
        const a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + w[i - 7] + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
      }
      let [a, b, c, d, e, f, g, z] = h;
      for (let i = 0; i < 64; i++) {
        const one = (z + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i]) | 0;
        const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        z = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
      }
      [a, b, c, d, e, f, g, z].forEach((value, i) => { h[i] = (h[i] + value) | 0; });
    }
    const out = new DataView(new ArrayBuffer(32));
    h.forEach((value, i) => out.setInt32(4 * i, value));
    return new Uint8Array(out.buffer);
  }
  async function digest(buffer) {
    const bytes = crypto.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", buffer)) : sha256Plain(new Uint8Array(buffer));
    return btoa(String.fromCharCode(...bytes));
  }
  window.frugalUpload = { sha256Plain };

  class Refusal extends Error {
    constructor(status, problem) { super(problem.detail || `HTTP ${status}`); this.status = status; this.problem = problem; }
  }
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  // One request by XMLHttpRequest, which alone tells how much of a body has gone.
  function once(method, url, body, headers, onprogress) {
    return new Promise((done, fail) => {
      const request = new XMLHttpRequest();
      request.open(method, url);
      for (const [name, value] of Object.entries(headers || {})) request.setRequestHeader(name, value);
      if (onprogress) request.upload.onprogress = (event) => onprogress(event.loaded);
      request.onerror = request.ontimeout = request.onabort = () => fail(new Refusal(0, { detail: "the service could not be reached" }));
      request.onload = () => {
        let answer = {};
        try { answer = request.responseText ? JSON.parse(request.responseText) : {}; } catch { /* a proxy's page */ }
        if (request.status >= 400) fail(new Refusal(request.status, answer));
        else done(answer);
      };
      request.send(body);
    });
  }
  // Whatever may be repeated: pieces and questions are the same twice.
  async function patient(job, ...request) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(...request);
      } catch (error) {
        const again = error.status === 0 || error.status === 429 || error.status >= 502 || error.problem.code === "digest_mismatch";
        if (!again || attempt === ATTEMPTS) throw error;
        tell(job, `${error.message}; tried again`);
        await wait(PAUSE * 2 ** attempt);
      }
    }
  }
  const json = { "Content-Type": "application/json" };
  const key = (file) => `frugal-upload:${file.name}:${file.size}:${file.lastModified}`;
  const store = {
    get(name) { try { return JSON.parse(localStorage.getItem(name)); } catch { return null; } },
    set(name, value) { try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* private window */ } },
    drop(name) { try { localStorage.removeItem(name); } catch { /* private window */ } },
  };
  function options(job) {
    const found = {};
    const places = {};
    for (const field of job.row.querySelectorAll("[name]")) {
      const [name, part] = field.name.split(".");
      if (!field.value) continue;
      if (part) places[part] = field.value.trim();
      else found[name] = name === "log_year" ? Number(field.value) : field.value;
    }
    if (found.null_values && !/^\s*\[/.test(found.null_values)) found.null_values = JSON.stringify(listed(found.null_values));
    if (Object.keys(places).length && ["columns", "jsonl"].includes(found.log_format)) {
      if (found.log_format !== "jsonl") for (const part of Object.keys(places)) places[part] = place(places[part]);
      found.log_columns = JSON.stringify(places);
    }
    return found;
  }
  // As `options_of` of api.pages.uploads has it: positions of words, and a list in which quotes may stand.
  function place(text) {
    const words = text.split(",").map((one) => one.trim());
    if (!words.every((one) => /^[0-9]{1,9}$/.test(one))) return text;
    return words.length === 1 ? Number(words[0]) : words.map(Number);
  }
  function listed(text) {
    return [...text.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,\n]*?))\s*(?:[,\n]|$)/gy)]
      .filter((one) => one[1] !== undefined || one[2]).map((one) => (one[1] === undefined ? one[2] : one[1].replaceAll('""', '"')));
  }
  async function begun(job, wish) {
    const kept = store.get(key(job.file));
    if (kept && kept.options === JSON.stringify(wish)) {
      try {
        const upload = await patient(job, "GET", `/v1/uploads/${kept.id}`);
        if (upload.size === job.file.size) return upload;
      } catch (error) {
        if (![404, 410].includes(error.status)) throw error;
      }
    }
    if (kept) await once("DELETE", `/v1/uploads/${kept.id}`).catch(() => {});
    const body = { name: job.file.name, size: job.file.size, chunk_bytes: Math.min(PIECE, job.file.size), options: wish };
    const upload = await once("POST", "/v1/uploads", JSON.stringify(body), json);
    store.set(key(job.file), { id: upload.id, options: JSON.stringify(wish) });
    return upload;
  }
  async function send(job) {
    const { file } = job, wish = options(job);
    job.row.querySelectorAll(".fault").forEach((fault) => fault.remove());
    job.row.querySelectorAll("[aria-invalid]").forEach((field) => { field.removeAttribute("aria-invalid"); field.removeAttribute("aria-describedby"); });
    offerOptions(job, false);
    const upload = await begun(job, wish), each = upload.chunk_bytes, there = new Set(upload.received);
    if (upload.dataset) return upload.dataset;
    let n = 0;
    for (const number of there) n += Math.min(each, file.size - number * each);
    if (n) tell(job, `goes on at ${share(n, file.size)}`);
    for (let number = 0; number < upload.n_chunks; number++) {
      if (there.has(number)) continue;
      const piece = await file.slice(number * each, (number + 1) * each).arrayBuffer();
      const headers = { "Content-Digest": `sha-256=:${await digest(piece)}:`, "Content-Type": "application/octet-stream" };
      await patient(job, "PUT", `/v1/uploads/${upload.id}/chunks/${number}`, piece, headers, (loaded) => show(job, n + loaded));
      n += piece.byteLength;
      show(job, n);
    }
    tell(job, "all there; its beginning is read");
    try {
      const dataset = await patient(job, "POST", `/v1/uploads/${upload.id}/complete`);
      store.drop(key(file));
      return dataset.id;
    } catch (error) {
      if (error.status === 422 || error.status === 415) {
        store.drop(key(file));
        await once("DELETE", `/v1/uploads/${upload.id}`).catch(() => {});
      }
      throw error;
    }
  }
  async function run(job) {
    job.state = "sending";
    job.again?.remove();
    try {
      job.dataset = await send(job);
      job.state = "there";
      show(job, job.file.size);
      tell(job, "there");
    } catch (error) {
      job.state = "failed";
      job.row.classList.add("failed");
      tell(job, error.message || "the file cannot be read any more");
      const option = error.problem?.details?.option;
      for (const one of error.problem?.errors || (option ? [{ field: option, detail: error.message }] : [])) fault(job, one);
      job.again = button(error.status === 0 ? "Go on" : "Try again", () => { job.row.classList.remove("failed"); offerOptions(job); run(job).then(after); });
      job.row.append(job.again);
    }
  }
  function fault(job, one) {
    offerOptions(job);
    const field = job.row.querySelector(`[name="${CSS.escape(String(one.field).replace(/^options\./, ""))}"]`) || (/log_columns/.test(one.field) && job.row.querySelector('[name="log_columns.message"]'));
    if (!field) return;
    const text = document.createElement("span");
    text.className = "fault";
    text.textContent = one.detail;
    text.id = `fault-${jobs.indexOf(job)}-${field.name}`;
    field.setAttribute("aria-describedby", text.id);
    (field.closest(".places") || field).after(text);
    field.setAttribute("aria-invalid", "true");
    field.closest("details").open = true;
  }
  async function ready(job) {
    for (let pause = 500; ; pause = Math.min(pause * 1.4, 4000)) {
      const dataset = await patient(job, "GET", `/v1/datasets/${job.dataset}`);
      if (dataset.state === "READY") return tell(job, "read");
      if (dataset.state !== "INGESTING") {
        job.state = "failed";
        return tell(job, dataset.problem?.detail || dataset.state);
      }
      tell(job, "being read");
      await wait(pause);
    }
  }
  // One file is shown; several are put together once all of them are read.
  async function after() {
    if (jobs.some((job) => job.state !== "there")) return;
    if (jobs.length === 1) return location.assign(`/ui/datasets/${jobs[0].dataset}`);
    said.textContent = "All are there; they are being read.";
    await Promise.all(jobs.map(ready));
    const good = jobs.filter((job) => job.state === "there");
    if (good.length < jobs.length) { said.textContent = "Not all of them could be read."; return; }
    const query = new URLSearchParams([...new Set(good.map((job) => job.dataset))].map((id) => ["id", id]));
    location.assign(`/ui/datasets/together?${query}`);
  }
  function share(n, size) { return `${Math.floor((100 * n) / size)} %`; }
  function bytes(n) { return n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} kB` : `${n} B`; }
  function show(job, n) {
    job.bar.value = n / job.file.size;
    job.bar.textContent = share(n, job.file.size);
    if (n < job.file.size) tell(job, `${share(n, job.file.size)} of ${bytes(job.file.size)}`);
  }
  function tell(job, text) { job.said.textContent = text; }
  function button(text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "plain";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  }
  // While a file is sent its options are out of sight; where it was refused they stand there again.
  function offerOptions(job, seen = true) {
    const there = job.row.querySelector("details");
    if (there) { there.hidden = !seen; return; }
    const copy = document.getElementById("reading").content.cloneNode(true), number = jobs.indexOf(job);
    for (const field of copy.querySelectorAll("[id]")) field.id = `file${number}-${field.id}`;
    for (const group of copy.querySelectorAll("[aria-labelledby]")) group.setAttribute("aria-labelledby", `file${number}-${group.getAttribute("aria-labelledby")}`);
    for (const label of copy.querySelectorAll("label[for]")) label.htmlFor = `file${number}-${label.htmlFor}`;
    job.bar.before(copy);
  }
  function add(file) {
    if (jobs.some((job) => key(job.file) === key(file))) return;
    const row = document.createElement("li"), name = document.createElement("strong"), bar = document.createElement("progress"), text = document.createElement("span");
    name.textContent = file.name;
    name.className = "name";
    bar.max = 1;
    bar.value = 0;
    bar.setAttribute("aria-label", `progress of ${file.name}`);
    text.className = "hint";
    text.setAttribute("role", "status");
    const job = { file, row, bar, said: text, state: "waits" };
    row.append(name, " ", bar, " ", text);
    const gone = button("Remove", () => { if (job.state === "sending") return; jobs.splice(jobs.indexOf(job), 1); row.remove(); queue.hidden = !jobs.length; });
    gone.setAttribute("aria-label", `Remove ${file.name}`);
    row.append(" ", gone);
    jobs.push(job);
    list.append(row);
    offerOptions(job);
    if (!file.size) { job.state = "failed"; tell(job, "the file is empty"); }
    else tell(job, store.get(key(file)) ? `${bytes(file.size)}; goes on where it broke off` : bytes(file.size));
  }
  function take(files) {
    for (const file of files) add(file);
    queue.hidden = !jobs.length;
    input.value = "";
    if (jobs.length) start.focus();
  }
  input.multiple = true;
  input.required = false;
  form.classList.add("scripted");
  form.querySelector(".plain-only").hidden = true;
  form.querySelector(".by-script").hidden = false;
  input.addEventListener("change", () => take(input.files));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("dragover", (event) => { event.preventDefault(); form.classList.add("over"); });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => { event.preventDefault(); form.classList.remove("over"); take(event.dataTransfer.files); });
  start.addEventListener("click", async () => {
    if (busy) return;
    busy = start.disabled = true;
    for (const job of [...jobs]) if (job.state === "waits" || (job.state === "failed" && job.file.size)) await run(job);
    busy = start.disabled = false;
    await after();
  });
  addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
})();
