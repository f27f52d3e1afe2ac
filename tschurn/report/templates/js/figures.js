// Figures are drawn when they come near the screen, the others when the browser has nothing else to do.

const config = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false, doubleClick: "reset" };
const phone = window.matchMedia("(max-width: 620px)");
const drawn = new WeakMap(); // place → its figure as drawn
let library = null;
const plotly = () =>
  (library ??= unpack("plotly").then((code) => {
    document.head.append(element("script", { textContent: code }));
    return window.Plotly;
  }));

let printing = false; // paper is white
const isDark = () => {
  const scheme = getComputedStyle(root).colorScheme;
  return !printing && (scheme === "dark" || (scheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches));
};

// A copy in which `at` decides of every text; arrays of numbers are shared, since nothing here changes them.
const copied = (value, at) => {
  if (typeof value === "string") return at(value);
  // the steps of a colour scale are [number, colour]
  if (Array.isArray(value)) return typeof value[0] === "number" && typeof value.at(-1) !== "string" ? value : value.map((v) => copied(v, at));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, copied(v, at)]));
};

// [path, value] pairs put in their places, in a copy.
const worded = (figure, words) => {
  const copy = structuredClone(figure);
  for (const [path, value] of words) {
    let inside = copy;
    for (const key of path.slice(0, -1)) inside = inside[key];
    inside[path.at(-1)] = value;
  }
  return copy;
};

// name → what a part of the page makes of a figure before it is drawn: what was chosen there.
const adapted = new Map();
const figureOf = async (name) => {
  const { figures, words, template, colours } = await unpacked("figures");
  const language = root.lang;
  const plain = words[language]?.[name] ? worded(figures[name], words[language][name]) : figures[name];
  const dark = isDark();
  const coloured = (text) => (dark && colours[text.toLowerCase()]) || text;
  const figure = copied(plain, coloured);
  figure.layout.template = copied(template, coloured);
  // on a phone names are set smaller, so that the plot keeps its room, and dragging scrolls the page
  if (phone.matches) {
    figure.layout.font = { ...figure.layout.font, size: 10.5 };
    figure.layout.dragmode = false;
  }
  return (await adapted.get(name)?.(figure)) ?? figure;
};

const nameOf = (place) => place.id.replace("figure-", "");
const draw = async (place, figure = null) => {
  const [Plotly, found] = await Promise.all([plotly(), figure ?? figureOf(nameOf(place))]);
  if (!place.isConnected) return;
  drawn.set(place, found);
  await Plotly.react(place, found.data, found.layout, config);
};

// What is folded away has a place, but is not seen.
const shown = (place) => place.getClientRects().length > 0 && !place.closest("details:not([open])");
const waiting = () => [...document.querySelectorAll("main .plot")].filter((p) => !drawn.has(p) && shown(p));
const idle = window.requestIdleCallback ?? ((next) => setTimeout(next, 30));
let going = false;
const drawRest = () => {
  if (going) return;
  going = true;
  const next = async () => {
    const place = waiting()[0];
    if (place) {
      await draw(place);
      idle(next, { timeout: 200 });
    } else {
      going = false;
      root.dataset.drawn = "all";
    }
  };
  idle(next, { timeout: 200 });
};
const near = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries)
      if (isIntersecting) {
        near.unobserve(target);
        if (!drawn.has(target)) draw(target).then(drawRest);
      }
  },
  { rootMargin: "400px" },
);

part((main) => {
  root.dataset.drawn = "some";
  near.disconnect();
  for (const place of main.querySelectorAll(".plot")) near.observe(place);
  for (const details of main.querySelectorAll("details"))
    details.addEventListener("toggle", () => {
      for (const plot of details.querySelectorAll(".plot"))
        if (drawn.has(plot)) window.Plotly.Plots.resize(plot);
        else near.observe(plot);
      drawRest();
    });
  setTimeout(drawRest, 400); // what is near the screen goes first
});

const redraw = () => {
  for (const place of document.querySelectorAll(".plot")) if (drawn.has(place)) draw(place);
};

