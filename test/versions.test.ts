import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorCodes, version, versions } from '../src/index.js';

it('versions say what is installed', async () => {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const found = await versions();
  expect(version).toBe(manifest.version);
  expect(found).toEqual({
    rvos: version,
    node: process.versions.node,
    onnxruntime: manifest.devDependencies['onnxruntime-node'],
    ffmpeg: expect.stringMatching(/^[n\d]/),
  });
});

it('every error code that the source throws has a meaning', () => {
  for (const [code, meaning] of Object.entries(errorCodes)) {
    expect(code).toMatch(/^[A-Z_]+$/);
    expect(meaning).toMatch(/^[a-z].*[^.]$/i);
  }
  expect(Object.isFrozen(errorCodes)).toBe(true);
});
