// The users one by one: searched, filtered, sorted, paged, opened, and saved as they stand.
// The words are in the page, in its language; the data block "users" holds what does not depend on it, or both.

const ROWS_A_PAGE = 25;
// How the list is read; kept when the language changes.
const reading = {
  search: "", segment: "", reason: "", called: false, sort: "rank", direction: "ascending", page: 0, open: null,
};
const targetsOf = (data) => ["churn", "sticker"].filter((target) => data[`p_${target}`].some((p) => p !== null));

// --- which users, in which order ------------------------------------------------------------------
const collator = new Intl.Collator("en", { numeric: true });
// What one column is sorted by; texts and numbers, null where there is nothing.
const keyOf = (data, column) => {
  if (column === "segment") return (i) => data.segment[i];
  if (column === "reason") return (i) => firstReason(data, i);
  return (i) => data[column][i];
};
const compare = (a, b) =>
  typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
const sorted = (data, places) => {
  const key = keyOf(data, reading.sort);
  const sign = reading.direction === "ascending" ? 1 : -1;
  // what is not known stands last either way, and equal ones keep the order of the list
  return places.toSorted((i, k) => {
    const [a, b] = [key(i), key(k)];
    if (a === null || b === null) return (a === null) - (b === null) || i - k;
    return sign * compare(a, b) || i - k;
  });
};
const featuresOf = (data, i) =>
  ["churn", "sticker"].flatMap((target) => (data.reasons[target]?.rows[i] ?? []).filter((_, k) => k % 3 === 0));
const fits = (data) => {
  const wanted = reading.search.trim().toLowerCase();
  const segment = data.segments.indexOf(reading.segment);
  const feature = data.reasons.features.indexOf(reading.reason);
  return (i) =>
    (!wanted || String(data.id[i]).toLowerCase().includes(wanted)) &&
    (segment < 0 || data.segment[i] === segment) &&
    (feature < 0 || featuresOf(data, i).includes(feature)) &&
    (!reading.called || (data.call[i] !== null && data.call[i] <= chosenSize));
};
const chosenUsers = (data) => sorted(data, [...data.id.keys()].filter(fits(data)));

// Per user and target: [feature, sentence, contribution] by weight.
const reasonsOf = (data, target, i) => {
  const row = data.reasons[target]?.rows[i] ?? [];
  return Array.from({ length: row.length / 3 }, (_, k) => row.slice(3 * k, 3 * k + 3));
};
const sentence = (data, place) => data.reasons.sentences[root.lang][place];
const firstReason = (data, i) => {
  const [found] = reasonsOf(data, "churn", i);
  return found ? sentence(data, found[1]) : null;
};

// --- words -----------------------------------------------------------------------------------------
// A copy of a word of the page, with its gaps filled.
const word = (words, name, gaps = {}) => {
  const copy = words.querySelector(`[data-word="${CSS.escape(name)}"]`).cloneNode(true);
  for (const [gap, value] of Object.entries(gaps)) fill(copy, gap, value);
  return copy;
};
const fill = (within, gap, value) => {
  for (const place of within.querySelectorAll(`[data-gap="${gap}"]`)) place.textContent = value;
};
const unusual = (data, words, i) => {
  if (!data.unusual[i]) return word(words, "unknown");
  const [measure, direction, times, value, expected] = data.unusual[i];
  const numbers = { value: write.whole(value), expected: write.brief(expected), times: write.whole(times) };
  return word(words, times >= NOTABLE ? direction : "usual", { measure: word(words, measure).textContent, ...numbers });
};
const NOTABLE = 5; // as in the list: once in so many weeks is more than usual
const alone = (data, i) => (data.holdout[i] ? "holdout" : data.call[i] === null ? "resting" : null);

// --- the table -------------------------------------------------------------------------------------
const ofInterval = (data, name, i) => {
  const ends = [data[`${name}_low`][i], data[`${name}_high`][i]];
  return ends.includes(null) ? [] : [element("small", { textContent: ends.map(write.score).join("–") })];
};
const userRow = (data, words, segments, columns, i) => {
  const button = element("button", { type: "button", textContent: data.id[i] });
  button.dataset.user = i;
  button.setAttribute("aria-expanded", String(reading.open === i));
  const mark = alone(data, i) ? [word(words, alone(data, i))] : [];
  const cells = {
    rank: () => element("td", { className: "n", textContent: write.whole(data.rank[i]) }),
    id: () => element("th", { scope: "row", className: "name" }, button, ...mark),
    segment: () => element("td", {}, element("i", { className: `dot ${data.segments[data.segment[i]]}` }), segments[data.segment[i]]),
    recency: () => element("td", { className: "n", textContent: write.whole(data.recency[i]) }),
    reason: () => element("td", { className: "reasons", textContent: firstReason(data, i) ?? "–" }),
  };
  const number = (name) => () =>
    element("td", { className: "n" }, (name.startsWith("p") ? write.score : write.brief)(data[name][i]),
      ...(name.startsWith("p_") ? ofInterval(data, name, i) : []));
  return element("tr", {}, ...columns.map((name) => (cells[name] ?? number(name))()));
};

