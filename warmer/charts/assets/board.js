"use strict";
// Keeps a page of the daemon fresh, and does what its buttons say. The server renders; here only what has changed is put in place.
addEventListener("DOMContentLoaded", () => {
  const AT_MOST_EVERY = 2000, AT_LEAST_EVERY = 10000; // ms between two looks
  const live = document.getElementById("live");
  const tell = (text) => { if (live.textContent !== text) live.textContent = text; };

  const place = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    const data = old.querySelector(":scope > script"), freshData = fresh.querySelector(":scope > script");
    if (data && freshData) { // a chart: it is drawn anew where it stands
      old.querySelector("figcaption").replaceWith(fresh.querySelector("figcaption"));
      const chart = old.querySelector(".chart");
      chart.setAttribute("aria-label", fresh.querySelector(".chart").getAttribute("aria-label"));
      if (data.textContent !== freshData.textContent) {
        data.textContent = freshData.textContent;
        chart.dispatchEvent(new Event("retold"));
      }
      return;
    }
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.replaceWith(fresh);
    if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  const put = (old, fresh) => {
    if (old.dataset.live !== "rows") { place(old, fresh); return; }
    const rows = [...fresh.children];
    const same = rows.length === old.children.length && rows.every((row, index) => row.id === old.children[index].id);
    if (same) rows.forEach((row, index) => place(old.children[index], row));
    else place(old, fresh);
  };

  let looking = false, again = false, looked = performance.now(), timer = 0;
  const look = async () => {
    if (looking) { again = true; return; }
    looking = true;
    try {
      const reply = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (reply.ok) {
        const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
        for (const old of document.querySelectorAll("[data-live]")) {
          const one = fresh.getElementById(old.id);
          if (one) put(old, document.adoptNode(one));
        }
        document.body.dataset.looks = Number(document.body.dataset.looks || 0) + 1;
      } else tell(`not live: the daemon answers ${reply.status}`);
    } catch { tell("not live: the daemon does not answer"); }
    looking = false;
    looked = performance.now();
    if (again) { again = false; soon(); }
  };
  const soon = () => {
    if (timer || document.hidden) return;
    timer = setTimeout(() => { timer = 0; look(); }, Math.max(50, looked + AT_MOST_EVERY - performance.now()));
  };
  setInterval(() => { if (performance.now() - looked > AT_LEAST_EVERY) soon(); }, 1000);
  document.addEventListener("visibilitychange", soon);

  const events = new EventSource("/api/v1/events");
  events.onopen = () => { tell("live"); soon(); };
  events.onerror = () => tell(events.readyState === EventSource.CLOSED ? "not live: reload to try again" : "not live, trying again");
  events.onmessage = soon;

  // -- what may be asked for ----------------------------------------------------------------------------------------------------
  const ask = document.getElementById("ask"), done = document.getElementById("done");
  if (!ask) return;
  const TOKEN = "warmer-admin-token"; // in this tab alone, until it is closed
  const token = () => new Promise((resolve) => {
    const known = sessionStorage.getItem(TOKEN);
    if (known) { resolve(known); return; }
    const form = ask.querySelector("form");
    form.reset();
    ask.returnValue = "leave";
    ask.onclose = () => {
      const given = form.elements.token.value.trim();
      form.reset();
      if (ask.returnValue === "go" && given) sessionStorage.setItem(TOKEN, given);
      resolve(ask.returnValue === "go" && given ? given : null);
    };
    ask.showModal();
  });
  // What the daemon answers; null where nothing came of it, which `done` tells then.
  const send = async (path, kind, body) => {
    const shown = await token();
    if (!shown) { done.textContent = "Nothing was asked for."; return null; }
    try {
      const reply = await fetch(path, { method: "POST", body, headers: { Authorization: `Bearer ${shown}`, "Content-Type": kind } });
      const told = await reply.json();
      if (reply.status === 401) sessionStorage.removeItem(TOKEN);
      if (reply.ok) return told;
      done.textContent = `${told.error}: ${told.hint}`;
    } catch { done.textContent = "The daemon does not answer."; }
    return null;
  };
  const SAID = { pause: "Paused.", resume: "As the file says again.", warm: "Kept warm.", beat: "One beat is on its way." };
  const acts = document.getElementById("acts");
  acts?.addEventListener("click", async (event) => {
    const act = event.target.closest("button")?.dataset.act;
    if (!act) return;
    const asked = act === "warm" ? { for: acts.querySelector("[data-for]").value } : {};
    if (await send(`${acts.dataset.acts}/${act}`, "application/json", JSON.stringify(asked))) done.textContent = SAID[act];
    looked = 0;
    soon();
  });

  // -- a file that is tried -----------------------------------------------------------------------------------------------------
  const trial = document.getElementById("try");
  if (!trial) return;
  const text = document.getElementById("try-text"), found = document.getElementById("tried");
  // Names may come from anyone: text nodes, never markup.
  const make = (tag, ...within) => {
    const one = document.createElement(tag);
    one.append(...within);
    return one;
  };
  const list = (rows) => Object.assign(make("ul", ...rows), { className: "said card" });
  const usd = (value) => value === null ? "an unknown cost" : `$${+value >= 0.1 || !+value ? (+value).toFixed(2) : +(+value).toPrecision(2)}`;
  const day = (one) => one ? `${one.beats_per_day.toLocaleString("en")} beats and ${usd(one.cost_usd_per_day)} a day` : "";
  const course = (was, becomes) => was && becomes ? `${day(becomes)}, now ${day(was)}` : becomes ? day(becomes) : was ? `now ${day(was)}` : "";
  const edit = (one) => `${one.key}: ${one.was ?? "not there"} → ${one.becomes ?? "not there"}`;
  const tell_of = (told) => {
    if (told.faults.length) return [make("h2", `${told.faults.length === 1 ? "1 fault" : `${told.faults.length} faults`}: it would be refused`), list(told.faults.map((one) =>
      make("li", Object.assign(make("b", `line ${one.line}, column ${one.column}`), { className: "bad" }), `: ${one.problem}${one.hint ? ` (${one.hint})` : ""}`)))];
    const parts = [make("h2", told.restart ? "It would be refused while the daemon runs" : told.changes.length || told.file.length ? "It is right" : "It is right, and changes nothing")];
    const models = told.models === 1 ? "One model" : `All ${told.models} models`;
    if (told.restart) parts.push(make("p", told.restart));
    parts.push(make("p", told.then ? `${models}: ${course(told.now, told.then)}, in the mean of a week.` : `${models}. What they would send and cost is not known: ${told.why}.`));
    if (told.changes.length) parts.push(make("h3", "Models"), list(told.changes.map((one) => make("li",
      make("b", one.change), ` ${one.model}`, course(one.now, one.then) ? `: ${course(one.now, one.then)}` : "",
      Object.assign(make("small", one.edits.length ? one.edits.map(edit).join(" · ") : one.change === "changed" ? "by what is said for all models" : ""), {})))));
    if (told.file.length) parts.push(make("h3", "For all models"), list(told.file.map((one) => make("li", edit(one)))));
    return parts;
  };
  document.getElementById("try-file").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (!file) return;
    if (file.size > 1 << 20) { done.textContent = "That file is larger than 1 MiB."; return; }
    text.value = await file.text();
  });
  trial.addEventListener("submit", async (event) => {
    event.preventDefault();
    done.textContent = "It is being tried: some seconds.";
    found.hidden = true;
    const told = await send("/api/v1/config/try", "application/yaml", text.value);
    if (!told) return;
    done.textContent = "Tried. Nothing was put in force.";
    found.replaceChildren(...tell_of(told));
    found.hidden = false;
    found.focus();
  });
});
