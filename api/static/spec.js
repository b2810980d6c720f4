// The form of a spec: its JSON kept in step, columns of the table that was chosen, a list to tick columns in.
"use strict";
(() => {
  const form = document.getElementById("spec");
  if (!form) return;
  const json = form.querySelector("#json"), was = form.elements.json_was, fields = form.querySelector("#fields");
  const shown = json.value;
  let later = 0, asked = 0;
  const byJson = () => json.value !== json.dataset.shown;
  json.dataset.shown = shown;

  function mark() {
    form.classList.toggle("by-json", byJson());
    document.getElementById("edited").hidden = !byJson();
  }
  json.addEventListener("input", mark);

  // One reading of the form, that of the service: what it would be sent as comes back as JSON.
  async function step() {
    if (byJson()) return;
    const number = ++asked, body = new URLSearchParams(new FormData(form));
    body.set("do", "step");
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      if (!answer.ok || number !== asked || byJson()) return;
      const found = await answer.json();
      for (const [name, one] of Object.entries(found.tables)) {
        const table = document.getElementById(`table-${name}`);
        if (!table) continue;
        table.querySelector(".in-short").textContent = one.said;
        const path = table.querySelector(".path");
        path.hidden = !one.path;
        path.querySelector("code").textContent = one.path;
      }
      preview(found.json);
    } catch { /* sent as a whole later, it is read all the same */ }
  }
  // The fields are read against the JSON that the page came with: that one is sent back.
  let base = shown;
  function preview(text) {
    json.value = json.dataset.shown = text;
  }
  form.addEventListener("formdata", (event) => {
    if (!byJson()) event.formData.set("json", base);
  });
  fields.addEventListener("input", () => { clearTimeout(later); later = setTimeout(step, 400); });
  fields.addEventListener("change", () => { clearTimeout(later); later = setTimeout(step, 50); });

  // Columns that are offered are those of the table that was chosen.
  function offer(chooser, name) {
    const input = form.elements[name];
    if (input) input.setAttribute("list", `columns-${chooser.value}`);
  }
  function madeFrom() {
    const made = form.elements.made.value !== "rows" && form.elements["windows.table"].value;
    for (const table of form.querySelectorAll(".spec-table")) table.classList.toggle("made-from", table.dataset.table === made);
  }
  fields.addEventListener("change", ({ target }) => {
    if (["made", "windows.table"].includes(target.name)) madeFrom();
    if (target.name.endsWith(".to_table")) offer(target, target.name.replace(/_table$/, ""));
    if (target.name === "windows.table") for (const name of ["windows.label", "windows.sessions"]) offer(target, name);
    if (target.name.endsWith(".role") && target.value === "entities") {
      for (const name of ["key", "target", "cut_off.column"]) form.elements[name].setAttribute("list", `columns-${target.closest("[data-table]").dataset.table}`);
    }
  });

  // A row for one more condition once the last one is filled.
  fields.addEventListener("input", ({ target }) => {
    const row = target.closest(".condition");
    if (!row || row.nextElementSibling || !target.value) return;
    const next = row.cloneNode(true);
    for (const input of next.querySelectorAll("input")) {
      input.value = "";
      input.name = input.name.replace(/\.where\.(\d+)\./, (_, number) => `.where.${Number(number) + 1}.`);
    }
    row.after(next);
  });

  // Names as `api.pages.spec_texts` reads and writes them.
  const item = /\s*(?:"((?:[^"]|"")*)"|([^,\n]*?))\s*(?:[,\n]|$)/y;
  function names(text) {
    const found = [];
    item.lastIndex = 0;
    for (let at = 0; at < text.length; at = Math.max(item.lastIndex, at + 1)) {
      item.lastIndex = at;
      const one = item.exec(text);
      if (!one) break;
      const said = one[1] === undefined ? one[2] : one[1].replaceAll('""', '"');
      if (said) found.push(said);
    }
    return found;
  }
  const quoted = (name) => (name.trim() !== name || /[,\n\r]|^"/.test(name) ? `"${name.replaceAll('"', '""')}"` : name);

  // The list to tick is made when it is opened: of twenty wide tables most are not.
  for (const picker of form.querySelectorAll(".picker")) {
    picker.hidden = false;
    const table = picker.closest("[data-table]").dataset.table, text = form.elements[`tables.${table}.exclude`];
    picker.addEventListener("toggle", () => {
      if (!picker.open) return;
      picker.querySelector(".choices")?.remove();
      const box = document.createElement("div"), filter = document.createElement("input"), list = document.createElement("ul");
      box.className = "choices";
      filter.type = "search";
      filter.placeholder = "Name contains";
      filter.setAttribute("aria-label", `Find a column of ${table}`);
      list.setAttribute("aria-label", `Columns of ${table} not to learn from`);
      list.tabIndex = 0;
      const left = new Set(names(text.value));
      for (const option of document.getElementById(`columns-${table}`).options) {
        const row = document.createElement("li"), label = document.createElement("label"), tick = document.createElement("input");
        label.className = "check";
        tick.type = "checkbox";
        tick.checked = left.has(option.value);
        tick.dataset.column = option.value;
        label.append(tick, `${option.value} (${option.label})`);
        row.append(label);
        list.append(row);
      }
      filter.addEventListener("input", (event) => {
        event.stopPropagation();
        const wanted = filter.value.toLowerCase();
        for (const row of list.children) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      });
      list.addEventListener("change", ({ target: tick }) => {
        const now = names(text.value).filter((name) => name !== tick.dataset.column);
        if (tick.checked) now.push(tick.dataset.column);
        text.value = now.map(quoted).join(", ");
      });
      box.append(filter, list);
      picker.append(box);
    });
  }

  // A link to a faulty field opens what it is in.
  function reveal() {
    const place = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = place; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (place) { place.scrollIntoView({ block: "center" }); place.focus({ preventScroll: true }); }
  }
  addEventListener("hashchange", reveal);
  const tables = form.querySelectorAll(".spec-table"), all = form.querySelector(".by-script");
  if (all) {
    all.hidden = false;
    for (const [id, open] of [["open-all", true], ["close-all", false]]) {
      document.getElementById(id).addEventListener("click", () => { for (const one of tables) one.open = open; });
    }
  }
  mark();
})();