const detailsRow = (data, main, columns, i) => {
  const words = main.querySelector("template[data-words]").content;
  const box = main.querySelector("template[data-details]").content.cloneNode(true);
  const facts = {
    segment: main.querySelector(`#users-segment option[value="${data.segments[data.segment[i]]}"]`).textContent,
    value_at_risk: write.brief(data.value_at_risk[i]),
    firm: word(words, `firm-${data.firm[i] ?? "alone"}`).textContent,
    action: alone(data, i) ? word(words, alone(data, i)) : data.action[i] ?? "–",
    unusual: unusual(data, words, i),
  };
  for (const [name, value] of Object.entries(facts)) box.querySelector(`[data-fact="${name}"]`)?.append(value);
  for (const why of box.querySelectorAll("[data-why]")) fillWhy(data, why, why.dataset.why, i);
  return element("tr", { className: "opened" }, element("td", { colSpan: columns.length }, box));
};
const fillWhy = (data, why, target, i) => {
  const found = reasonsOf(data, target, i);
  const most = Math.max(...found.map(([, , weight]) => weight));
  const list = why.querySelector(".reasons");
  for (const [, place, weight] of found) {
    const bar = element("i");
    bar.style.setProperty("--size", (100 * Math.max(weight, 0)) / most);
    list.append(element("li", {}, sentence(data, place), element("span", { className: "push" }, bar, write.signed(weight))));
  }
  list.hidden = !found.length;
  why.querySelector(".none").hidden = found.length > 0;
  why.querySelector(".doubt").hidden = data.reasons[target]?.reliable[i] !== false;
  const days = data.days[target]?.rows[i];
  if (!days) return;
  const widest = Math.max(...days.map(Math.abs)) || 1;
  days.forEach((value, k) => {
    const bar = element("i", { className: value < 0 ? "less" : "more" });
    bar.style.setProperty("--size", (100 * Math.abs(value)) / widest);
    why.querySelector(".days tbody").append(element("tr", {},
      element("th", { scope: "row", textContent: data.days[target].labels[root.lang][k] }),
      element("td", { className: "bar-cell" }, bar),
      element("td", { className: "n", textContent: points(value) })));
  });
  why.querySelector(".days").hidden = false;
};

const points = (value) =>
  Math.abs(value) < 0.0005 ? "0%" : `${value < 0 ? MINUS : "+"}${write.share(Math.abs(value))}`;

// --- the figure of the opened user ---------------------------------------------------------------
adapted.set("user-timeline", async (figure) => {
  const data = await unpacked("users");
  const i = reading.open;
  if (i === null) return figure;
  const { past } = data;
  const days = Array.from({ length: past.length }, (_, k) =>
    new Date(Date.parse(past.first) + k * 86_400_000).toISOString().slice(0, 10));
  const filled = (trace) => {
    if (["own", "received", "stickers"].includes(trace.meta)) return { ...trace, y: past[trace.meta][i] };
    const [target, now] = trace.meta.split("-");
    if (now) {
      const [p, low, high] = ["", "_low", "_high"].map((end) => data[`p_${target}${end}`][i]);
      const error = { ...trace.error_y, array: [high === null ? 0 : high - p], arrayminus: [low === null ? 0 : p - low] };
      return { ...trace, y: [p], error_y: error };
    }
    const known = past[target] ? past.anchors.map((day, k) => [days[day], past[target][i][k], past.learned[i][k]]) : [];
    const symbol = known.map(([, , learned]) => (learned === "1" ? "circle-open" : "circle"));
    return { ...trace, x: known.map(([day]) => day), y: known.map(([, p]) => p), marker: { ...trace.marker, symbol } };
  };
  return { ...figure, data: figure.data.map(filled) };
});

