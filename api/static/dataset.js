// Looks again while a data set is being read, and shows it when that is over.
"use strict";
(() => {
  const place = document.querySelector("[data-dataset]");
  if (!place) return;
  let pause = 700;
  async function look() {
    try {
      const answer = await fetch(`/v1/datasets/${place.dataset.dataset}`);
      if (answer.ok && (await answer.json()).state !== "INGESTING") return location.reload();
    } catch { /* the service is away for a moment */ }
    pause = Math.min(pause * 1.3, 5000);
    setTimeout(look, pause);
  }
  setTimeout(look, pause);
})();
