"use strict";
// A figure of each model by day, drawn on ECharts' `chart` from `data` (warmer/charts/report.py) in the page's colours: bars that
// add up, or lines with a gap where there is nothing to tell.
charts.days = (chart, data, colour) => {
  const narrow = chart.getWidth() < 560;
  const font = { fontFamily: "system-ui, sans-serif", fontSize: narrow ? 11 : 12 };
  const soft = { ...font, color: colour("soft") };
  const line = { lineStyle: { color: colour("line") } };
  const shown = {
    usd: (value) => `$${value < 0.01 && value > 0 ? value.toPrecision(2) : value.toFixed(2)}`,
    share: (value) => `${+(value * 100).toPrecision(3)} %`,
    count: (value) => value.toLocaleString("en"),
    seconds: (value) => `${+value.toPrecision(3)} s`,
  }[data.unit];
  const palette = ["warm", "cold", "hue-3", "hue-4", "hue-5", "hue-6", "hue-7", "hue-8", "mute"].map(colour);
  // Names may come from anyone: text nodes, never markup.
  const told = (points) => {
    const tip = document.createElement("div");
    tip.className = "tip";
    tip.append(Object.assign(document.createElement("b"), { textContent: points[0].name }));
    for (const point of points.filter((one) => one.value !== null && one.value !== undefined)) {
      for (const textContent of [point.seriesName, shown(point.value)]) {
        tip.append(Object.assign(document.createElement("span"), { textContent }));
      }
    }
    return tip;
  };
  chart.setOption({
    animation: false,
    backgroundColor: colour("card"),
    color: palette,
    aria: { enabled: true, label: { description: data.description } },
    grid: { left: 56, right: 16, top: 12, bottom: 64 },
    legend: { type: "scroll", bottom: 0, textStyle: soft, icon: "roundRect", pageTextStyle: soft },
    tooltip: { trigger: "axis", confine: true, formatter: told, backgroundColor: colour("card"), borderColor: colour("line") },
    xAxis: { type: "category", data: data.days, axisLabel: { ...soft, hideOverlap: true }, axisLine: line, axisTick: line },
    yAxis: { type: "value", min: 0, axisLabel: { ...soft, formatter: shown }, splitLine: line },
    series: data.series.map(({ name, values }) => ({
      name, data: values, cursor: "default",
      ...(data.stacked
        ? { type: "bar", stack: "all", barMaxWidth: 36 }
        : { type: "line", symbol: "circle", symbolSize: 6, connectNulls: false }),
    })),
  }, { notMerge: true });
};
