"""Size, building and opening of the report, side by side with other tools' pages on as many windows; prints Markdown.

    python benchmarks/report.py [RUN] [--windows 2500,40000,1000000] [--repeats 3] [--limit 600] [--only NAME ...]

RUN: a finished run, reports/complete_journey/latest if none is given. Its users are drawn or copied until it has so
many windows (report_worker.py). The other tools get a table of the same windows, each tool in an environment of its
own that is made in FOLDER; a page that is not there after --limit seconds or in --memory GiB is said to be so. Every
page is built in a process of its own and opened in a new profile of Chromium, from a file and without network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from tables import head, row

HERE = Path(__file__).resolve().parent
RUN = HERE.parent / "reports" / "complete_journey" / "latest"
OURS = "tschurn"
PAGES = {
    OURS: "**tschurn**",
    "explainerdashboard": "explainerdashboard, static export",
    "profiling": "fg-data-profiling",
    "profiling_minimal": "fg-data-profiling, minimal",
}
SMALL = {"profiling": 40_000}  # up to so many windows; it names minimal itself as the way for more
ENVIRONMENTS = {
    "explainerdashboard": ("explainerdashboard==0.5.8", "lightgbm==4.7.0", "pyarrow==26.0.1"),
    "profiling": ("fg-data-profiling==4.20.0", "pyarrow==26.0.1"),
}
PATIENCE_MS = 120_000
# When the page says that it is ready and that all is drawn; what the browser itself knows of its paints.
LISTEN = """
globalThis.told = {};
const tell = (root) => new MutationObserver(() => {
  for (const name of ["ready", "drawn"])
    if (["yes", "all"].includes(root.dataset[name])) told[name] ??= performance.now();
}).observe(root, { attributeFilter: ["data-ready", "data-drawn"] });
if (document.documentElement) tell(document.documentElement);
else new MutationObserver((_, self) => {
  if (document.documentElement) { self.disconnect(); tell(document.documentElement); }
}).observe(document, { childList: true });
new PerformanceObserver((list) => { for (const paint of list.getEntries()) told[paint.name] = paint.startTime; })
  .observe({ type: "paint", buffered: true });
"""
TOLD = """({ first: told["first-contentful-paint"], ready: told.ready, drawn: told.drawn,
             load: performance.getEntriesByType("navigation")[0].loadEventEnd })"""


@dataclass
class Bench:
    """The options, where things are kept, and why a page is not there."""

    run: Path
    folder: Path
    repeats: int
    limit: int
    memory: int
    threads: int
    missing: dict[tuple[str, int], str] = field(default_factory=dict)

    def tables(self, windows: int) -> dict[str, Any]:
        """The tables of so many windows, in a folder of their own → how many there are, and the folder."""
        at = self.folder / f"report_{windows}"
        shutil.rmtree(at, ignore_errors=True)
        at.mkdir(parents=True)
        return {"folder": at} | self._process([sys.executable, "report_worker.py", "tables", self.run, windows, at])

    def built(self, page: str, size: dict[str, Any]) -> dict[str, Any]:
        """One page, once → seconds, mib, and the file; or `missing`, why it is not there."""
        at = size["folder"]
        if page == OURS:
            return {"file": at / "index.html"} | self._process([sys.executable, "report_worker.py", "build", at])
        python, out = self._environment(page.partition("_")[0]), at / f"{page}.html"
        if not isinstance(python, Path):
            return python
        task = {"page": page, "windows": str(at / "windows.parquet"), "out": str(out), "threads": self.threads,
                "memory": self.memory << 30}  # fmt: skip
        return {"file": out} | self._process([python, "report_peers.py", json.dumps(task)])

    def _process(self, command: list[Any]) -> dict[str, Any]:
        """What a process prints last, as JSON; `missing` where it ended otherwise or not in time."""
        pools = {f"{pool}_NUM_THREADS": str(self.threads) for pool in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")}
        try:
            done = subprocess.run(
                list(map(str, command)), cwd=HERE, env=os.environ | pools, capture_output=True, text=True,
                timeout=self.limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"missing": f"not done after {self.limit} s"}
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return {"missing": f"ended with {done.returncode}: {last[:150]}"}
        return json.loads(done.stdout.strip().splitlines()[-1])

    def _environment(self, name: str) -> Path | dict[str, str]:
        """The Python in which a tool is installed, made at the first call; `missing` where that failed."""
        at = self.folder / "environments" / name
        python, finished = at / "bin" / "python", at / ".finished"
        if not finished.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", at], check=True)
            done = subprocess.run(
                [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *ENVIRONMENTS[name]],
                capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode:
                return {"missing": f"not installed: {done.stderr.strip().splitlines()[-1][:150]}"}
            finished.touch()
        return python


def opened(browser: Browser, file: Path, ours: bool = False) -> dict[str, Any]:
    """A page → seconds from the start of navigation to first, ready, drawn and load; how many requests to a network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.add_init_script(LISTEN)
    page.goto(file.as_uri(), timeout=PATIENCE_MS)
    if ours:
        page.locator('html[data-drawn="all"]').wait_for(state="attached", timeout=PATIENCE_MS)
    page.wait_for_timeout(200)  # the last paint is told a little later
    told = page.evaluate(TOLD)
    context.close()
    foreign = [a for a in asked if not a.startswith(("file:", "data:", "blob:"))]
    return {name: None if ms is None else ms / 1000 for name, ms in told.items()} | {"asked": len(foreign)}


