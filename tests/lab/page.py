"""The daemon's page in Chromium, with a run's data: `page.py AXE_JS [PICTURES]`.

Each view renders with an empty console and asks nobody but its origin; what happens is seen without a reload; buttons
do what they say with the token and nothing without; axe finds nothing serious, light, dark and at a phone's width. With
PICTURES, a folder, screenshots go there. Fails at the first thing that is not so.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright
from staged import NOW, TOKEN, file_at, past, recorded, served

from warmer import log

CHROMIUM = "/usr/bin/chromium"
HOURS = 1.5
"""Of a past that is played before: enough for every chart to have something."""
VIEWS = {"models": "/", "model": "/models/stability-ai/sdxl", "money": "/money", "events": "/events", "try": "/try"}
WIDE, PHONE = {"width": 1240, "height": 800}, {"width": 390, "height": 844}
PATIENCE_MS = 30_000


async def opened(browser: Browser, url: str, **more: Any) -> Page:
    """A page that fails where its console says anything, or where it asks somebody else."""
    page = await (await browser.new_context(**more)).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda said: fail(f"console: {said.text}") if is_trouble(said.type, said.text) else None)
    page.on("pageerror", lambda error: fail(f"error: {error}"))
    page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else fail(f"asked {asked.url}"))
    return page


def is_trouble(kind: str, text: str) -> bool:
    """Of a refused beat, which may be, Chromium says so by itself."""
    return kind in ("error", "warning") and "status of 409" not in text


FAILED: list[str] = []


def say(text: str) -> None:
    """A line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fail(why: str) -> None:
    """What is not so."""
    FAILED.append(why)
    say(f"FAILED {why}")


def check(is_so: bool, what: str) -> None:
    """What is so, or not."""
    if is_so:
        say(f"ok {what}")
    else:
        fail(what)


async def looked_at(page: Page, url: str, axe: str, look: str, pictures: Path | None) -> None:
    """Every view: drawn, without a serious finding."""
    for name, path in VIEWS.items():
        await page.goto(url + path)
        await page.wait_for_selector("#live:text-is('live')")
        charts = await page.locator(".chart").count()
        await page.wait_for_function("n => document.querySelectorAll('.chart svg').length === n", arg=charts)
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        check(wide <= 0, f"{name}, {look}: {charts} charts are drawn, and nothing is wider than the window")
        found = await page.evaluate(f"(async () => {{ {axe}\n; return await axe.run(document); }})()")
        grave = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        for one in grave:
            say(f"  {one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}")
        check(not grave, f"{name}, {look}: axe finds nothing serious ({len(found['passes'])} rules passed)")
        if pictures is not None:
            await page.screenshot(path=pictures / f"page-{name}-{look}.png")


async def counselled(page: Page, url: str) -> None:
    """Advice and policies are worked out while nobody waits."""
    for view, told in (("model", "#compared-rows th:text('as it is')"), ("money", "#advice li a")):
        await page.goto(url + VIEWS[view])
        await page.wait_for_selector(told, timeout=240_000)
        check(
            True, f"{view}: {(await page.locator('#chart-compared figcaption, #advice li').first.inner_text())[:200]!r}"
        )


async def acted(page: Page, url: str) -> None:
    """The buttons, without the token and with it."""
    await page.goto(url + VIEWS["model"])
    done = page.locator("#done")
    await page.click("[data-act=pause]")
    await page.click("dialog button[value=leave]")
    await page.wait_for_function("document.getElementById('done').textContent === 'Nothing was asked for.'")
    check(await page.evaluate("sessionStorage.length") == 0, "without a token nothing is asked for")
    for act, word in (("pause", "paused until"), ("resume", None), ("warm", "kept warm until"), ("resume", None)):
        await page.click(f"[data-act={act}]")
        if await page.locator("dialog[open]").count():
            await page.fill("dialog input", TOKEN)
            await page.click("dialog button[value=go]")
        said = "#sentences li:has-text('because somebody asked for it')"
        await page.wait_for_selector(said, state="attached" if word else "detached")
        if word:
            check(word in (await page.inner_text("#sentences")), f"{act}: {word}")
    await page.click("[data-act=beat]")
    await page.wait_for_selector("#done:text-matches('on its way|no beat goes out')")
    check(True, f"one beat: {await done.inner_text()}")
    kept = await page.evaluate("[localStorage.length, document.cookie, Object.keys(sessionStorage).join()]")
    check(kept == [0, "", "warmer-admin-token"], "the token is in this tab's sessionStorage alone")


async def tried(page: Page, url: str, pictures: Path | None) -> None:
    """A file with a fault, and one that changes something; nothing of it is put in force."""
    await page.goto(url + VIEWS["try"])
    for text, wanted in (
        ("models: [{model: acme/chat, polcy: aware}]", "did you mean `policy`"),
        ("models: [{model: stability-ai/sdxl, every: 30s}]", "(added|changed|removed) "),
    ):
        await page.fill("#try-text", text)
        await page.click("#try button")
        if await page.locator("dialog[open]").count():
            await page.fill("dialog input", TOKEN)
            await page.click("dialog button[value=go]")
        await page.wait_for_function(
            "wanted => new RegExp(wanted).test(document.getElementById('tried').innerText)", arg=wanted
        )
        check(True, f"a file is tried: {(await page.inner_text('#tried'))[:160]!r}")
        if pictures is not None:
            await page.screenshot(path=pictures / f"page-tried-{len(text)}.png")


async def refused(page: Page, url: str) -> None:
    """A wrong token: said, and forgotten. The console tells of the 401, as it has to."""
    await page.goto(url + VIEWS["model"])
    await page.click("[data-act=pause]")
    await page.fill("dialog input", "wrong")
    await page.click("dialog button[value=go]")
    await page.wait_for_function("document.getElementById('done').textContent.includes('admin token')")
    check(await page.evaluate("sessionStorage.length") == 0, "a wrong token is told and forgotten")


async def refreshed(page: Page, url: str) -> None:
    """What happens is seen, and the page is the same one."""
    await page.goto(url)
    await page.evaluate("window.same = true")
    before = await page.inner_text("#models")
    await page.wait_for_function("was => document.getElementById('models').innerText !== was", arg=before)
    check(bool(await page.evaluate("window.same")), "what happens is seen without a reload")


async def main(axe: str, pictures: Path | None) -> None:
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as lines:
        spec = file_at(Path(folder) / "ledger.db")
        await asyncio.to_thread(recorded, spec, 21, NOW - timedelta(hours=HOURS))
        world = await asyncio.to_thread(past, spec, HOURS / 24)
        log.configure(stream=lines, json=True, secrets=[TOKEN])
        async with served(spec, world) as url, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            looks = {
                "light": {"color_scheme": "light", "viewport": WIDE},
                "dark": {"color_scheme": "dark", "viewport": WIDE},
                "phone": {"color_scheme": "light", "viewport": PHONE},
            }
            await counselled(await opened(browser, url, viewport=WIDE), url)
            for look, how in looks.items():
                await looked_at(await opened(browser, url, **how), url, axe, look, pictures)
            await refreshed(await opened(browser, url, viewport=WIDE), url)
            await tried(await opened(browser, url, viewport=WIDE), url, pictures)
            await acted(await opened(browser, url, viewport=WIDE), url)
            page = await (await browser.new_context()).new_page()
            await refused(page, url)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]).read_text("utf-8"), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
    raise SystemExit(1 if FAILED else 0)
