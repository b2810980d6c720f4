// The plan is asked for again whenever the form changes; nothing runs by it. Another data set or
// target brings other fields: the form is asked for again with all that was typed.
"use strict";
(() => {
  const page = document.getElementById("new-job");
  const SWAPS = ["dataset", "target", "no_target"];
  let waiting, newest = 0;
  const form = () => document.getElementById("job");

  async function asked(address, more) {
    const body = new URLSearchParams(new FormData(form()));
    for (const [name, value] of Object.entries(more)) body.set(name, value);
    const answer = await fetch(address, { method: "POST", body });
    return answer.ok ? answer.text() : null;
  }
  // What is swapped keeps where the reader is: the field with the focus, and what was opened.
  function swap(place, change) {
    const held = place.contains(document.activeElement) ? document.activeElement.id : "";
    const open = new Set([...place.querySelectorAll("details[open]")].map((one) => one.id));
    change();
    for (const one of page.querySelectorAll("details")) if (one.id && open.has(one.id)) one.open = true;
    if (held) document.getElementById(held)?.focus();
    window.frugalCharts?.drawAll(place);
  }
  function mark(faults) {
    for (const old of form().querySelectorAll(".fault")) old.remove();
    for (const old of form().querySelectorAll("[aria-invalid]")) {
      old.removeAttribute("aria-invalid");
      old.removeAttribute("aria-describedby");
      if (document.getElementById(`hint-${old.id}`)) old.setAttribute("aria-describedby", `hint-${old.id}`);
    }
    for (const [name, text] of Object.entries(faults)) {
      const input = document.getElementById(name), field = input?.closest(".field");
      if (!field) continue;
      const said = document.createElement("span");
      said.className = "fault";
      said.id = `fault-${name}`;
      said.textContent = text;
      field.append(said);
      if (input.matches("input, select, textarea")) {
        input.setAttribute("aria-invalid", "true");
        const hint = document.getElementById(`hint-${name}`);
        input.setAttribute("aria-describedby", hint ? `${hint.id} ${said.id}` : said.id);
      }
      const folded = field.closest("details");
      if (folded) folded.open = true;
    }
  }
  async function preview() {
    const mine = ++newest, place = document.getElementById("plan");
    if (!place) return;
    place.setAttribute("aria-busy", "true");
    try {
      const text = await asked("/ui/jobs/preview", {});
      if (mine !== newest || text === null) return;
      swap(place, () => { place.innerHTML = text; });
      mark(JSON.parse(place.querySelector("script.faults").textContent));
    } finally { if (mine === newest) place.removeAttribute("aria-busy"); }
  }
  async function again() {
    const mine = ++newest;
    form().setAttribute("aria-busy", "true");
    const text = await asked("/ui/jobs/new", { do: "swap" });
    if (mine !== newest) return;
    if (text === null) { form().removeAttribute("aria-busy"); return; }
    const next = new DOMParser().parseFromString(text, "text/html").getElementById("new-job");
    swap(page, () => { page.replaceChildren(...next.childNodes); });
    await preview();
  }
  page.addEventListener("input", (event) => {
    if (!form()) return;
    clearTimeout(waiting);
    if (SWAPS.includes(event.target.name)) again();
    else waiting = setTimeout(preview, 400);
  });
  page.addEventListener("submit", (event) => {
    if (event.submitter?.value !== "submit") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
})();
