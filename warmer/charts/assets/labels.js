"use strict";
// Names beside points: each where it hides no point, line or other name, in one list where points all but coincide.
// `points`: {x, y, name, size, always} in px, the important ones first. Those with `always` are named whatever it covers and share
// lists; the others are named where there is room. `lines`: lists of {x, y}. `frame`: {left, right, top, bottom} that names stay
// in. Returns for each point its name's text and size and how far its top left corner is from the point, or null.
const placeNames = (points, lines, frame, family) => {
  const NEAR = 14; // px between points that share a list
  const GAP = 9; // px from a point to its name
  const CORNER = 6; // px from a point to its name's corner
  const STEP = 8; // px between the places where a line is looked at
  const around = ({ x, y }, by) => ({ left: x - by, right: x + by, top: y - by, bottom: y + by });
  const covers = (one, other) =>
    one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
  const along = (from, to) => {
    const steps = Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / STEP);
    return Array.from({ length: steps }, (_, step) => around({
      x: from.x + (to.x - from.x) * step / steps, y: from.y + (to.y - from.y) * step / steps,
    }, 3));
  };

  const taken = [
    ...points.map((point) => around(point, 5)),
    ...lines.flatMap((line) => line.slice(1).flatMap((point, before) => along(line[before], point))),
  ];
  const names = points.map(() => null);
  const done = new Set();
  points.forEach((point, index) => {
    if (done.has(index)) return;
    const list = points.map((_, other) => other).filter((other) => other === index || (
      point.always && points[other].always && !done.has(other)
      && Math.hypot(points[other].x - point.x, points[other].y - point.y) <= NEAR));
    for (const other of list) done.add(other);
    const measured = list.map((other) => echarts.format.getTextRect(points[other].name, `${point.size}px ${family}`));
    const width = Math.max(...measured.map((one) => one.width)) + 4;
    const height = list.length * (point.size + 3);
    const left = Math.min(...list.map((other) => points[other].x)), right = Math.max(...list.map((other) => points[other].x));
    const top = Math.min(...list.map((other) => points[other].y)), bottom = Math.max(...list.map((other) => points[other].y));
    const x = (left + right - width) / 2, y = (top + bottom - height) / 2;
    const places = [
      [right + GAP, y], [right + CORNER, top - CORNER - height], [left - GAP - width, y],
      [left - CORNER - width, bottom + CORNER], [x, top - GAP - height], [x, bottom + GAP],
      [right + CORNER, bottom + CORNER], [left - CORNER - width, top - CORNER - height],
    ].map(([x, y]) => ({ left: x, top: y, right: x + width, bottom: y + height })).filter((one) =>
      one.left >= frame.left && one.right <= frame.right && one.top >= frame.top && one.bottom <= frame.bottom);
    const hidden = (one) => taken.filter((other) => covers(one, other)).length;
    const [best] = places.sort((one, other) => hidden(one) - hidden(other));
    if (!best || (!point.always && hidden(best))) return;
    taken.push(best);
    const text = list.map((other) => points[other].name).join("\n");
    names[index] = { x: best.left - point.x, y: best.top - point.y, text, size: point.size };
  });
  return names;
};
