import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { entry } from '../support/serve-process.js';

const read = (name: string) => readFile(new URL(`../../deploy/${name}`, import.meta.url), 'utf8');

/** The command has all of these options. */
async function expectOptions([command, ...rest]: readonly string[]): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [entry, command!, '--help']);
  const options = rest.filter((argument) => argument.startsWith('--'));
  expect(options.length).toBeGreaterThan(0);
  for (const option of options) expect(stdout).toMatch(new RegExp(`^ +${option}\\b`, 'm'));
}

it('the container runs what install.sh installs', async () => {
  const lines = (await read('Containerfile')).split('\n');
  expect(lines.filter((line) => line.startsWith('RUN') && line.includes('install'))).toEqual(['RUN sh install.sh']);
  const command = lines.find((line) => line.startsWith('CMD '))!.slice(4);
  await expectOptions(z.array(z.string()).parse(JSON.parse(command)));
});

it('the compose file starts commands that rvos has', async () => {
  const service = z.object({ image: z.string(), command: z.array(z.string()) });
  const { services } = z.object({ services: z.record(z.string(), service) }).parse(parse(await read('compose.yaml')));
  const ours = Object.values(services).filter(({ image }) => image === 'rvos');
  expect(ours.map(({ command }) => command[0])).toEqual(['serve', 'worker']);
  for (const { command } of ours) await expectOptions(command);
});

it('the Kubernetes example starts commands that rvos has, and scales by a metric that it tells', async () => {
  const documents = parseAllDocuments(await read('kubernetes.yaml')).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  });
  const deployment = z.object({
    kind: z.literal('Deployment'),
    spec: z.object({
      template: z.object({ spec: z.object({ containers: z.array(z.object({ args: z.array(z.string()) })) }) }),
    }),
  });
  const containers = documents
    .filter(({ kind }) => kind === 'Deployment')
    .flatMap((document) => deployment.parse(document).spec.template.spec.containers);
  expect(containers.map(({ args }) => args[0])).toEqual(['serve', 'worker']);
  for (const { args } of containers) await expectOptions(args);
  const scaled = documents.find(({ kind }) => kind === 'ScaledObject');
  const [, metric] = /\((rvos_\w+)\)/.exec(scaled.spec.triggers[0].metadata.query)!;
  const source = await readFile(new URL('../../src/server/http/metrics.ts', import.meta.url), 'utf8');
  expect(source).toContain(`'${metric}'`);
});
