"use strict";
// What heartbeats cost against who still waits, drawn on ECharts' `chart` from `data` (warmer/charts/backtest.py) in the page's
// colours.
const charts = {
  tradeoff(chart, data, colour) {
    const narrow = chart.getWidth() < 560;
    // An axis where 0.05 % and 30 % can both be read: all but linear up to that share, logarithmic from there, with a place for 0.
    const LINEAR = 0.0005;
    const up = (share) => Math.log10(1 + share / LINEAR);
    const down = (height) => LINEAR * (10 ** height - 1);
    const highest = Math.max(...[...data.points, ...data.curves.flatMap((curve) => curve.points)].map((point) => point.cold_share));
    const top = up(Math.max(1.3 * highest, LINEAR));
    const rungs = [0, 0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1].map(up).filter((rung) => rung <= top);

    const font = { fontFamily: "system-ui, sans-serif", fontSize: narrow ? 11 : 12 };
    const soft = { ...font, color: colour("soft") };
    const line = { lineStyle: { color: colour("line") } };
    const axis = { type: "value", min: 0, nameLocation: "middle", nameTextStyle: soft, axisLine: line, splitLine: line };
    const halo = { textBorderColor: colour("card"), textBorderWidth: 3 };
    const datum = (point) => ({ name: point.name, value: [point.x, up(point.cold_share)], told: point.told });
    const looks = {
      policy: { symbol: "circle", symbolSize: 11, itemStyle: { color: colour("warm"), borderColor: colour("card") } },
      reference: { symbol: "rect", symbolSize: 10, itemStyle: { color: colour("mute") } },
      yardstick: {
        symbol: "diamond", symbolSize: 14,
        itemStyle: { color: colour("card"), borderColor: colour("cold"), borderWidth: 2 },
      },
    };
    const series = [
      ...Object.entries(looks).map(([kind, look]) => ({
        ...look, type: "scatter", z: 4, itemStyle: { ...look.itemStyle, opacity: 1 },
        points: data.points.filter((point) => point.kind === kind),
        named: (point) => ({ name: point.name, size: font.fontSize, always: true }),
        label: { ...font, ...halo, color: colour("ink") },
      })),
      ...data.curves.map((curve, index) => ({
        type: "line", z: 3, symbol: "circle", symbolSize: 5, points: curve.points,
        named: (point) => ({
          name: `${point === curve.points.at(-1) ? `${curve.name}, ` : ""}K ${point.worth}`, size: 10, always: false,
        }),
        lineStyle: { width: 2, type: index ? "dashed" : "solid" },
        color: colour(index ? "mute" : "warm"),
        label: { ...soft, ...halo, fontSize: 10, color: colour(index ? "mute" : "warm") },
      })),
    ].map(({ points, named, ...drawn }) => ({
      ...drawn, cursor: "default", data: points.map(datum), points, named, clip: false,
    }));
    // Names may come from anyone: text nodes, never markup.
    const told = (one) => {
      const tip = document.createElement("div");
      tip.className = "tip";
      tip.append(Object.assign(document.createElement("b"), { textContent: one.name }));
      for (const cell of one.data.told.flat()) {
        tip.append(Object.assign(document.createElement("span"), { textContent: cell }));
      }
      return tip;
    };
    const plain = ({ points, named, ...drawn }) => drawn;
    chart.setOption({
      animation: false,
      backgroundColor: colour("card"),
      aria: { enabled: true, label: { description: data.description } },
      grid: { left: 50, right: 20, top: 12, bottom: 48 },
      tooltip: { trigger: "item", confine: true, formatter: told, backgroundColor: colour("card"), borderColor: colour("line") },
      xAxis: {
        ...axis, name: data.x_name, nameGap: 30,
        axisLabel: { ...soft, hideOverlap: true, formatter: data.in_usd ? "${value}" : (share) => `${+(share * 100).toPrecision(3)} %` },
      },
      yAxis: {
        ...axis, max: top, name: "cold requests", nameGap: 44,
        axisLabel: { ...soft, customValues: rungs, formatter: (height) => `${+(down(height) * 100).toPrecision(1)} %` },
        axisTick: { customValues: rungs },
      },
      series: series.map(plain),
    }, { notMerge: true });

    // Where the points came to lie is known now, so they can be named.
    const pixels = ({ points }, seriesIndex) => points.map((point) => {
      const [x, y] = chart.convertToPixel({ seriesIndex }, datum(point).value);
      return { x, y };
    });
    const at = series.map(pixels);
    const all = series.flatMap((one, index) => one.points.map((point, which) => ({ ...at[index][which], ...one.named(point) })));
    const [left, bottom] = chart.convertToPixel({ seriesIndex: 0 }, [0, 0]);
    const frame = { left: left + 2, right: chart.getWidth() - 2, top: 2, bottom: bottom - 2 };
    const lines = at.filter((_, index) => series[index].type === "line");
    const names = placeNames(all, lines, frame, font.fontFamily);
    chart.setOption({ series: series.map((one) => ({
      data: one.points.map((point) => {
        const name = names.shift(), half = one.symbolSize / 2; // a label's place is told from its symbol's corner
        return { ...datum(point), label: name
          ? { show: true, formatter: () => name.text, lineHeight: name.size + 3, align: "left", verticalAlign: "top",
              position: [name.x + half, name.y + half] }
          : { show: false } };
      }),
    })) });
  },
};
