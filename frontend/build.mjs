// Bundles src/ into src/trackside/server/web/static/dist: names carry a hash of the content, manifest.json maps to them.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.env.TRACKSIDE_DIST ?? join(here, "../src/trackside/server/web/static/dist");

const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/app.js", status: "src/status.js", "status-style": "src/status.css" },
  outdir: out,
  bundle: true,
  minify: true,
  write: false,
  target: ["es2022", "chrome109", "firefox115", "safari16"],
  legalComments: "none",
  logLevel: "warning",
});

const files = outputFiles.map(({ path, contents }) => [basename(path), contents]);
for (const name of await readdir(join(here, "src/icons"))) {
  files.push([name, await readFile(join(here, "src/icons", name))]);
}
files.push(["licenses.txt", Buffer.from(await licences(["htmx.org", "idiomorph", "uplot"]))]);

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const manifest = {};
for (const [name, contents] of files) {
  const hash = createHash("sha256").update(contents).digest("hex").slice(0, 10);
  manifest[name] = `${basename(name, extname(name))}-${hash}${extname(name)}`;
  await writeFile(join(out, manifest[name]), contents);
}
// Last: who finds a manifest finds everything it names.
await writeFile(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

async function licences(names) {
  const texts = names.map(async (name) => {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    return `${name} ${version}\n\n${(await readFile(join(folder, "LICENSE"), "utf8")).trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(72)}\n\n`);
}
