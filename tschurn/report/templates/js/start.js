// The page begins: its parts in their order; then it can be used.

const setUp = () => {
  const main = document.querySelector("main");
  for (const setup of parts) setup(main);
};

if (remembered("theme")) root.dataset.theme = remembered("theme");
if (typeof DecompressionStream === "undefined") document.querySelector(".too-old").hidden = false;
else {
  setUp();
  if (remembered("language")) setLanguage(remembered("language")); // as this reader chose in another report
  plotly().then(() => {
    root.dataset.ready = "yes";
  });
}
