// While a job runs its page follows its events; what changed is asked for at most once a second.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live || live.dataset.ended === "true") return;
  const address = `/ui/jobs/${live.dataset.job}/live`;
  let due = false, asking = false, ended = false;
  async function renew() {
    if (asking) { due = true; return; }
    asking = true;
    due = false;
    try {
      const answer = await fetch(address, { headers: { Accept: "text/html" } });
      if (answer.status === 401 || answer.redirected) { location.reload(); return; }
      if (answer.ok) show(await answer.text());
    } catch { /* the next event tries again */ }
    setTimeout(() => { asking = false; if (due) renew(); }, 1000);
  }
  function show(text) {
    const next = document.createElement("div");
    next.innerHTML = text;
    const plot = live.querySelector("#plane"), drawn = next.querySelector("#plane");
    const open = live.querySelector("#log")?.open;
    const spec = drawn?.querySelector("script")?.textContent;
    if (plot && drawn) drawn.replaceWith(plot); // the drawn chart stays and is given new data
    live.replaceChildren(...next.childNodes);
    if (open) live.querySelector("#log").open = true;
    const figure = live.querySelector("#plane");
    if (figure && spec) redraw(figure, JSON.parse(spec));
  }
  // New trials move into the chart that stands; only another rung, with its colour, draws it anew.
  const frame = (spec) => JSON.stringify({ ...spec, data: null });
  let standing = null;
  function redraw(figure, spec) {
    standing ??= JSON.parse(figure.querySelector("script").textContent);
    if (figure.view && frame(spec) === frame(standing)) {
      figure.view.data("trials", spec.data.values).runAsync();
    } else if (window.frugalCharts) window.frugalCharts.draw(figure, spec);
    standing = spec;
  }
  const source = new EventSource(`/v1/jobs/${live.dataset.job}/events?after=${live.dataset.last}`);
  for (const kind of ["state", "phase", "trial", "warning"]) source.addEventListener(kind, renew);
  source.addEventListener("end", () => { ended = true; source.close(); location.reload(); });
  source.addEventListener("error", () => { if (!ended && source.readyState === 2) setInterval(renew, 5000); });
})();
