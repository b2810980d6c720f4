// The slider of a model's threshold: the same arithmetic as the form does without this script.
"use strict";
(() => {
  const form = document.getElementById("chooser");
  const slider = document.getElementById("place");
  const Z = 1.645;
  const { gain, prevalence, n_positive } = JSON.parse(document.getElementById("known").textContent);
  const field = (name) => {
    const value = Number(form.elements[name].value.replace(/,/g, ""));
    return value > 0 ? value : null;
  };
  const out = (name, text) => { document.querySelector(`#chosen [data-of="${name}"]`).textContent = text; };
  // As `api.report.number`: three digits, commas.
  const number = (value) => {
    if (value === null || !Number.isFinite(value)) return "–";
    if (value === 0) return "0";
    let decimals = 2 - Math.floor(Math.log10(Math.abs(value)));
    if (Number(Math.abs(value).toFixed(Math.min(Math.max(decimals, 0), 12))) >= 10 ** (3 - decimals)) decimals -= 1;
    decimals = Math.min(Math.max(decimals, 0), 12);
    return value.toLocaleString("en-GB", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
  };
  const share = (value) => value === null ? "–" : `${(100 * value).toFixed(1)} %`;
  const wilson = (p) => {
    const n = n_positive, centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n);
    const spread = Z / (1 + Z * Z / n) * Math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n));
    return [Math.max(0, centre - spread), Math.min(1, centre + spread)];
  };
  function day(place) {
    const [threshold, alerted, recall, lift] = place === 0 ? [null, 0, 0, null] : gain[place - 1];
    const rows = field("rows_per_day") ?? 1000, missedCost = field("missed_cost"), alertCost = field("alert_cost");
    const positives = prevalence * rows, alerts = alerted * rows, right = recall * positives;
    const cost = missedCost === null || alertCost === null ? null
      : missedCost * (positives - right) + alertCost * Math.max(0, alerts - right);
    return { threshold, alerted, recall, alerts, missed: positives - right, precision: lift === null ? null : lift * prevalence, cost };
  }
  function show() {
    const now = day(Number(slider.value)), [low, high] = wilson(now.recall);
    out("threshold", now.threshold === null ? "nobody" : number(now.threshold));
    out("alerts", number(now.alerts));
    out("precision", share(now.precision));
    out("recall", share(now.recall));
    out("missed", number(now.missed));
    out("cost", number(now.cost));
    out("low", share(low));
    out("high", share(high));
    slider.setAttribute("aria-valuetext", `${number(now.alerts)} alerts a day, recall ${share(now.recall)}`);
    for (const id of ["gain-chart", "cost-chart"]) {
      const view = document.getElementById(id)?.view;
      if (view) view.signal("at", now.alerted).runAsync();
    }
  }
  function byAlerts() {
    const limit = (field("alerts_per_day") ?? 0) / (field("rows_per_day") ?? 1000) * (1 + 1e-6);
    slider.value = gain.filter((point) => point[1] <= limit).length;
    show();
  }
  slider.closest("p").hidden = false;
  slider.addEventListener("input", () => {
    const now = day(Number(slider.value));
    form.elements.alerts_per_day.value = Number(now.alerts.toPrecision(4));
    show();
  });
  form.elements.alerts_per_day.addEventListener("input", byAlerts);
  for (const name of ["rows_per_day", "missed_cost", "alert_cost"]) form.elements[name].addEventListener("input", show);
})();
