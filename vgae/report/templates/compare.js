// Draw only the curves of one run, or those of all runs.
"use strict";
(() => {
  const { data, redrawers } = page;
  const buttons = [...document.querySelectorAll("[data-run]")];
  let alone = null;

  function draw() {
    for (const [id, chart] of Object.entries(data.charts)) {
      const place = document.getElementById(id);
      const name = alone === null ? null : data.runs[alone];
      // Series without a name are reference lines, which stay.
      const seen = chart.series.map((series) => name === null || series.name === name || !series.name);
      Plotly.restyle(place, { visible: seen });
    }
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(alone === i)));
  }

  buttons.forEach((button, i) => button.addEventListener("click", () => {
    alone = alone === i ? null : i;
    draw();
  }));
  redrawers.push(draw);
})();
