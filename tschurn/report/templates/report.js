// Figure data in <script type="application/json" data-figure> → drawn figures; the contents follow the scroll.
"use strict";
(() => {
  const narrow = window.matchMedia("(max-width: 620px)");
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: false,
    scrollZoom: false,
    doubleClick: "reset",
  };

  // On a phone names are set smaller, so that the plot keeps its room; dragging scrolls the page.
  const fit = (figure) => {
    if (!narrow.matches) return figure;
    figure.layout.font = Object.assign({}, figure.layout.font, { size: 10.5 });
    figure.layout.dragmode = false;
    return figure;
  };

  const queue = [...document.querySelectorAll("script[data-figure]")];
  const next = () => {
    const source = queue.shift();
    if (!source) {
      document.documentElement.dataset.drawn = "all";
      return;
    }
    const place = document.getElementById("figure-" + source.dataset.figure);
    if (!place) return next();
    const figure = fit(JSON.parse(source.textContent));
    window.Plotly.newPlot(place, figure.data, figure.layout, config).then(() => setTimeout(next, 0));
  };
  next();

  for (const details of document.querySelectorAll("details"))
    details.addEventListener("toggle", () => {
      for (const plot of details.querySelectorAll(".plot")) if (plot.data) window.Plotly.Plots.resize(plot);
    });

  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    for (const plot of document.querySelectorAll(".plot")) if (plot.data) window.Plotly.Plots.resize(plot);
  });

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) {
          for (const a of links.values()) a.removeAttribute("aria-current");
          links.get(entry.target.id).setAttribute("aria-current", "true");
        }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) seen.observe(section);
  }
})();
