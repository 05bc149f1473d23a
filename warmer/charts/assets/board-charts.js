"use strict";
// The charts of the daemon's page, each from the data that warmer/charts/board.py put beside it, in the page's colours.
const charts = (() => {
  const font = { fontFamily: "system-ui, sans-serif", fontSize: 11 };
  const looks = (colour) => {
    const soft = { ...font, color: colour("soft") };
    return {
      soft,
      axis: {
        axisLabel: { ...soft, hideOverlap: true }, axisLine: { lineStyle: { color: colour("line") } }, axisTick: { show: false },
        splitLine: { lineStyle: { color: colour("line") } },
      },
      base: {
        animation: false, backgroundColor: "transparent", textStyle: font,
        grid: { left: 46, right: 12, top: 10, bottom: 24 },
        tooltip: {
          trigger: "item", confine: true, backgroundColor: colour("card"), borderColor: colour("line"), padding: [6, 10],
        },
      },
    };
  };
  // Names may come from anyone: text nodes, never markup.
  const tip = (title, ...lines) => {
    const box = document.createElement("div");
    box.className = "tip";
    box.append(Object.assign(document.createElement("b"), { textContent: title }));
    for (const cell of lines.flat()) box.append(Object.assign(document.createElement("span"), { textContent: cell }));
    return box;
  };
  const seconds = (value) => value < 1 ? `${+value.toPrecision(2)} s` : `${+value.toPrecision(3)} s`;
  const usd = (value) => `$${value >= 0.1 || !value ? value.toFixed(2) : +value.toPrecision(2)}`;
  const KINDS = { beat: "warm", call: "mute", cold: "cold", unsure: "soft" };
  const NAMES = { beat: "beat, found warm", call: "call, found warm", cold: "found cold", unsure: "in doubt" };
  const day = (at) => new Date(at).toLocaleDateString(undefined, { weekday: "short" });

  return {
    waits(chart, data, colour) {
      const { axis, base } = looks(colour);
      chart.setOption({
        ...base,
        xAxis: { ...axis, type: "time", min: data.from, max: data.to, minInterval: 86400e3, maxInterval: 86400e3, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: day } },
        yAxis: { ...axis, type: "log", min: 0.005, axisLabel: { ...axis.axisLabel, showMinLabel: false, formatter: seconds } },
        tooltip: { ...base.tooltip, formatter: ({ value }) => tip(value[2], NAMES[value[3]], `waited ${seconds(value[1])}`) },
        series: Object.entries(KINDS).map(([kind, name]) => ({
          type: "scatter", symbolSize: kind === "cold" ? 8 : 5, z: kind === "cold" ? 4 : 3, cursor: "default",
          symbol: { cold: "diamond", unsure: "triangle" }[kind] || (kind === "call" ? "rect" : "circle"),
          itemStyle: { color: colour(name), opacity: kind === "cold" ? 1 : 0.75 },
          data: data.points.filter((point) => point[2] === kind).map(([at, wait, of, local]) => [at, wait, local, of]),
        })),
      }, { notMerge: true });
    },

    traffic(chart, data, colour) {
      const { axis, base } = looks(colour);
      const bars = (name, index, shade) => ({
        type: "bar", name, stack: "all", barWidth: 3, itemStyle: { color: colour(shade) }, cursor: "default",
        data: data.hours.map((hour) => [hour[0], index === 1 ? hour[1] : -hour[2], hour[3], Math.abs(hour[index])]),
      });
      chart.setOption({
        ...base,
        xAxis: { ...axis, type: "time", min: data.from, max: data.to, minInterval: 86400e3, maxInterval: 86400e3, splitLine: { show: false }, axisLabel: { ...axis.axisLabel, formatter: day } },
        yAxis: { ...axis, type: "value", minInterval: 1, axisLabel: { ...axis.axisLabel, formatter: (count) => `${Math.abs(count)}` } },
        tooltip: { ...base.tooltip, formatter: ({ seriesName, value }) => tip(value[2], seriesName, `${value[3]}`) },
        series: [bars("beats", 1, "warm"), bars("calls", 2, "mute")],
      }, { notMerge: true });
    },

    week(chart, data, colour) {
      const { axis, base, soft } = looks(colour);
      const DAYS = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
      const cells = data.calls.flatMap((hours, weekday) => hours.map((calls, hour) => [hour, weekday, calls]));
      const open = (weekday, hour) => (data.open[weekday]?.[hour] ?? 0) > 0;
      // The outline of the active hours: the sides of open cells that have no open cell beyond.
      const outline = (params, api) => {
        const [hour, weekday] = [api.value(0), api.value(1)];
        const [x, y] = api.coord([hour, weekday]);
        const [width, height] = api.size([1, 1]);
        const left = x - width / 2, right = x + width / 2, top = y - height / 2, bottom = y + height / 2;
        const sides = [
          [!open(weekday, hour - 1), left, top, left, bottom], [!open(weekday, hour + 1), right, top, right, bottom],
          [!open(weekday - 1, hour), left, top, right, top], [!open(weekday + 1, hour), left, bottom, right, bottom],
        ].filter(([drawn]) => drawn).map(([, x1, y1, x2, y2]) => ({
          type: "line", shape: { x1, y1, x2, y2 }, style: { stroke: colour("ink"), lineWidth: 1.5 }, silent: true,
        }));
        return { type: "group", children: sides };
      };
      chart.setOption({
        ...base,
        grid: { left: 30, right: 12, top: 8, bottom: 24 },
        xAxis: { ...axis, type: "category", data: [...Array(24).keys()], splitLine: { show: false }, axisLabel: { ...soft, interval: 5, formatter: (hour) => `${hour}:00` } },
        yAxis: { ...axis, type: "category", data: DAYS, inverse: true, splitLine: { show: false } },
        visualMap: { show: false, min: 0, max: Math.max(...cells.map((cell) => cell[2]), 0.01), inRange: { color: [colour("faint"), colour("warm")] }, seriesIndex: 0 },
        tooltip: { ...base.tooltip, formatter: ({ value }) => tip(`${DAYS[value[1]]} ${value[0]}:00`, "calls an hour", `${+value[2].toPrecision(2)}`, "active", open(value[1], value[0]) ? "yes" : "no") },
        series: [
          { type: "heatmap", data: cells, cursor: "default", itemStyle: { borderColor: colour("card"), borderWidth: 1.5 }, emphasis: { disabled: true } },
          { type: "custom", silent: true, renderItem: outline, data: cells.filter(([hour, weekday]) => open(weekday, hour)), tooltip: { show: false } },
        ],
      }, { notMerge: true });
    },

    timeout(chart, data, colour) {
      const { axis, base } = looks(colour);
      if (!data.steps.length) { chart.clear(); return; }
      const at = (index) => data.steps.map((step) => [step[5], step[index]]);
      const gaps = data.steps.map((step) => step[0]);
      const lows = data.steps.map((step) => step[2]), highs = data.steps.map((step) => step[4]);
      const band = (params, api) => {
        if (params.dataIndex) return null;
        const upper = at(4).map((point) => api.coord(point)), lower = at(2).map((point) => api.coord(point));
        return { type: "polygon", shape: { points: [...upper, ...lower.reverse()] }, style: { fill: colour("warm"), opacity: 0.22 }, silent: true };
      };
      chart.setOption({
        ...base,
        xAxis: { ...axis, type: "value", min: 1, max: Math.max(2, data.steps.at(-1)[5]), minInterval: 1, splitLine: { show: false } },
        yAxis: { ...axis, type: "log", min: Math.max(1, Math.min(...gaps, ...lows) * 0.8), max: Math.max(...gaps, ...highs) * 1.2, axisLabel: { ...axis.axisLabel, showMinLabel: false, showMaxLabel: false, formatter: (value) => `${Math.round(value)} s` } },
        tooltip: { ...base.tooltip, formatter: ({ value }) => tip(`gap ${value[0]}`, `idle for ${seconds(value[1])}`, value[2] ? "found cold" : "found warm") },
        series: [
          { type: "custom", renderItem: band, data: at(4), silent: true, tooltip: { show: false }, clip: true },
          { type: "line", data: at(3), showSymbol: false, silent: true, lineStyle: { color: colour("warm"), width: 1.5 } },
          {
            type: "scatter", symbolSize: 6, cursor: "default",
            data: data.steps.map((step) => ({
              value: [step[5], step[0], step[1]], symbol: step[1] ? "diamond" : "circle",
              itemStyle: { color: colour(step[1] ? "cold" : "warm") },
            })),
          },
        ],
      }, { notMerge: true });
    },

    compared(chart, data, colour) {
      const { axis, base, soft } = looks(colour);
      if (!data.points.length) { chart.clear(); return; }
      const LOOKS = {
        tried: { symbol: "rect", symbolSize: 7, shade: "mute", z: 3 }, none: { symbol: "rect", symbolSize: 9, shade: "mute", z: 4 },
        suggested: { symbol: "diamond", symbolSize: 15, shade: "cold", z: 5 }, now: { symbol: "circle", symbolSize: 14, shade: "warm", z: 6 },
      };
      const NAMED = { now: "as it is", suggested: "suggested", none: "no beats" };
      const told = (point) => point.told.flat();
      // An axis where 0.1 % and 50 % can both be read: all but linear up to that share, logarithmic from there, with a place for 0.
      const LINEAR = 0.001;
      const up = (part) => Math.log10(1 + part / LINEAR), down = (height) => LINEAR * (10 ** height - 1);
      const top = up(Math.max(1.3 * Math.max(...data.points.map((point) => point.cold)), LINEAR));
      const rungs = [0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1].map(up).filter((rung) => rung <= top);
      chart.setOption({
        ...base,
        grid: { ...base.grid, left: 52, right: 30, top: 24, bottom: 42 },
        xAxis: { ...axis, type: "value", min: 0, name: data.usd ? "cost of the beats, USD a day" : "beats a day", nameLocation: "middle", nameGap: 26, nameTextStyle: soft, axisLabel: { ...axis.axisLabel, formatter: data.usd ? usd : undefined } },
        yAxis: { ...axis, type: "value", min: 0, max: top, name: "calls found cold", nameTextStyle: { ...soft, align: "left", padding: [0, 0, 0, -44] }, axisLabel: { ...soft, customValues: rungs, formatter: (height) => `${+(down(height) * 100).toPrecision(1)} %` }, axisTick: { show: false, customValues: rungs }, splitLine: { show: false } },
        tooltip: { ...base.tooltip, formatter: ({ data: { point } }) => tip(NAMED[point.kind] ? `${point.name}, ${NAMED[point.kind]}` : point.name, "hours", point.hours, ...told(point)) },
        series: Object.entries(LOOKS).map(([kind, { shade, ...look }]) => ({
          ...look, type: "scatter", cursor: "default", clip: false,
          itemStyle: { color: colour(shade), borderColor: colour("card"), borderWidth: 1, opacity: 1 },
          label: { show: kind !== "tried", position: kind === "none" ? "right" : "top", formatter: NAMED[kind], ...font, color: colour("ink"), textBorderColor: colour("card"), textBorderWidth: 3 },
          labelLayout: { hideOverlap: false, moveOverlap: "shiftY" },
          data: data.points.filter((point) => point.kind === kind).map((point) => ({ value: [point.x, up(point.cold)], point })),
        })),
      }, { notMerge: true });
    },

    cost(chart, data, colour) {
      const { axis, base, soft } = looks(colour);
      const SHADES = ["warm", "cold", "mute", "third", "fourth", "fifth", "sixth", "line"];
      chart.setOption({
        ...base,
        grid: { ...base.grid, left: 56, bottom: data.stacks.length > 1 ? 52 : 24 },
        legend: { show: data.stacks.length > 1, type: "scroll", bottom: 0, itemWidth: 10, itemHeight: 10, textStyle: soft, pageTextStyle: soft, pageIconColor: colour("soft"), formatter: (name) => name.length > 34 ? `${name.slice(0, 33)}…` : name },
        xAxis: { ...axis, type: "category", data: data.days, splitLine: { show: false } },
        yAxis: { ...axis, type: "value", axisLabel: { ...axis.axisLabel, formatter: usd } },
        tooltip: { ...base.tooltip, formatter: ({ name, seriesName, value }) => tip(name, seriesName, usd(value)) },
        series: data.stacks.map((stack, index) => ({
          type: "bar", stack: "all", name: stack.name, data: stack.usd, cursor: "default", itemStyle: { color: colour(SHADES[index % SHADES.length]) },
        })),
      }, { notMerge: true });
    },
  };
})();
