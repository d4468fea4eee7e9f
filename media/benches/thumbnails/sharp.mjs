// sharp as one persistent process: a job a line in, its cost a line out.
import { createInterface } from 'node:readline';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.cwd() + '/');
const sharp = require('sharp');
sharp.concurrency(1);
sharp.cache(false);

const SIDES = [1080, 320, 128];
const inside = (side) => ({ width: side, height: side, fit: 'inside', withoutEnlargement: true });
const encoded = (picture, format) =>
  (format === 'webp' ? picture.webp({ quality: 80 }) : picture.jpeg({ quality: 80 })).toBuffer();

// What most programs do: a pipeline for each thumbnail.
async function usual(bytes, format) {
  const files = [];
  for (const side of SIDES) {
    files.push(await encoded(sharp(bytes).autoOrient().resize(inside(side)), format));
  }
  return files;
}

// As good as it gets: one decode, each size made from the one before.
async function best(bytes, format) {
  const files = [];
  let from = sharp(bytes).autoOrient();
  for (const side of SIDES) {
    const { data, info } = await from.resize(inside(side)).raw().toBuffer({ resolveWithObject: true });
    const raw = { raw: { width: info.width, height: info.height, channels: info.channels } };
    files.push(await encoded(sharp(data, raw), format));
    from = sharp(data, raw);
  }
  return files;
}

const make = { best, usual }[process.argv[2]];
console.log(JSON.stringify({ version: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}` }));
for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line);
  const bytes = readFileSync(job.file);
  const before = process.cpuUsage();
  const files = await make(bytes, job.format);
  const { user, system } = process.cpuUsage(before);
  if (job.keep) {
    files.forEach((file, at) => writeFileSync(`${job.keep}-${SIDES[at]}`, file));
  }
  console.log(JSON.stringify({ cpu_ms: (user + system) / 1000 }));
}
