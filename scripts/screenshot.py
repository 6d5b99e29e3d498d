"""Pictures of a running server's pages, for the README and for looking at one's own work.

python scripts/screenshot.py http://127.0.0.1:9490 docs/images
python scripts/screenshot.py http://127.0.0.1:9490 /tmp/shots --page /alerts --width 360 --dark
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

PAGES = {"overview": "/", "explore": "/explore?expr=up", "alerts": "/alerts", "targets": "/targets"}


def main() -> int:
    options = _options()
    chromium = options.chromium or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("No Chromium found: install the package `chromium`, or name one with --chromium.", file=sys.stderr)
        return 2
    pages = {_name(path): path for path in options.page} or {"overview": PAGES["overview"]}
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": options.width, "height": options.height},
            device_scale_factor=options.scale,
            color_scheme="dark" if options.dark else "light",
            extra_http_headers={"Authorization": f"Bearer {options.key}"} if options.key else {},
        )
        if options.font:
            style = f"document.documentElement.style.setProperty('--sans', {options.font!r})"
            context.add_init_script(f"document.addEventListener('readystatechange', () => {style})")
        page = context.new_page()
        page.on("console", lambda message: print(f"console: {message.text}") if message.type == "error" else None)
        for name, path in pages.items():
            try:
                page.goto(options.url.rstrip("/") + path)
            except Error as error:
                print(f"{options.url}{path} cannot be opened: {error}", file=sys.stderr)
                return 1
            page.wait_for_load_state("networkidle")
            file = options.folder / f"{name}.png"
            page.screenshot(path=file, full_page=options.full)
            print(file)
        browser.close()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("url", help="where the server answers")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--page", action="append", default=[], help="path with its query; may be repeated")
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--scale", type=float, default=1.0, help="device pixels for each pixel")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--full", action="store_true", help="the whole page, not only what fits the window")
    parser.add_argument("--font", default="", help="instead of the system's, such as 'Liberation Sans'")
    parser.add_argument("--key", default="", help="a key of the server, when it asks for one")
    parser.add_argument("--chromium", default="", help="path of the browser")
    return parser.parse_args()


def _name(path: str) -> str:
    known = {value: key for key, value in PAGES.items()}
    return known.get(path) or path.split("?")[0].strip("/").replace("/", "-") or "overview"


if __name__ == "__main__":
    sys.exit(main())