// Printing waits for nobody: what is not drawn yet is drawn at once, and everything unfolds but figures' data.
addEventListener("beforeprint", () => {
  const dark = isDark();
  printing = true;
  if (dark) redraw();
  for (const details of document.querySelectorAll("main details:not(.about)")) details.open = true;
  if (window.Plotly) for (const place of waiting()) draw(place);
});
addEventListener("afterprint", () => {
  printing = false;
  if (isDark()) redraw();
});

// --- the data of a figure -------------------------------------------------------------------------
const bare = (text) => new DOMParser().parseFromString(String(text).replace(/<br\s*\/?>/g, " "), "text/html").body.textContent;
const axisOf = (layout, reference, letter) => layout[`${letter}axis${(reference ?? letter).slice(1)}`] ?? {};
const titleOf = (axis, otherwise) => bare(axis.title?.text ?? "") || otherwise;
// A position on an axis → the name that stands there.
const named = (axis, value) => {
  const place = axis.tickvals?.indexOf(value) ?? -1;
  return place >= 0 && axis.ticktext ? bare(axis.ticktext[place]) : typeof value === "string" ? bare(value) : value;
};
// A figure → rows of its data with a head: one row per point, cell or link.
const rowsOf = ({ data, layout }) => {
  const rows = [];
  for (const [i, trace] of data.entries()) {
    const series = bare(trace.name ?? "") || String(i + 1);
    if (trace.type === "sankey") {
      const { source, target, value } = trace.link;
      source.forEach((from, k) => rows.push([series, bare(trace.node.label[from]), bare(trace.node.label[target[k]]), value[k]]));
      continue;
    }
    const [xs, ys] = [axisOf(layout, trace.xaxis, "x"), axisOf(layout, trace.yaxis, "y")];
    if (trace.z) {
      trace.z.forEach((line, r) => line.forEach((z, k) => {
        if (z !== null) rows.push([series, named(xs, trace.x?.[k] ?? k), named(ys, trace.y?.[r] ?? r), z]);
      }));
      continue;
    }
    const length = Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0);
    for (let k = 0; k < length; k += 1) {
      const text = Array.isArray(trace.text) ? bare(trace.text[k]) : "";
      rows.push([series, named(xs, trace.x?.[k] ?? k), named(ys, trace.y?.[k] ?? k), text]);
    }
  }
  const axes = [layout.xaxis ?? {}, layout.yaxis ?? {}];
  return [["series", titleOf(axes[0], "x"), titleOf(axes[1], "y"), "value"], ...rows];
};

const ROWS_SHOWN = 200;
const tableOf = ([head, ...rows]) => {
  const line = (tag, values) =>
    element("tr", {}, ...values.map((v) => element(tag, { textContent: typeof v === "number" ? write.brief(v) : v ?? "", className: typeof v === "number" ? "n" : "" })));
  return element("table", {}, element("thead", {}, line("th", head)), element("tbody", {}, ...rows.slice(0, ROWS_SHOWN).map((r) => line("td", r))));
};
part((main) => {
  for (const about of main.querySelectorAll("figure > details.about")) {
    const place = about.parentElement.querySelector(".plot");
    about.addEventListener("toggle", async () => {
      const into = about.querySelector(".scroll");
      if (!about.open || into.childElementCount) return;
      const rows = rowsOf(drawn.get(place) ?? (await figureOf(nameOf(place))));
      into.append(tableOf(rows));
      about.querySelector(".more").hidden = rows.length - 1 <= ROWS_SHOWN;
    });
    about.querySelector("button").addEventListener("click", async () =>
      saveTable(nameOf(place), rowsOf(drawn.get(place) ?? (await figureOf(nameOf(place))))));
  }
});

// --- which of several figures are shown -----------------------------------------------------------
part((main) => {
  for (const pick of main.querySelectorAll(".pick"))
    pick.addEventListener("change", ({ target }) => {
      const figure = main.querySelector(`[data-pick="${CSS.escape(target.value)}"]`);
      if (!figure) return;
      figure.hidden = !target.checked;
      drawRest();
    });
});