def measured(bench: Bench, browser: Browser, windows: int, pages: list[str]) -> None:
    """One size: all pages in turn, built and opened."""
    size = bench.tables(windows)
    if "missing" in size:
        sys.exit(f"no tables of {windows:,} windows: {size['missing']}")
    found: dict[str, list[dict[str, Any]]] = {page: [] for page in pages}
    for _ in range(bench.repeats):
        for page in pages:
            if (page, windows) in bench.missing:
                continue
            result = bench.built(page, size)
            if "missing" in result:
                bench.missing[page, windows] = result["missing"]
                continue
            result |= opened(browser, result["file"], page == OURS)
            found[page].append(result)
            print(f"{page:<20} {windows:>9,} {result['seconds']:8.2f} s {result['mib']:8,.0f} MiB", file=sys.stderr)
    print(f"\n### {size['windows']:,} windows of {size['users']:,} users ({size['peers']:,} closed, for the others)\n")
    head("page", "MB", "build s", "÷ tschurn", "peak MiB", "first paint s", "usable s", "÷ tschurn", "all drawn s",
         "requests", "n")  # fmt: skip
    for page in pages:
        runs = found[page]
        if not runs:
            print(f"| {PAGES[page]} | {bench.missing.get((page, windows), '–')} |" + " |" * 9)
            continue
        usable = {p: [r["ready"] or r["load"] for r in found[p]] for p in (page, OURS)}
        megabytes = runs[0]["file"].stat().st_size / 1e6
        row(
            PAGES[page], f"{megabytes:.2f}", _spread(_of(runs, "seconds")),
            _ratio(_of(runs, "seconds"), _of(found[OURS], "seconds")), f"{max(_of(runs, 'mib')):,.0f}",
            _spread(_of(runs, "first")), _spread(usable[page]), _ratio(usable[page], usable[OURS]),
            _spread(_of(runs, "drawn")), max(_of(runs, "asked")), len(runs),
        )  # fmt: skip
    sys.stdout.flush()


def _of(runs: list[dict[str, Any]], name: str) -> list[Any]:
    return [r[name] for r in runs]


def _spread(values: list[float | None]) -> str:
    """Median (least–most); a dash where the page does not say."""
    if not values or None in values:
        return "–"
    around = f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else ""
    return f"{statistics.median(values):.2f}{around}"


def _ratio(values: list[float], ours: list[float]) -> str:
    """Median of the rounds' ratios."""
    return f"{statistics.median(a / b for a, b in zip(values, ours, strict=False)):.1f}" if values and ours else "–"


def main(options: argparse.Namespace) -> None:
    """Print a table for each size."""
    if not (options.run / "manifest.json").exists():
        sys.exit(f"no finished run in {options.run}; `make experiment EXPERIMENT=complete_journey` makes one")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium found (Debian: apt-get install chromium)")
    bench = Bench(
        options.run.resolve(), options.folder, options.repeats, options.limit, options.memory, options.threads
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--disable-gpu"])
        names = ("numpy", "pandas", "plotly", "jinja2")
        print(f"Python {platform.python_version()}, {', '.join(f'{n} {version(n)}' for n in names)}; Chromium "
              f"{browser.version}; {', '.join(wheels[0] for wheels in ENVIRONMENTS.values())}; {os.cpu_count()} cores, "
              f"{bench.threads} threads each; limits: {bench.limit} s; the others {bench.memory} GiB.")  # fmt: skip
        blank = options.folder / "blank.html"
        options.folder.mkdir(parents=True, exist_ok=True)
        blank.write_text("<!doctype html><title>blank</title>")
        opened(browser, blank)  # what a browser does only once is not counted
        for windows in map(int, options.windows.split(",")):
            wanted = [p for p in PAGES if not options.only or p in options.only or p == OURS]
            measured(bench, browser, windows, [p for p in wanted if windows <= SMALL.get(p, windows)])
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", type=Path, default=RUN, help="a finished run's folder")
    parser.add_argument("--windows", default="2500,40000,1000000")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=int, default=600, help="seconds for one page")
    parser.add_argument("--memory", type=int, default=12, help="GiB of address space for a page of another tool")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", action="append", default=[], choices=PAGES, metavar="NAME", help=", ".join(PAGES))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tschurn-benchmarks",
                        help="where tables, pages and environments are kept from one run to the next")  # fmt: skip
    main(parser.parse_args())
