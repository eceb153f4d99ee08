// Opens pages of Temporal's UI in a browser without a window, and waits until each
// shows what it should.
//
//   node look.mjs CHROMIUM PAGES
//
// PAGES is a JSON list of {url, click, texts, shot}: texts that have to be seen, a button
// or link to click first, and a file for a picture. What is printed is a JSON list with
// the texts of each page that were not seen, and with all that was.
import { chromium } from "playwright-core";

const [executablePath, pages] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const seen = [];

// open loads a page and clicks what it should. The UI asks the server once for a run and,
// if that fails, shows an error for good: then it is loaded again, as a person would.
async function open(page, url, click) {
  for (let loads = 1; ; loads++) {
    try {
      await page.goto(url, { waitUntil: "domcontentloaded" });
      if (click) await page.getByText(click, { exact: true }).first().click({ timeout: 20000 });
      return;
    } catch (error) {
      if (loads < 5) continue;
      const text = await page.locator("body").innerText({ timeout: 5000 }).catch(() => "nothing");
      throw new Error(`${url} shows: ${text}`, { cause: error });
    }
  }
}

try {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1100 } });
  for (const { url, click, texts: wanted, shot } of JSON.parse(pages)) {
    const page = await context.newPage();
    await open(page, url, click);
    let text = "";
    let missing = wanted;
    for (let tries = 0; tries < 120 && missing.length > 0; tries++) {
      // What is written in Markdown, the UI shows in frames of its own.
      const texts = page.frames().map((f) => f.locator("body").innerText({ timeout: 5000 }).catch(() => ""));
      text = (await Promise.all(texts)).join(" ").replace(/\s+/g, " ");
      missing = wanted.filter((t) => !text.includes(t));
      if (missing.length > 0) await page.waitForTimeout(250);
    }
    if (shot) await page.screenshot({ path: shot, fullPage: true });
    seen.push({ url, missing, text });
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));
