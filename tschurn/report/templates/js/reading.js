// How the page is read: its language, light or dark, and where the reader is.

const remembered = (key, value) => {
  try {
    if (value !== undefined) localStorage.setItem(`tschurn-${key}`, value);
    return localStorage.getItem(`tschurn-${key}`);
  } catch {
    return null; // a browser may forbid a file to remember anything
  }
};

const setTheme = (theme) => {
  root.dataset.theme = theme;
  remembered("theme", theme);
  redraw();
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

// The place of reading: the section at the top of the screen, and how far into it.
const placeOfReading = () => {
  const sections = [...document.querySelectorAll("main > header, main > section")];
  const section = sections.findLast((s) => s.getBoundingClientRect().top <= 1) ?? sections[0];
  const { top, height } = section.getBoundingClientRect();
  return { id: section.id, share: height ? -top / height : 0 };
};
const goTo = ({ id, share }) => {
  const { top, height } = document.getElementById(id).getBoundingClientRect();
  scrollBy({ top: top + share * height, behavior: "instant" });
};

const setLanguage = async (language) => {
  const page = (await unpacked("pages"))[language];
  if (language === root.lang || !page) return;
  const { title, body } = page;
  const here = placeOfReading();
  root.lang = language;
  document.title = title;
  // our own template, in which every name from the log was escaped
  document.querySelector(".page").innerHTML = body;
  remembered("language", language);
  setUp();
  goTo(here); // once all is folded as it was
};

// Parts for those who want to know more unfold; without a script, and in print, they stand open.
part((main) => {
  for (const heading of main.querySelectorAll("section > h3[data-fold]")) {
    const content = [];
    for (let next = heading.nextElementSibling; next && !next.matches("h2, h3:not(.target)"); next = next.nextElementSibling) content.push(next);
    const details = element("details", { className: "dig" });
    heading.before(details);
    details.append(element("summary", {}, heading), ...content);
  }
});

let seen = null;
part((main) => {
  const tools = document.querySelector(".tools");
  for (const button of tools.querySelectorAll("button[data-language]"))
    button.addEventListener("click", () => setLanguage(button.dataset.language));
  tools.querySelector("button[data-theme-switch]").addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  seen?.disconnect();
  seen = new IntersectionObserver(
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
    const section = main.querySelector(`#${CSS.escape(id)}`);
    if (section) seen.observe(section);
  }
});
