// A slider over the decades of predictions a day; the picks themselves are the API's.
"use strict";
(() => {
  const form = document.getElementById("use");
  if (!form) return;
  const place = document.getElementById("place"), field = form.elements.predictions_per_day;
  const steps = Number(form.dataset.steps), decades = Number(form.dataset.decades);
  const chosen = document.getElementById("chosen");
  const perDay = (step) => (step === 0 ? 0 : Number((10 ** ((step / steps) * decades)).toPrecision(2)));
  const stepOf = (value) => (value > 0 ? Math.min(steps, Math.round((Math.log10(value) / decades) * steps)) : 0);
  let waiting, newest = 0;
  async function renew() {
    const mine = ++newest;
    const query = new URLSearchParams(new FormData(form));
    const answer = await fetch(`${location.pathname}?${query}`);
    if (!answer.ok || mine !== newest) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.getElementById("chosen");
    if (next) chosen.replaceChildren(...next.childNodes);
  }
  place.value = stepOf(Number(field.value));
  place.closest(".slider").hidden = false;
  place.addEventListener("input", () => {
    const value = perDay(Number(place.value));
    field.value = value || "";
    place.setAttribute("aria-valuetext", value ? `${value} predictions a day` : "the data, once");
    clearTimeout(waiting);
    waiting = setTimeout(renew, 150);
  });
  field.addEventListener("input", () => { place.value = stepOf(Number(field.value)); });
})();
