// Draws every figure whose first child is a Vega-Lite spec. No eval: the content policy forbids it.
"use strict";
(() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const theme = () => ({
    background: "transparent",
    font: "system-ui, sans-serif",
    title: { color: css("--ink") },
    axis: { labelColor: css("--quiet"), titleColor: css("--ink"), gridColor: css("--line"), domainColor: css("--line"), tickColor: css("--line"), labelFontSize: 12, titleFontSize: 12 },
    legend: { labelColor: css("--ink"), titleColor: css("--ink"), labelFontSize: 12, titleFontSize: 12, orient: "bottom", columns: 2 },
    view: { stroke: null },
  });
  const options = () => ({ ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: false, config: theme() });
  // On dark paper Okabe and Ito's lighter blue.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toned = (spec) => (dark.matches ? JSON.parse(JSON.stringify(spec).replaceAll('"#0072b2"', '"#56b4e9"')) : spec);
  async function draw(figure, spec) {
    let target = figure.querySelector(".plot");
    if (!target) {
      target = document.createElement("div");
      target.className = "plot";
      target.setAttribute("aria-hidden", "true"); // the figure itself is named
      figure.prepend(target);
    }
    if (figure.view) figure.view.finalize();
    try {
      figure.view = (await window.vegaEmbed(target, toned(spec), options())).view;
      figure.classList.add("drawn");
    } catch (error) {
      target.textContent = "This chart could not be drawn; the table has its figures.";
      console.error(error);
    }
  }
  function drawAll(root) {
    for (const figure of root.querySelectorAll("figure.chart")) {
      const data = figure.querySelector('script[type="application/json"]');
      if (data) draw(figure, JSON.parse(data.textContent));
    }
  }
  window.frugalCharts = { draw, drawAll };
  drawAll(document);
  dark.addEventListener("change", () => drawAll(document));
})();