// --- the part ---------------------------------------------------------------------------------------
part(async (main) => {
  const box = main.querySelector(".explorer");
  if (!box) return;
  const data = await unpacked("users");
  if (main.querySelector(".capacity")) await unpacked("capacity");
  if (!box.isConnected) return;
  const words = main.querySelector("template[data-words]").content;
  const body = box.querySelector("table.users > tbody");
  const heads = [...box.querySelectorAll("[data-sort]")];
  const columns = heads.map((head) => head.dataset.sort);
  const options = [...box.querySelectorAll("#users-segment option")];
  const segments = data.segments.map((code) => options.find((option) => option.value === code).textContent);
  let chosen = [];

  const show = () => {
    const pages = Math.max(1, Math.ceil(chosen.length / ROWS_A_PAGE));
    reading.page = Math.min(reading.page, pages - 1);
    const start = reading.page * ROWS_A_PAGE;
    const rows = chosen.slice(start, start + ROWS_A_PAGE);
    body.replaceChildren(...rows.flatMap((i) => {
      const row = userRow(data, words, segments, columns, i);
      return i === reading.open ? [row, detailsRow(data, main, columns, i)] : [row];
    }));
    const place = body.querySelector(".plot");
    if (place) draw(place);
    for (const head of heads) {
      if (head.dataset.sort === reading.sort) head.closest("th").setAttribute("aria-sort", reading.direction);
      else head.closest("th").removeAttribute("aria-sort");
    }
    const gaps = { found: chosen.length, start: start + 1, end: start + rows.length, shown: data.id.length, first: data.first };
    for (const [gap, value] of Object.entries(gaps)) fill(box, gap, write.whole(value));
    box.querySelector('[data-count="some"]').hidden = !chosen.length;
    box.querySelector('[data-count="none"]').hidden = chosen.length > 0;
    for (const button of box.querySelectorAll("[data-page]"))
      button.disabled = reading.page + Number(button.dataset.page) < 0 || reading.page + Number(button.dataset.page) >= pages;
  };
  const choose = (change = {}) => {
    Object.assign(reading, change);
    chosen = chosenUsers(data);
    show();
  };

  // what stands in the fields, from before a change of language
  const fields = { search: "#users-search", segment: "#users-segment", reason: "#users-reason", called: "#users-called" };
  const field = (name) => box.querySelector(fields[name]);
  const counts = data.reasons.features.map(() => 0);
  for (const i of data.id.keys()) for (const feature of new Set(featuresOf(data, i))) counts[feature] += 1;
  const byCount = [...counts.keys()].toSorted((a, b) => counts[b] - counts[a] || a - b);
  field("reason").append(...byCount.map((feature) =>
    element("option", {
      value: data.reasons.features[feature],
      textContent: `${data.reasons.labels[root.lang][feature]} (${write.whole(counts[feature])})`,
    })));
  const restore = () => {
    for (const name of ["search", "segment", "reason"]) field(name).value = reading[name];
    if (field("called")) field("called").checked = reading.called;
  };
  restore();
  fill(box, "size", write.whole(chosenSize));
  for (const name of ["search", "segment", "reason"])
    field(name).addEventListener("input", () => choose({ [name]: field(name).value, page: 0 }));
  field("called")?.addEventListener("input", () => choose({ called: field("called").checked, page: 0 }));
  box.querySelector("[data-clear]").addEventListener("click", () => {
    choose({ search: "", segment: "", reason: "", called: false, page: 0 });
    restore();
  });
  main.addEventListener("capacity", () => {
    fill(box, "size", write.whole(chosenSize));
    if (reading.called) choose({ page: 0 });
  });
  for (const head of heads)
    head.addEventListener("click", () => {
      const again = reading.sort === head.dataset.sort;
      const direction = again ? (reading.direction === "ascending" ? "descending" : "ascending") : head.dataset.first;
      choose({ sort: head.dataset.sort, direction, page: 0 });
    });
  for (const button of box.querySelectorAll("[data-page]"))
    button.addEventListener("click", () => {
      reading.page += Number(button.dataset.page);
      show();
      box.querySelector("table").scrollIntoView({ block: "start" });
    });
  body.addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-user]");
    if (!button) return;
    const i = Number(button.dataset.user);
    reading.open = reading.open === i ? null : i;
    show();
    body.querySelector(`button[data-user="${i}"]`).focus({ preventScroll: true });
  });
  box.querySelector("[data-save]").addEventListener("click", () => saveTable("users", savedRows(data, words, segments, chosen)));

  box.querySelector(`[data-held="${data.id.length < data.scored ? "part" : "all"}"]`).hidden = false;
  main.querySelector(".without").hidden = true;
  box.hidden = false;
  choose();
});

// --- the file ---------------------------------------------------------------------------------------
const savedRows = (data, words, segments, chosen) => {
  const heads = [...words.querySelectorAll("[data-csv]")];
  const text = (name) => (name ? word(words, name).textContent : null);
  const cells = {
    user: (i) => data.id[i],
    segment: (i) => segments[data.segment[i]],
    alone: (i) => text(alone(data, i)),
    action: (i) => data.action[i],
  };
  const reason = (name) => {
    const [target, place] = name.split("-");
    return (i) => {
      const found = reasonsOf(data, target, i)[Number(place)];
      return found ? sentence(data, found[1]) : null;
    };
  };
  const column = (name) => cells[name] ?? (name.includes("-") ? reason(name) : (i) => data[name][i]);
  const columns = heads.map((head) => column(head.dataset.csv));
  return [heads.map((head) => head.textContent), ...chosen.map((i) => columns.map((of) => of(i)))];
};
