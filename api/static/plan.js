// The plan is asked for again whenever the form changes; nothing runs by it.
"use strict";
(() => {
  document.getElementById("data")?.querySelector("select").addEventListener("change", (event) => event.target.form.submit());
  const form = document.getElementById("job"), place = document.getElementById("plan");
  if (!form) return;
  let waiting, newest = 0;
  async function renew() {
    const mine = ++newest;
    place.setAttribute("aria-busy", "true");
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch("/ui/jobs/preview", { method: "POST", body });
      const text = await answer.text();
      if (mine !== newest || !answer.ok) return;
      place.innerHTML = text;
      window.frugalCharts?.drawAll(place);
    } finally { if (mine === newest) place.removeAttribute("aria-busy"); }
  }
  form.addEventListener("input", (event) => {
    if (event.target.name === "target") {
      location.assign(`/ui/jobs/new?${new URLSearchParams({ dataset: form.elements.dataset.value, target: event.target.value })}`);
      return;
    }
    clearTimeout(waiting);
    waiting = setTimeout(renew, 400);
  });
  form.addEventListener("submit", (event) => {
    if (event.submitter?.value !== "submit") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
})();
