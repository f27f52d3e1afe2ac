// How many can be contacted: a slider over the sizes of the list that report.json holds, and what follows from it.

let chosenSize = null; // kept when the language changes

// The points and the line of the chosen size, moved in a figure.
const atSize = (figure, capacity, at) => {
  const heights = [capacity.recall, capacity.stickers_share, capacity.money_share].filter((v) => v).map((v) => v[at]);
  const last = { ...figure.data.at(-1), x: heights.map(() => capacity.sizes[at]), y: heights };
  const [line] = figure.layout.shapes;
  const shapes = [{ ...line, x0: capacity.sizes[at], x1: capacity.sizes[at] }];
  return { data: [...figure.data.slice(0, -1), last], layout: { ...figure.layout, shapes } };
};
const nearest = (sizes, wanted) =>
  sizes.reduce((best, size, at) => (Math.abs(size - wanted) < Math.abs(sizes[best] - wanted) ? at : best), 0);

adapted.set("capacity", async (figure) => {
  const capacity = await unpacked("capacity");
  return atSize(figure, capacity, nearest(capacity.sizes, chosenSize ?? capacity.start));
});

part(async (main) => {
  const box = main.querySelector(".capacity");
  if (!box) return;
  const capacity = await unpacked("capacity");
  if (!box.isConnected) return;
  const [slider, number] = box.querySelectorAll("input");
  const place = main.querySelector("#figure-capacity");

  const tell = (at) => {
    const size = capacity.sizes[at];
    slider.value = at;
    slider.setAttribute("aria-valuetext", write.whole(size));
    for (const slot of box.querySelectorAll("[data-slot]")) {
      const values = slot.dataset.slot.split(".").reduce((inside, key) => inside[key], capacity);
      slot.textContent = write[slot.dataset.write](values[at]);
    }
    if (drawn.has(place)) draw(place, atSize(drawn.get(place), capacity, at));
    chosenSize = size;
    main.dispatchEvent(new CustomEvent("capacity", { detail: size }));
  };
  slider.addEventListener("input", () => {
    tell(Number(slider.value));
    number.value = chosenSize;
  });
  number.addEventListener("input", () => {
    if (Number(number.value) >= 1) tell(nearest(capacity.sizes, Number(number.value)));
  });
  number.addEventListener("change", () => {
    number.value = chosenSize; // a size that the page does not hold gives way to the nearest that it holds
  });
  tell(nearest(capacity.sizes, chosenSize ?? capacity.start));
  number.value = chosenSize;
  box.querySelector(".controls").hidden = false;
});
