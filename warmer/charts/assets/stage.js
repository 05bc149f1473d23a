"use strict";
// Draws each .chart from the JSON beside it, in the colours of the page's style, and again when these, its width or, as the event
// "retold" says, the JSON change.
addEventListener("DOMContentLoaded", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  for (const place of document.querySelectorAll(".chart")) {
    const read = () => JSON.parse(place.nextElementSibling.textContent);
    let data = read();
    place.replaceChildren();
    const chart = echarts.init(place, null, { renderer: "svg" });
    const draw = () => {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(`--${name}`).trim();
      charts[place.dataset.chart](chart, data, colour);
    };
    draw();
    place.addEventListener("retold", () => {
      data = read();
      draw();
    });
    dark.addEventListener("change", draw);
    let width = place.clientWidth;
    new ResizeObserver(() => {
      chart.resize();
      if (place.clientWidth !== width) draw();
      width = place.clientWidth;
    }).observe(place);
  }
});
